"""A checkpoint's files into networks: as upstream loads them, and refused by name where something is wrong."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from realtts.errors import CheckpointCorrupt, CheckpointMismatch, CheckpointMissing
from realtts.spec import Checkpoint
from realtts_chatterbox import loading
from realtts_chatterbox.files import T3_FILES
from realtts_chatterbox.frontend import prepare
from realtts_chatterbox.replay import logits_along
from realtts_chatterbox.testing import write_random_checkpoint

KINDS = ("english", "multilingual", "turbo")


def read(folder):
    """The networks of a folder."""
    kind, files = loading.fetch(Checkpoint(name="test", path=folder))
    return loading.read_parts(files, kind, "cpu")


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


@pytest.mark.parametrize("kind", KINDS)
def test_the_folder_tells_which_model(folders, parts_of, kind) -> None:
    """By the file of T3; every tensor is real, in float32 and frozen."""
    assert loading.files_of(Checkpoint(name="test", path=folders(kind))) == kind
    parts = parts_of(kind)
    assert parts.kind == kind
    for network in (parts.t3, parts.s3gen, parts.ve):
        assert not network.training
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            assert not tensor.is_meta, name
            assert not tensor.requires_grad, name
            assert tensor.dtype in {torch.float32, torch.int64}, name


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_the_files(folders, parts_of, kind) -> None:
    """Every tensor of the files is in the networks, under upstream's names."""
    parts = parts_of(kind)
    written = dict(loading.read_t3_state(folders(kind) / T3_FILES[kind]))
    written.pop("tfmr.wte.weight", None)
    held = parts.t3.state_dict()
    assert written.keys() == held.keys()
    assert all(torch.equal(tensor, held[name]) for name, tensor in written.items())


def test_what_constructors_compute_is_computed(parts_of) -> None:
    """As in a network that upstream builds with memory: fades, windows, positions, filters, rotary frequencies."""
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.t3 import T3

    from realtts_chatterbox.upstream import quiet

    with quiet():
        s3gen, t3 = S3Gen(), T3()
    ours = parts_of("english")
    assert torch.equal(ours.s3gen.trim_fade, s3gen.trim_fade)
    assert torch.equal(ours.s3gen.mel2wav.stft_window, s3gen.mel2wav.stft_window)
    assert torch.equal(ours.s3gen.tokenizer._mel_filters, s3gen.tokenizer._mel_filters)
    assert torch.equal(ours.s3gen.tokenizer.window, s3gen.tokenizer.window)
    assert torch.equal(ours.s3gen.tokenizer.encoder.freqs_cis, s3gen.tokenizer.encoder.freqs_cis)
    for name in ("embed", "up_embed"):
        theirs = getattr(s3gen.flow.encoder, name).pos_enc.pe
        assert torch.equal(getattr(ours.s3gen.flow.encoder, name).pos_enc.pe, theirs)
    assert torch.equal(ours.t3.tfmr.rotary_emb.inv_freq, t3.tfmr.rotary_emb.inv_freq)


def test_full_size_is_upstreams(tmp_path) -> None:
    """The networks that the writer fills have exactly upstream's tensors."""
    from chatterbox.models.s3gen import S3Gen

    from realtts_chatterbox.building import empty_s3gen
    from realtts_chatterbox.sizes import S3GenSizes
    from realtts_chatterbox.upstream import quiet

    with quiet(), torch.device("meta"):
        upstream = S3Gen().state_dict()
    ours = empty_s3gen("english", S3GenSizes()).state_dict()
    assert {name: tensor.shape for name, tensor in ours.items()} == {n: t.shape for n, t in upstream.items()}


CASES = [
    ("english", "t3_cfg.safetensors", "tfmr.layers.1.mlp.up_proj.weight"),
    ("english", "t3_cfg.safetensors", "speech_emb.weight"),
    ("english", "s3gen.safetensors", "flow.decoder.estimator.mid_blocks.1.1.0.ff.net.2.bias"),
    ("english", "s3gen.safetensors", "mel2wav.conv_pre.parametrizations.weight.original1"),
    ("english", "ve.safetensors", "lstm.weight_hh_l1"),
    ("multilingual", "s3gen.pt", "tokenizer.encoder.blocks.0.attn.key.weight"),
    ("turbo", "t3_turbo_v1.safetensors", "tfmr.h.1.attn.c_attn.weight"),
]


