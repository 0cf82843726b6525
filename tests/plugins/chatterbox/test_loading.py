"""A checkpoint's files: found, opened, and refused by name where something is wrong."""

from __future__ import annotations

import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from realtts.contract.spec import Checkpoint
from realtts.errors import CheckpointCorrupt, CheckpointMismatch, CheckpointMissing, MissingExtra
from realtts.testing import make_context
from realtts_chatterbox.building import s3gen_of
from realtts_chatterbox.loading import fetch, open_checkpoint
from realtts_chatterbox.optimized import Optimized
from realtts_chatterbox.plain import Plain


def read(folder):
    """A folder, opened."""
    return open_checkpoint(fetch(Checkpoint(name="test", path=folder)))


@pytest.fixture
def copied(folders, tmp_path):
    """A checkpoint that may be spoilt: its files, linked, but for the one that is written anew."""

    def copy(model, spoilt, change):
        for path in folders(model).iterdir():
            if path.name != spoilt:
                (tmp_path / path.name).symlink_to(path)
        source = folders(model) / spoilt
        if change is None:
            return tmp_path
        if source.suffix == ".pt":
            state = torch.load(source, weights_only=True)
            torch.save(change(state) or state, tmp_path / spoilt)
        else:
            state = load_file(source)
            save_file(change(state) or state, tmp_path / spoilt)
        return tmp_path

    yield copy
    shutil.rmtree(tmp_path)  # hundreds of megabytes, which pytest would keep


@pytest.mark.parametrize("kind", ["english", "multilingual", "turbo"])
def test_the_folder_tells_which_model(weights_of, kind) -> None:
    """By the file of T3."""
    assert weights_of(kind).configuration.name == kind


@pytest.mark.parametrize("variant", [Plain, Optimized])
def test_what_is_not_installed_is_told_before_a_checkpoint_is_asked_for(monkeypatch, variant) -> None:
    """Of both variants: optimized reads upstream's networks for their shapes, and for new voices."""
    monkeypatch.setitem(sys.modules, "chatterbox", None)
    with pytest.raises(MissingExtra, match="chatterbox"):
        variant().load(make_context())


CASES = [
    ("english", "t3_cfg.safetensors", "tfmr.layers.1.mlp.up_proj.weight"),
    ("english", "t3_cfg.safetensors", "speech_emb.weight"),
    ("english", "s3gen.safetensors", "flow.decoder.estimator.mid_blocks.1.1.0.ff.net.2.bias"),
    ("english", "s3gen.safetensors", "mel2wav.conv_pre.parametrizations.weight.original1"),
    ("english", "ve.safetensors", "lstm.weight_hh_l1"),
    ("multilingual", "s3gen.pt", "tokenizer.encoder.blocks.0.attn.key.weight"),
    ("turbo", "t3_turbo_v1.safetensors", "tfmr.h.1.attn.c_attn.weight"),
]


@pytest.mark.parametrize(
    ("model", "file", "name", "fault"),
    [
        *((*case, "missing") for case in CASES),
        *((*CASES[0], fault) for fault in ("renamed", "misshapen")),
        *(pytest.param(*c, f, marks=pytest.mark.full) for c in CASES[1:] for f in ("renamed", "misshapen")),
    ],
)
def test_wrong_tensors_are_refused_by_name(copied, model, file, name, fault) -> None:
    """A tensor that is missing, renamed or misshapen is named, and so is its file."""

    def change(state):
        tensor = state.pop(name)
        if fault == "renamed":
            state[name.replace("weight", "wait").replace("bias", "bios")] = tensor
        elif fault == "misshapen":
            state[name] = torch.cat([tensor, tensor[:1]])

    with pytest.raises(CheckpointMismatch) as caught:
        read(copied(model, file, change))
    assert file in str(caught.value)
    assert name in str(caught.value) or fault == "misshapen"


