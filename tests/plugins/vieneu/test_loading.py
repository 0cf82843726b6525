"""A checkpoint's files: named and never guessed, their tensors upstream's, refused by name where something is wrong."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from realtts import RealProvider
from realtts.contract.spec import Checkpoint
from realtts.errors import CheckpointCorrupt, CheckpointMismatch, CheckpointMissing, InvalidOption, MissingExtra
from realtts.testing import FakeHub
from realtts_vieneu import spec, upstream
from realtts_vieneu.building import model_of
from realtts_vieneu.checkpoint import network_shapes
from realtts_vieneu.codec_sizes import read_codec_sizes
from realtts_vieneu.configurations import TURBO_CODEC_ID, codec_config, model_config
from realtts_vieneu.files import CODEC, MARK, TURBO_CODEC_FILES, TURBO_FILES, WEIGHTS
from realtts_vieneu.loading import fetch, open_checkpoint, why_turbo
from realtts_vieneu.shapes import check_codec, model_shapes
from realtts_vieneu.sizes import read_sizes
from realtts_vieneu.testing import write_random_checkpoint
from realtts_vieneu.upstream import module

MODELS = ("v2", "v1", pytest.param("0.3b", marks=pytest.mark.full))
"""One of each family by default; the 0.3B model has the architecture of v2."""


def read(folder):
    """The checkpoint of a folder."""
    return open_checkpoint(fetch(Checkpoint(name="test", path=folder)))


@pytest.fixture
def copied(folders, tmp_path):
    """A checkpoint of which one file may be spoilt."""

    def copy(model="v2", name="copy"):
        shutil.copytree(folders(model), tmp_path / name)
        return tmp_path / name

    return copy


@pytest.mark.parametrize("model", MODELS)
def test_what_a_checkpoint_is(weights_of, model) -> None:
    """Its configuration and size are read from its files."""
    weights = weights_of(model)
    assert weights.configuration.name == model
    assert weights.sizes.family == ("qwen2" if model == "v1" else "llama")
    assert (weights.sizes.context, weights.sizes.tied) == (2048, True)
    assert set(weights.presets.voices) == {"Lan", "Minh"}
    assert weights.codec.hop == 480


def test_the_configuration_is_said_and_never_guessed(copied) -> None:
    """By `realtts.json` alone: not by the folder's name, which is how upstream takes every local v1 for a v2."""
    folder = copied("v1", "VieNeu-TTS-v2")
    assert read(folder).configuration.name == "v1"
    (folder / "realtts.json").write_text('{"configuration": "pnnbao-ump/VieNeu-TTS-0.3B"}', encoding="utf-8")
    assert read(folder).configuration.name == "0.3b"
    (folder / "realtts.json").unlink()
    assert read(folder).configuration is None


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ('{"configuration": "v9"}', CheckpointMismatch),
        ("{}", CheckpointMismatch),
        ("[]", CheckpointCorrupt),
        ("{", CheckpointCorrupt),
    ],
)
def test_a_wrong_name_is_refused(copied, content, error) -> None:
    """And the file is named."""
    folder = copied()
    (folder / "realtts.json").write_text(content, encoding="utf-8")
    with pytest.raises(error, match=r"realtts\.json"):
        read(folder)


def test_nothing_is_loaded_without_a_checkpoint() -> None:
    """The error says what to do."""
    with pytest.raises(CheckpointMissing, match="model="):
        fetch(None)


@pytest.mark.parametrize("size", ["tiny", "full"])
@pytest.mark.parametrize("model", MODELS)
def test_shapes_are_transformers(model, size) -> None:
    """The tensors that a file must have are exactly those of transformers' network, at full size too."""
    config = model_config(model, size, 217_216)
    for tied in (True, False):
        config["tie_word_embeddings"] = tied
        shapes = network_shapes(config)
        if tied:
            del shapes["lm_head.weight"]
        assert model_shapes(read_sizes(config)) == shapes


