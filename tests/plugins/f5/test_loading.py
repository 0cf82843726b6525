"""A checkpoint's files into networks: as upstream loads them, and refused by name where something is wrong."""

from __future__ import annotations

import importlib
import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from realtts.accel.upstream.calls import quiet
from realtts.accel.weights.tensorfile import shapes_of
from realtts.contract.spec import Checkpoint
from realtts.errors import CheckpointCorrupt, CheckpointMismatch, CheckpointMissing
from realtts.kit.reading import by_any_name
from realtts.testing import FakeHub
from realtts_f5 import spec
from realtts_f5.building import empty_model
from realtts_f5.configurations import CONFIGURATIONS, VOCODER_ID
from realtts_f5.files import files_of
from realtts_f5.loading import fetch, open_checkpoint
from realtts_f5.plain import PlainModel
from realtts_f5.reference import Upstream
from realtts_f5.sizes import read_architecture
from realtts_f5.states import model_state
from realtts_f5.testing import write_random_checkpoint
from realtts_f5.upstream import module

MODELS = tuple(CONFIGURATIONS)
V1 = "model_1250000.safetensors"


def files_of_folder(path):
    """What is read of a folder or file."""
    return fetch(Checkpoint("test", path=path))


def read(path):
    """The networks of a folder or file, and its weights."""
    weights = open_checkpoint(files_of_folder(path))
    return PlainModel(weights, Upstream(weights, "cpu"))


@pytest.fixture
def copied(folders, tmp_path):
    """A checkpoint that may be spoilt."""

    def copy(model="f5-v1-base", name="copy"):
        shutil.copytree(folders(model), tmp_path / name)
        return tmp_path / name

    return copy


@pytest.mark.parametrize("name", ["f5-v1-base", "e2-base", pytest.param("f5-v0-base", marks=pytest.mark.full)])
def test_weights_are_the_files(folders, loaded, name) -> None:
    """Every tensor of the file is in the network under upstream's name, in float32 and frozen; no other is."""
    model = loaded(name)
    (path,) = folders(name).glob("*.safetensors")
    state, held = model_state(path), model.networks.cfm.state_dict()
    assert set(state) == set(held)
    assert all(torch.equal(state[name], held[name]) for name in state)
    for network in (model.networks.cfm, model.networks.vocos):
        assert not network.training
        for where, tensor in (*network.named_parameters(), *network.named_buffers()):
            assert not tensor.is_meta, where
            assert not tensor.requires_grad, where


@pytest.mark.parametrize("model", MODELS)
def test_architectures_are_upstreams(model) -> None:
    """Each configuration is what upstream's file of that name says."""
    configuration = CONFIGURATIONS[model]
    path = module("importlib.resources").files("f5_tts").joinpath(f"configs/{configuration.upstream}.yaml")
    content = importlib.import_module("yaml").safe_load(path.read_text(encoding="utf-8"))["model"]
    assert read_architecture(content, path.name) == configuration.architecture


@pytest.mark.parametrize("model", ["f5-v1-base", "f5-v0-base", "e2-base"])
def test_networks_are_as_upstream_builds_them(model) -> None:
    """With upstream's own loader: equal names, equal shapes, and equal buffers where they are computed."""
    architecture = CONFIGURATIONS[model].architecture
    from dataclasses import replace

    small = replace(architecture, dim=128, depth=2, heads=2)
    with quiet():
        ours = empty_model(small, 50)
        cls = {"dit": "DiT", "unet": "UNetT"}[small.backbone]
        backbone = getattr(module("f5_tts.model"), cls)(
            dim=128, depth=2, heads=2, ff_mult=small.ff_mult, text_dim=small.text_dim, conv_layers=small.conv_layers,
            text_mask_padding=small.text_mask_padding, pe_attn_head=small.rotary_heads, text_num_embeds=50, mel_dim=100,
        )  # fmt: skip
    theirs = {f"transformer.{name}": tensor for name, tensor in backbone.state_dict().items()}
    assert {n: t.shape for n, t in ours.state_dict().items()} == {n: t.shape for n, t in theirs.items()}
    for (name, one), (_, two) in zip(ours.transformer.named_buffers(), backbone.named_buffers(), strict=True):
        assert torch.equal(one, two), name