@pytest.mark.parametrize(("model", "file", "name"), CASES)
@pytest.mark.parametrize("fault", ["missing", "renamed", "misshapen"])
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


def test_an_unknown_tensor_is_refused(copied) -> None:
    """As upstream refuses it."""
    with pytest.raises(CheckpointMismatch, match="extra"):
        read(copied("multilingual", "s3gen.pt", lambda state: state.update(extra=torch.zeros(1))))


def test_english_s3gen_may_have_more_than_is_used(copied) -> None:
    """Upstream does not mind, and published files may rely on it."""
    folder = copied("english", "s3gen.safetensors", lambda state: state.update(extra=torch.zeros(1)))
    assert read(folder).kind == "english"
    kind, files = loading.fetch(Checkpoint(name="test", path=folder))
    assert not any("extra" in state for state in loading.codec_states(files, kind))


def test_computed_tensors_may_be_left_out(copied) -> None:
    """As upstream allows: the tokenizer's filters and window."""

    def change(state):
        return {n: t for n, t in state.items() if n not in {"tokenizer._mel_filters", "tokenizer.window"}}

    assert read(copied("english", "s3gen.safetensors", change)).s3gen.tokenizer._mel_filters.abs().sum() > 0


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
        loading.files_of(Checkpoint(name="test", path=tmp_path))
    shutil.copytree(folders("english"), tmp_path / "some", symlinks=True)
    (tmp_path / "some" / "conds.pt").unlink()
    assert read(tmp_path / "some").builtin is None
    (tmp_path / "some" / "ve.safetensors").unlink()
    with pytest.raises(CheckpointMissing, match=r"ve\.safetensors"):
        loading.fetch(Checkpoint(name="test", path=tmp_path / "some"))


def test_parts_by_themselves(folders, parts_of) -> None:
    """The optimized variant's tensors and encoders are those of the whole."""
    kind, files = loading.fetch(Checkpoint(name="test", path=folders("english")))
    whole = parts_of("english").s3gen.state_dict()
    for prefix, state in zip(("flow.", "mel2wav."), loading.codec_states(files, kind), strict=True):
        assert state.keys() == {name[len(prefix) :] for name in whole if name.startswith(prefix)}
        assert all(torch.equal(tensor, whole[prefix + name]) for name, tensor in state.items())
    encoders = loading.read_encoders(files, kind, "cpu")
    for name, tensor in encoders.tokenizer.state_dict().items():
        assert torch.equal(tensor, whole[f"tokenizer.{name}"])


def test_the_optimized_variant_refuses_another_s3gen(folders, tmp_path) -> None:
    """By name, as the plain one does: also a tensor that it would not use."""
    shutil.copytree(folders("english"), tmp_path / "other")
    state = load_file(tmp_path / "other" / "s3gen.safetensors")
    state["flow.extra.weight"] = state.pop("flow.encoder_proj.weight")
    save_file(state, tmp_path / "other" / "s3gen.safetensors")
    kind, files = loading.fetch(Checkpoint(name="test", path=tmp_path / "other"))
    with pytest.raises(CheckpointMismatch, match=r"missing, the first is flow\.encoder_proj\.weight"):
        loading.codec_states(files, kind)


def test_equal_seeds_write_equal_weights(tmp_path) -> None:
    """And others do not."""
    states = []
    for number, seed in enumerate((1, 1, 2)):
        (tmp_path / str(number)).mkdir()
        write_random_checkpoint(tmp_path / str(number), seed=seed)
        states.append(load_file(tmp_path / str(number) / "t3_cfg.safetensors")["speech_head.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_can_be_made_likely(tmp_path, kind) -> None:
    """`eos_bias` raises the end's logit by about as much at every step, in the model without a bias too."""
    ends = []
    for bias in (0.0, 8.0):
        folder = tmp_path / str(bias)
        folder.mkdir()
        write_random_checkpoint(folder, model=kind, eos_bias=bias)
        parts = read(folder)
        context = SimpleNamespace(forced_tokens=lambda _: None)
        request = SimpleNamespace(text="Hi", language=None, seed=0, options=None)
        ask = prepare(context, parts.tokenizer, request)
        logits = logits_along(parts.t3, replace(ask, cfg_weight=0.0), parts.builtin, list(range(50, 70)))
        ends.append(logits[:, 6562] - logits[:, :6561].mean(1))
        shutil.rmtree(folder)
    assert 5.0 < float((ends[1] - ends[0]).mean()) < 11.0
    assert float(ends[1].std()) < 4.0