@pytest.mark.parametrize("biased", [True, pytest.param(False, marks=pytest.mark.full)])
@pytest.mark.parametrize("size", ["tiny", "full"])
def test_shapes_of_the_codec_are_transformers(size, biased) -> None:
    """Transformers' network passes; each tensor that decodes is missed, and refused in another shape, by its name."""
    config = codec_config(size) | {"attention_bias": biased}
    sizes, shapes = read_codec_sizes(config), network_shapes(config)
    check_codec(sizes, shapes, "the file")
    decoding = [name for name in shapes if name.startswith(("acoustic_decoder.", "quantizer.project_out."))]
    check_codec(sizes, {name: shapes[name] for name in decoding}, "the file")
    for name in decoding if size == "tiny" else ():
        for spoilt in ({key: shapes[key] for key in decoding if key != name}, shapes | {name: (*shapes[name], 1)}):
            with pytest.raises(CheckpointMismatch, match=f"the file.*{re.escape(name)} (is missing|has the shape)"):
                check_codec(sizes, spoilt, "the file")


def test_full_size_is_upstreams() -> None:
    """v1 has as many weights as the published one."""
    shapes = model_shapes(read_sizes(model_config("v1", "full", 217_216)))
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == pytest.approx(552.5e6, rel=1e-3)


@pytest.mark.parametrize("model", ["v1", "v2"])
def test_networks_are_as_transformers_loads_them(folders, weights_of, model) -> None:
    """Tensor for tensor, buffers that are computed included; real, in float32, frozen, the head the embedding."""
    auto = module("transformers.models.auto").AutoModelForCausalLM
    loaded = auto.from_pretrained(folders(model), dtype=torch.float32)
    ours = model_of(weights_of(model), "cpu")
    expected = dict((*loaded.named_parameters(), *loaded.named_buffers()))
    found = dict((*ours.named_parameters(), *ours.named_buffers()))
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name]), name
        assert not tensor.requires_grad, name
    assert ours.lm_head.weight is ours.model.embed_tokens.weight
    assert not ours.training


def test_a_head_of_its_own_is_taken(copied) -> None:
    """Where the configuration says that it is not the embedding."""
    folder = copied()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}), encoding="utf-8")
    with pytest.raises(CheckpointMismatch, match=r"lm_head\.weight"):
        read(folder)
    state = load_file(folder / WEIGHTS)
    state["lm_head.weight"] = 2 * state["model.embed_tokens.weight"]
    save_file(state, folder / WEIGHTS)
    network = model_of(read(folder), "cpu")
    assert torch.equal(network.lm_head.weight, state["lm_head.weight"].float())
    assert torch.equal(network.model.embed_tokens.weight, state["model.embed_tokens.weight"].float())


def test_a_tied_head_may_lie_in_the_file(copied) -> None:
    """As in files that were saved with it; transformers does not look at it either."""
    folder = copied()
    state = load_file(folder / WEIGHTS)
    save_file({**state, "lm_head.weight": state["model.embed_tokens.weight"].clone()}, folder / WEIGHTS)
    assert read(folder).sizes.tied


@pytest.mark.parametrize(
    "name", ["model.layers.1.self_attn.q_proj.weight", "model.norm.weight", "model.embed_tokens.weight"]
)
@pytest.mark.parametrize("fault", ["missing", "renamed", "misshapen"])
def test_wrong_tensors_are_refused_by_name(copied, name, fault) -> None:
    """A tensor that is missing, renamed or misshapen is named, and so is its file."""
    folder = copied()
    state = load_file(folder / WEIGHTS)
    tensor = state.pop(name)
    if fault == "renamed":
        state[f"{name}s"] = tensor
    elif fault == "misshapen":
        state[name] = torch.cat([tensor, tensor[:1]])
    save_file(state, folder / WEIGHTS)
    with pytest.raises(CheckpointMismatch) as caught:
        read(folder)
    assert WEIGHTS in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["acoustic_decoder.layers.1.mlp.fc1.weight", "quantizer.project_out.bias"])