def test_files_of_the_trainer_are_read(tmp_path) -> None:
    """`.pt` with averaged weights: the same network; without them the last weights."""
    write_random_checkpoint(tmp_path, suffix=".pt")
    (path,) = tmp_path.glob("*.pt")
    model = read(tmp_path)
    state = torch.load(path, weights_only=True)["ema_model_state_dict"]
    last = {name.removeprefix("ema_model."): t for name, t in state.items() if name.startswith("ema_model.")}
    last["mel_spec.mel_stft.spectrogram.window"] = torch.zeros(1024)  # of old files
    torch.save({"model_state_dict": last}, path)
    again = read(path)
    for name, tensor in model.networks.cfm.state_dict().items():
        assert torch.equal(tensor, again.networks.cfm.state_dict()[name]), name


def test_what_follows_from_the_sizes_may_be_missing(copied, loaded) -> None:
    """Frequencies, windows and filters, which the networks compute by themselves."""
    folder = copied()
    state = load_file(folder / V1)
    save_file({name: tensor for name, tensor in state.items() if "inv_freq" not in name}, folder / V1)
    path = folder / "vocos" / "pytorch_model.bin"
    torch.save({name: t for name, t in torch.load(path).items() if name.startswith("backbone.") or "out" in name}, path)
    expected, model = loaded("f5-v1-base").networks, read(folder).networks
    for one, other in ((model.cfm, expected.cfm), (model.vocos, expected.vocos)):
        assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


@pytest.mark.parametrize("fault", ["missing", "renamed", "misshapen", "unexpected"])
def test_wrong_tensors_are_refused_by_name(copied, fault) -> None:
    """A tensor that is missing, renamed, misshapen or too many is named, and so is its file."""
    folder = copied()
    state = load_file(folder / V1)
    name = "ema_model.transformer.transformer_blocks.1.attn.to_q.weight"
    if fault == "misshapen":
        state[name] = torch.cat([state[name], state[name]])
    elif fault == "unexpected":
        state["ema_model.transformer.extra"] = torch.zeros(1)
    else:
        tensor = state.pop(name)
        if fault == "renamed":
            state[name.replace("to_q", "to_x")] = tensor
    save_file(state, folder / V1)
    with pytest.raises(CheckpointMismatch, match="extra" if fault == "unexpected" else "to_q") as caught:
        read(folder)
    assert V1 in caught.value.who


@pytest.mark.parametrize("file", [V1, "vocos/pytorch_model.bin"])
@pytest.mark.parametrize("size", [0, 100])
def test_damaged_files_are_told(copied, file, size) -> None:
    """Cut short, or empty."""
    folder = copied()
    (folder / file).write_bytes((folder / file).read_bytes()[:size])
    with pytest.raises(CheckpointCorrupt, match="file"):
        read(folder)


def test_another_vocabulary_is_refused(copied) -> None:
    """The numbers of both are in the message, and what to do."""
    folder = copied()
    (folder / "vocab.txt").write_text(" \na\nb\n", encoding="utf-8")
    with pytest.raises(CheckpointMismatch, match=r"trained with 2545 symbols, and file 'vocab\.txt' has 3"):
        read(folder)
    (folder / "vocab.txt").unlink()
    assert len(read(folder).weights.vocabulary) == 2545


def test_classes_of_a_vocoders_file_are_not_looked_up(copied) -> None:
    """A configuration that names other classes is refused; a pickle that would call something as well."""
    folder = copied()
    config = folder / "vocos" / "config.yaml"
    text = config.read_text(encoding="utf-8")
    for wrong in (text.replace("vocos.heads.ISTFTHead", "os.system"), text.replace("center", "same"), "[", "a: 1"):
        config.write_text(wrong, encoding="utf-8")
        with pytest.raises(CheckpointMismatch, match=r"config\.yaml"):
            read(folder)
    config.unlink()
    assert read(folder).networks.vocos is not None
    torch.save({"a": pytest.fail}, folder / "vocos" / "pytorch_model.bin")
    with pytest.raises(CheckpointCorrupt, match=r"pytorch_model\.bin"):
        read(folder)