ENCODER, SPEAKER = "flow.encoder.encoders.0.", "speaker_encoder.xvector."


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (ENCODER + "self_attn.pos_bias_u", (3, 32)),  # heads that do not divide the width
        ("flow.decoder.estimator.down_blocks.0.1.0.attn1.to_q.weight", (100, 64)),
        ("mel2wav.f0_predictor.classifier.weight", (1, 64)),
        (SPEAKER + "block1.tdnnd1.cam_layer.linear_local.weight", (0, 32, 3)),
        *(
            pytest.param(*each, marks=pytest.mark.full)
            for each in (  # by default another of the same part
                (ENCODER + "self_attn.pos_bias_u", (0, 32)),
                (ENCODER + "feed_forward.w_1.weight", (0, 64)),
                ("flow.input_embedding.weight", (6561, 0)),
                ("flow.decoder.estimator.final_proj.weight", (80, 64)),
                (SPEAKER + "tdnn.linear.weight", (64, 320, 5)),
            )
        ),
    ],
)
def test_sizes_that_no_network_has_are_refused(copied, name, shape) -> None:
    """Where a size is read off a tensor, by the file's name."""
    with pytest.raises(CheckpointMismatch, match=r"s3gen\.safetensors"):
        read(copied("english", "s3gen.safetensors", lambda state: state.update({name: torch.zeros(shape)})))


def test_other_weights_are_another_identity(weights_of, copied) -> None:
    """What is cached of voices belongs to the weights that read them: the identity is part of each key."""
    folder = copied("english", "ve.safetensors", lambda state: {n: t + 1 for n, t in state.items()})
    assert read(folder).identity != weights_of("english").identity


def test_an_unknown_tensor_is_refused(copied) -> None:
    """As upstream refuses it."""
    with pytest.raises(CheckpointMismatch, match="extra"):
        read(copied("multilingual", "s3gen.pt", lambda state: state.update(extra=torch.zeros(1))))


@pytest.mark.full  # by default: test_computed_tensors_may_be_left_out
def test_english_s3gen_may_have_more_than_is_used(copied) -> None:
    """Upstream does not mind, and published files may rely on it."""
    folder = copied("english", "s3gen.safetensors", lambda state: state.update(extra=torch.zeros(1)))
    assert s3gen_of(read(folder), "cpu") is not None


def test_computed_tensors_may_be_left_out(copied) -> None:
    """As upstream allows: the tokenizer's filters and window."""

    def change(state):
        return {n: t for n, t in state.items() if n not in {"tokenizer._mel_filters", "tokenizer.window"}}

    weights = read(copied("english", "s3gen.safetensors", change))
    assert s3gen_of(weights, "cpu").tokenizer._mel_filters.abs().sum() > 0


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("english", "t3_cfg.safetensors"),
        ("english", "tokenizer.json"),
        ("english", "conds.pt"),
        ("multilingual", "s3gen.pt"),
        ("turbo", "tokenizer.json"),
    ],
)
@pytest.mark.parametrize("kept", [0, 100])
def test_damaged_files_are_told(copied, folders, model, file, kept) -> None:
    """Cut short, or empty."""
    folder = copied(model, file, None)
    (folder / file).write_bytes((folders(model) / file).read_bytes()[:kept])
    with pytest.raises(CheckpointCorrupt, match="file"):
        read(folder)


def test_code_in_a_file_is_not_run(copied) -> None:
    """A pickle that would call something is refused."""
    folder = copied("multilingual", "s3gen.pt", None)
    torch.save({"a": pytest.fail}, folder / "s3gen.pt")
    with pytest.raises(CheckpointCorrupt, match=r"s3gen\.pt"):
        read(folder)


def test_missing_files_are_named(folders, tmp_path) -> None:
    """All of them; the built-in voice may be missing."""
    with pytest.raises(CheckpointMissing, match="t3_cfg"):
        fetch(Checkpoint(name="test", path=tmp_path))
    shutil.copytree(folders("english"), tmp_path / "some", symlinks=True)
    (tmp_path / "some" / "conds.pt").unlink()
    assert read(tmp_path / "some").builtin is None
    (tmp_path / "some" / "ve.safetensors").unlink()
    with pytest.raises(CheckpointMissing, match=r"ve\.safetensors"):
        fetch(Checkpoint(name="test", path=tmp_path / "some"))