@pytest.mark.parametrize("fault", ["missing", "renamed", "misshapen"])
def test_wrong_tensors_of_the_codec_are_refused_by_name(copied, name, fault) -> None:
    """Before anything of the checkpoint is packed."""
    folder = copied()
    state = load_file(folder / "codec" / CODEC)
    tensor = state.pop(name)
    if fault == "renamed":
        state[f"{name}s"] = tensor
    elif fault == "misshapen":
        state[name] = torch.cat([tensor, tensor[:1]])
    save_file(state, folder / "codec" / CODEC)
    with pytest.raises(CheckpointMismatch) as caught:
        read(folder)
    assert f"codec/{CODEC}" in str(caught.value)
    assert name in str(caught.value)


def test_an_unknown_tensor_is_refused(copied) -> None:
    """Upstream would leave it out silently; so it would the biases of another family."""
    folder = copied()
    save_file({**load_file(folder / WEIGHTS), "extra": torch.zeros(1)}, folder / WEIGHTS)
    with pytest.raises(CheckpointMismatch, match="unexpected, the first is extra"):
        read(folder)


@pytest.mark.parametrize("file", [WEIGHTS, "config.json", "tokenizer.json", "voices.json", f"codec/{CODEC}"])
def test_a_file_that_cannot_be_read_is_named(copied, file) -> None:
    """Cut short, as an interrupted copy leaves it."""
    folder = copied()
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointCorrupt) as caught:
        read(folder)
    assert file.rpartition("/")[2] in str(caught.value)


@pytest.mark.parametrize("file", [WEIGHTS, "config.json", "tokenizer.json"])
def test_a_missing_file_is_named(copied, file) -> None:
    """Before anything is read."""
    folder = copied()
    (folder / file).unlink()
    with pytest.raises(CheckpointMissing, match=file):
        read(folder)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"model_type": "gpt2"}, "gpt2"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"hidden_size": "wide"}, "understood"),
        ({"num_hidden_layers": None}, "understood"),
    ],
)
def test_a_configuration_of_another_model_is_refused(copied, change, what) -> None:
    """By what is wrong with it."""
    folder = copied()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **change}), encoding="utf-8")
    with pytest.raises(CheckpointMismatch, match=what):
        read(folder)


def test_a_model_without_voices_is_read(copied) -> None:
    """It speaks with recordings and saved codes only."""
    folder = copied()
    (folder / "voices.json").unlink()
    assert not read(folder).presets.voices


def test_the_codec_may_lie_in_a_folder_of_the_packages_name(copied) -> None:
    """``neucodec`` beside the weights, as well as ``codec``."""
    folder = copied()
    (folder / "codec").rename(folder / "neucodec")
    assert read(folder).codec.hop == 480


@pytest.mark.parametrize(("model", "size"), [("v3-turbo", "full"), ("v9", "tiny"), ("v1", "huge")])
def test_unknown_random_checkpoints_are_refused(tmp_path, model, size) -> None:
    """A full v3 Turbo among them: it is published as graphs."""
    with pytest.raises(InvalidOption, match="choose from"):
        write_random_checkpoint(tmp_path, size, model=model)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub of this machine."""
    with FakeHub() as made:
        for name, value in made.environment(tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        yield made


def contents(folder, *, without=()):
    """The files of a folder, as the hub is given them."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name not in without}


def test_published_checkpoints_come_with_the_codec(hub, folders) -> None:
    """From their repositories, the configuration known by the hub id; nothing needs to say it there."""
    hub.add("pnnbao-ump/VieNeu-TTS", contents(folders("v1"), without=("realtts.json",)), licence="apache-2.0")
    hub.add("neuphonic/neucodec", contents(folders("v1") / "codec"), licence="apache-2.0")
    (published,) = [checkpoint for checkpoint in spec.checkpoints if checkpoint.name == "v1"]
    weights = open_checkpoint(fetch(published))
    assert weights.configuration.name == "v1"
    assert weights.presets.default == "Minh"
    assert weights.codec.hop == 480
    assert "neuphonic/neucodec@" in weights.identity


def test_a_repository_of_somebody_else_may_say_what_it_is(hub, folders) -> None:
    """By a file of its own; without it, nothing is known."""
    hub.add("neuphonic/neucodec", contents(folders("v1") / "codec"))
    hub.add("somebody/says", contents(folders("v1")))
    hub.add("somebody/says-not", contents(folders("v1"), without=("realtts.json",)))
    assert fetch(Checkpoint("a", source="somebody/says")).configuration.name == "v1"
    assert fetch(Checkpoint("b", source="somebody/says-not")).configuration is None