def only(folder, *names):
    """Leave these files of a folder alone, and none that says what it is."""
    for path in folder.iterdir():
        if path.name not in {*names, "vocos", "vocab.txt"}:
            path.unlink()


def test_nothing_is_guessed(copied) -> None:
    """Weights that nothing names are refused, and the message says how to name them; each way is enough."""
    folder = copied()
    only(folder, V1)
    with pytest.raises(CheckpointMismatch, match="v0 and v1") as caught:
        files_of_folder(folder)
    assert "realtts.json" in caught.value.fix
    (folder / "realtts.json").write_text(json.dumps({"configuration": "f5-v0-base"}), encoding="utf-8")
    assert files_of_folder(folder / V1).configuration.name == "f5-v0-base"
    (folder / "realtts.json").unlink()
    named = folder.rename(folder.with_name("F5TTS_v1_Base"))
    assert files_of_folder(named).configuration.name == "f5-v1-base"
    (named / V1).rename(named / "f5-v1-base.safetensors")
    assert files_of_folder(named).configuration.name == "f5-v1-base"


@pytest.mark.parametrize("by", ["json", "folder", "file"])
def test_two_names_that_disagree_are_refused(copied, by) -> None:
    """v0's configuration beside a folder, file or note that says v1."""
    folder = copied("f5-v0-base", "F5TTS_v1_Base" if by == "folder" else "copy")
    if by == "json":
        (folder / "realtts.json").write_text('{"configuration": "F5TTS_v1_Base"}', encoding="utf-8")
    elif by == "file":
        next(folder.glob("*.safetensors")).rename(folder / "F5TTS_v1_Base.safetensors")
    with pytest.raises(CheckpointMismatch, match="f5-v0-base") as caught:
        files_of_folder(folder)
    assert "f5-v1-base" in str(caught.value)


def test_another_size_is_refused(folders, tmp_path) -> None:
    """The weights of a smaller network under the name of the base one."""
    folder = tmp_path / "f5-v1-base"
    shutil.copytree(folders("f5-v1-base"), folder)
    only(folder, V1)
    with pytest.raises(CheckpointMismatch, match=r"has the shape|tensors are missing"):
        read(folder)


@pytest.mark.parametrize("content", ["nothing", "[]", '{"configuration": 3}', '{"configuration": "f6"}'])
def test_a_wrong_note_is_told(copied, content) -> None:
    """The file that says what the weights are is checked itself."""
    folder = copied()
    (folder / "realtts.json").write_text(content, encoding="utf-8")
    with pytest.raises((CheckpointCorrupt, CheckpointMismatch), match=r"realtts\.json"):
        files_of_folder(folder)


def test_unsupported_networks_are_refused(copied) -> None:
    """Normalised queries, another vocoder: by the name of what is different."""
    folder = copied()
    path = folder / "F5TTS_v1_Base.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in (("  arch:\n", "  arch:\n    qk_norm: rms_norm\n"), ("vocos", "bigvgan"), ("DiT", "MMDiT")):
        path.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(CheckpointMismatch, match=r"qk_norm|mel_spec_type|backbone"):
            files_of_folder(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hop_length: 256", "hop_length: 300"),
        ("n_fft: 1024", "n_fft: 2048"),
        ("win_length: 1024", "win_length: 600"),
        ("n_mel_channels: 100", "n_mel_channels: 80"),
        ("target_sample_rate: 24000", "target_sample_rate: 16000"),
        ("tokenizer: pinyin", "tokenizer: char"),
    ],
)
def test_other_spectra_and_tokenizers_are_refused(copied, old, new) -> None:
    """What the tensors do not show, and makes noise: by its name and value."""
    folder = copied()
    path = folder / "F5TTS_v1_Base.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(CheckpointMismatch, match=new.split(": ")[1]) as caught:
        files_of_folder(folder)
    assert new.split(":", maxsplit=1)[0] in str(caught.value)


def test_upstreams_own_file_of_the_small_one_is_read(copied) -> None:
    """It names the tokenizer "char"; f5-tts never looks at that when it speaks, and reads its texts as pinyin."""
    folder = copied("f5-v1-small")
    path = folder / "F5TTS_v1_Small.yaml"
    upstreams = module("importlib.resources").files("f5_tts").joinpath("configs/F5TTS_v1_Small.yaml")
    assert "tokenizer: char" in upstreams.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace("tokenizer: pinyin", "tokenizer: char"), encoding="utf-8")
    weights = open_checkpoint(files_of_folder(folder))
    assert (weights.configuration.name, len(weights.vocabulary)) == ("f5-v1-small", 2545)
    # A vocabulary of its own training is believed, if the embedding is as large.
    (folder / "vocab.txt").write_text(" \na\nb\n", encoding="utf-8")
    with pytest.raises(CheckpointMismatch, match=r"2545 symbols.*has 3"):
        read(folder)


@pytest.mark.parametrize("wrong", ["n_fft: 2048", "hop_length: 128", "n_mels: 80", "sample_rate: 16000"])
def test_vocoders_of_other_spectra_are_refused(copied, wrong) -> None:
    """The same of the vocoder's file."""
    folder = copied()
    path = folder / "vocos" / "config.yaml"
    name, text = wrong.split(":", maxsplit=1)[0], path.read_text(encoding="utf-8")
    path.write_text(re.sub(rf"{name}: [0-9]+", wrong, text), encoding="utf-8")
    with pytest.raises(CheckpointMismatch, match=rf"{name} is [0-9]+, only"):
        open_checkpoint(files_of_folder(folder))


def test_a_vocabulary_begins_with_the_space(copied) -> None:
    """Of the right size but moved by one: upstream takes symbol 0 for a space."""
    folder = copied()
    path = folder / "vocab.txt"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines[1:], lines[0]]), encoding="utf-8")
    with pytest.raises(CheckpointMismatch, match="space"):
        read(folder)


def test_missing_and_many_files(copied, tmp_path) -> None:
    """A folder without weights, and one in which it is not clear which are meant."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointMissing, match="empty"):
        files_of_folder(tmp_path / "empty")
    folder = copied()
    shutil.copyfile(folder / V1, folder / "other.safetensors")
    with pytest.raises(CheckpointMismatch, match="2 files of weights"):
        files_of_folder(folder)
    assert files_of_folder(folder / "other.safetensors").model_path.stem == "other"


def test_published_checkpoints_are_fetched(tmp_path, monkeypatch) -> None:
    """By upstream's names on the hub, the vocoder from its own repository; somebody else's by its note."""
    weights, vocabulary, vocoder = b"weights", b" \na\n", b"vocoder"  # not opened
    with FakeHub() as hub:
        for name, value in hub.environment(tmp_path).items():
            monkeypatch.setenv(name, value)
        hub.add("jpgallegoar/F5-Spanish", {"model_1200000.safetensors": weights, "vocab.txt": vocabulary})
        hub.add(VOCODER_ID, {"pytorch_model.bin": vocoder, "config.yaml": b"a: 1", "big.ckpt": b"1"})
        note = b'{"configuration": "f5-v0-base"}'
        hub.add("some/body", {"model_last.safetensors": weights, "model_last.pt": b"1", "realtts.json": note})
        spanish = next(checkpoint for checkpoint in spec.checkpoints if checkpoint.name == "f5-spanish")
        files = fetch(spanish)
        assert files.configuration.name == "f5-spanish"
        assert files.vocabulary_path.read_bytes() == vocabulary
        assert files.vocoder["pytorch_model.bin"].read_bytes() == vocoder
        again = Checkpoint("jpgallegoar/F5-Spanish@main", source=spanish.source, revision="main", files=spanish.files)
        assert fetch(again) == files
        foreign = fetch(Checkpoint("some/body", source="some/body", files=spec.checkpoints[0].files))
        assert foreign.configuration.name == "f5-v0-base"
        assert (foreign.model_path.name, foreign.vocabulary_path) == ("model_last.safetensors", None)
        assert not hub.downloads("model_last.pt")
        assert not hub.downloads("big.ckpt")


def test_somebody_elses_repository_is_refused_before_its_weights(tmp_path, monkeypatch) -> None:
    """Nothing says what it is: no weights come. Its name, or upstream's configuration in it, is enough."""
    weights, vocoder = b"weights", b"vocoder"
    yaml = module("importlib.resources").files("f5_tts").joinpath("configs/F5TTS_Base.yaml").read_bytes()
    with FakeHub() as hub:
        for name, value in hub.environment(tmp_path).items():
            monkeypatch.setenv(name, value)
        hub.add(VOCODER_ID, {"pytorch_model.bin": vocoder})
        hub.add("some/body", {V1: weights, "vocab.txt": b" "})
        hub.add("some/F5TTS_Base", {V1: weights})
        hub.add("some/config", {V1: weights, "F5TTS_Base.yaml": yaml})
        hub.add("other/F5TTS_v1_Base", {V1: weights, "F5TTS_Base.yaml": yaml})
        for source, message in (("some/body", "v0 and v1"), ("other/F5TTS_v1_Base", "says that it is f5-v0-base")):
            with pytest.raises(CheckpointMismatch, match=message) as caught:
                fetch(Checkpoint(source, source=source))
            assert source in caught.value.who
        assert not hub.downloads(V1)
        for source in ("some/F5TTS_Base", "some/config"):
            assert fetch(Checkpoint(source, source=source)).configuration.name == "f5-v0-base"