def test_somebodys_v3_is_known_by_its_graphs(hub, tmp_path) -> None:
    """Its repository and its folder need not say it: no other has such files, whatever lies beside them."""
    names = [name if isinstance(name, str) else name[0] for name in TURBO_FILES]
    files = {name: b"{}" for name in names if name != "realtts.json"}
    hub.add("somebody/v3", files | {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": b"{}"})
    hub.add(TURBO_CODEC_ID, dict.fromkeys(TURBO_CODEC_FILES, b"{}"))
    found = fetch(Checkpoint("a", source="somebody/v3"))
    assert found.turbo
    assert set(found.model) == files.keys()
    assert why_turbo(Checkpoint("a", source="somebody/v3")) is None  # nothing is fetched to answer this
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert fetch(Checkpoint("b", path=tmp_path)).turbo
    assert "onnxruntime" in why_turbo(Checkpoint("b", path=tmp_path))
    with RealProvider(spec, model="somebody/v3", device="cpu", strict=True) as tts, pytest.raises(Exception) as caught:
        tts.load()
    assert "onnxruntime" in str(caught.value)


@pytest.mark.parametrize("model", ["v3-turbo", "somebody/v3"])
def test_a_missing_package_is_told_before_v3_is_downloaded(hub, monkeypatch, model) -> None:
    """Its own package, and nothing of transformers, which it does without."""
    names = [name if isinstance(name, str) else name[0] for name in TURBO_FILES if name != ("realtts.json", None)]
    for repo in ("pnnbao-ump/VieNeu-TTS-v3-Turbo", "somebody/v3"):
        hub.add(repo, {name: name.encode() for name in names})
    hub.add(TURBO_CODEC_ID, dict.fromkeys(TURBO_CODEC_FILES, b"{}"))

    def absent(name):
        raise MissingExtra(f"{name} cannot be imported", who="vieneu", fix="install realtts-vieneu[v3]")

    monkeypatch.setattr(upstream, "module", absent)
    alone = replace(spec, optimized=None)
    with RealProvider(alone, model=model, device="cpu") as tts, pytest.raises(Exception, match="_turbo_") as caught:
        tts.load()
    assert "realtts-vieneu[v3]" in str(caught.value)
    assert not [name for name in names if name != MARK and hub.downloads(name)]


def test_optimized_refuses_v3_before_it_is_downloaded(hub) -> None:
    """Somebody's own is known by one small file."""
    names = [name if isinstance(name, str) else name[0] for name in TURBO_FILES if name != ("realtts.json", None)]
    hub.add("somebody/v3", {name: name.encode() for name in names})
    with RealProvider(spec, model="somebody/v3", device="cpu", strict=True) as tts, pytest.raises(Exception) as caught:
        tts.load()
    assert "onnxruntime" in str(caught.value)
    assert not [name for name in names if name != MARK and hub.downloads(name)]


def test_what_the_packages_codec_lacks_is_fetched_for_cloning(hub, folders, weights_of) -> None:
    """w2v-bert, from its own repository, when it is asked for."""
    weights = weights_of("v2")
    assert weights.semantic() is None
    hub.add("facebook/w2v-bert-2.0", {"model.safetensors": save({"encoder.layers.0.weight": torch.ones(2)})})
    packed = {name: weights.codec_state[name] for name in weights.codec_state if not name.startswith("semantic")}
    found = replace(weights, codec_state=packed).semantic()
    assert found["encoder.layers.0.weight"].tolist() == [1.0, 1.0]


def test_weights_in_parts_are_the_same(copied, in_parts, weights_of) -> None:
    """As fine-tunes are saved; a part that is a Git LFS pointer is named as one."""
    folder = copied()
    in_parts(folder / WEIGHTS)
    ours, theirs = read(folder).model_state, weights_of("v2").model_state
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    part = folder / "model-00002-of-00002.safetensors"
    part.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", encoding="utf-8")
    with pytest.raises(CheckpointCorrupt, match=rf"{part.name}.*Git LFS"):
        read(folder)