def test_files_of_the_spec_are_those_that_are_fetched() -> None:
    """So that `realtts download` brings what `load` will want."""
    assert all(checkpoint.files == files_of(CONFIGURATIONS[checkpoint.name]) for checkpoint in spec.checkpoints)


def test_tensors_are_read_when_they_are_asked_for(folders) -> None:
    """Names and shapes are known before."""
    state = model_state(folders("f5-v1-base") / V1)
    shapes = shapes_of(state)
    name = "transformer.text_embed.text_embed.weight"
    assert shapes[name] == (2546, 64) == tuple(state[name].shape)
    assert state[name].data_ptr() != state[name].data_ptr()
    assert "initted" not in state


@pytest.mark.parametrize("said", ["f5-v0-base", "F5TTS_Base", "f5-v1-base", "F5TTS_v1_Base", "e2_base"])
@pytest.mark.parametrize("name", ["copy", "F5TTS_v1_Base"])
def test_the_call_can_say_it(copied, said, name) -> None:
    """Without a file beside the weights; then what a folder is called counts for nothing."""
    folder = copied(name=name)
    only(folder, V1)
    checkpoint = Checkpoint("test", path=folder, configuration=said)
    assert fetch(checkpoint).configuration == by_any_name(said, CONFIGURATIONS)


def test_call_and_note_must_agree(copied) -> None:
    """A note is as plain a statement as the call."""
    folder = copied()
    only(folder, V1)
    (folder / "realtts.json").write_text('{"configuration": "f5-v1-base"}', encoding="utf-8")
    assert fetch(Checkpoint("test", path=folder, configuration="f5-v1-base")).configuration.name == "f5-v1-base"
    with pytest.raises(CheckpointMismatch, match=r"configuration= says that it is f5-v0-base, and realtts\.json"):
        fetch(Checkpoint("test", path=folder, configuration="f5-v0-base"))


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def test_weights_in_parts_are_the_same(copied, in_parts, loaded) -> None:
    """The folder and the index mean the same; the vocoder may be in parts too."""
    folder = copied()
    index = in_parts(folder / V1)
    theirs = loaded("f5-v1-base").weights.model_state
    for path in (folder, index):
        ours = open_checkpoint(files_of_folder(path)).model_state
        assert set(ours) == set(theirs)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_pointer_is_named_as_one(copied, suffix) -> None:
    """Without torch's advice, in any file of weights."""
    folder = copied()
    (folder / V1).unlink()
    (folder / f"model_1250000{suffix}").write_text(POINTER, encoding="utf-8")
    with pytest.raises(CheckpointCorrupt, match="Git LFS") as caught:
        open_checkpoint(files_of_folder(folder))
    assert "weights_only" not in str(caught.value)
