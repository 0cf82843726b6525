"""A checkpoint's files: their tensors are upstream's, and refused by name where something is wrong."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from realtts.accel.upstream.networks import Unfilled
from realtts.contract.spec import Checkpoint
from realtts.errors import CheckpointCorrupt, CheckpointMismatch, CheckpointMissing
from realtts_qwen3.building import codec_of, model_of
from realtts_qwen3.configurations import CONFIGURATIONS, codec_config, model_config
from realtts_qwen3.files import CODEC, WEIGHTS
from realtts_qwen3.loading import fetch, open_checkpoint
from realtts_qwen3.shapes import codec_shapes, model_shapes
from realtts_qwen3.sizes import read_codec_sizes, read_sizes
from realtts_qwen3.upstream import module, why_not

upstream = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def read(folder):
    """The checkpoint of a folder."""
    return open_checkpoint(fetch(Checkpoint(name="test", path=folder)))


@pytest.fixture
def copied(folders, tmp_path):
    """A checkpoint of which one file may be spoilt."""

    def copy(model):
        shutil.copytree(folders(model), tmp_path / "copy")
        return tmp_path / "copy"

    return copy


@pytest.mark.parametrize("model", CONFIGURATIONS)
def test_what_a_checkpoint_is(weights_of, model) -> None:
    """Its kind and size are read from its configuration."""
    weights = weights_of(model)
    scale, _, kind = model.partition("-")
    assert weights.sizes.kind == kind.replace("-", "_")
    assert weights.sizes.size == {"0.6b": "0b6", "1.7b": "1b7"}[scale]
    assert (weights.states.speaker_encoder is not None) == (kind == "base")
    assert bool(weights.sizes.speakers) == (kind == "custom-voice")
    assert (weights.sizes.groups, weights.codec.groups, weights.codec.samples_per_frame) == (16, 16, 1920)
    assert weights.defaults["top_k"] == 50


@upstream
@pytest.mark.parametrize(
    ("model", "size"),
    [
        *((model, "tiny") for model in CONFIGURATIONS),
        ("0.6b-base", "full"),
        ("1.7b-voice-design", "full"),
    ],
)
def test_shapes_are_upstreams(model, size) -> None:
    """The table of tensors is exactly what upstream's networks of that configuration hold, at full size too."""
    tokens = dict.fromkeys(("assistant", "<|im_start|>", "<|im_end|>", "<tts_pad>"), 0)
    tokens |= {"<tts_text_bos>": 0, "<tts_text_eod>": 0}
    config, codec = model_config(model, size, tokens), codec_config(size)
    modeling = module("qwen_tts.core.models.modeling_qwen3_tts")
    tokenizer = module("qwen_tts.core.tokenizer_12hz.modeling_qwen3_tts_tokenizer_v2")
    with Unfilled():  # on the device "meta" torch works out each initialisation in Python
        network = modeling.Qwen3TTSForConditionalGeneration(modeling.Qwen3TTSConfig(**config))
        sound = tokenizer.Qwen3TTSTokenizerV2Model(tokenizer.Qwen3TTSTokenizerV2Config(**codec))
    for shapes, upstreams in (
        (model_shapes(read_sizes(config)), network),
        (codec_shapes(read_codec_sizes(codec)), sound),
    ):
        assert shapes == {name: tuple(tensor.shape) for name, tensor in upstreams.state_dict().items()}


def test_full_size_is_upstreams() -> None:
    """The small model that clones has as many weights as the published one."""
    tokens = dict.fromkeys(("assistant", "<|im_start|>", "<|im_end|>", "<tts_pad>"), 0)
    tokens |= {"<tts_text_bos>": 0, "<tts_text_eod>": 0}
    shapes = model_shapes(read_sizes(model_config("0.6b-base", "full", tokens)))
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == pytest.approx(914.6e6, rel=1e-4)


def test_tensors_are_read_when_they_are_asked_for(folders, weights_of) -> None:
    """Each is the file's, by its name below its part's; rows of a matrix come without the others."""
    weights = weights_of("0.6b-base")
    written = load_file(folders("0.6b-base") / WEIGHTS)
    talker = weights.states.talker
    assert {f"talker.{name}" for name in talker} == {name for name in written if name.startswith("talker.")}
    name = "model.text_embedding.weight"
    assert torch.equal(talker[name], written[f"talker.{name}"])
    assert torch.equal(talker.rows(name, [3, 1, 3]), written[f"talker.{name}"][[3, 1, 3]])
    with pytest.raises(IndexError):
        talker.rows(name, [512])
    with pytest.raises(KeyError):
        talker["codec_head.bias"]
    assert weights.states.speaker_encoder.shapes["fc.bias"] == (64,)
    sound = load_file(folders("0.6b-base") / CODEC)
    for prefix, state in (("decoder.", weights.states.decoder), ("encoder.", weights.states.encoder)):
        assert {prefix + name for name in state} == {name for name in sound if name.startswith(prefix)}


@upstream
@pytest.mark.parametrize("model", ["0.6b-base", pytest.param("1.7b-custom-voice", marks=pytest.mark.full)])
def test_networks_are_as_upstream_loads_them(weights_of, upstream_of, model) -> None:
    """Tensor for tensor, buffers that are computed included; real, in float32 and frozen."""
    theirs = upstream_of(model).model
    for ours, loaded in (
        (model_of(weights_of(model), "cpu"), theirs),
        (codec_of(weights_of(model), "cpu"), theirs.speech_tokenizer.model),
    ):
        expected = dict((*loaded.named_parameters(), *loaded.named_buffers()))
        tensors = dict((*ours.named_parameters(), *ours.named_buffers()))
        assert tensors.keys() == expected.keys()
        for name, tensor in tensors.items():
            assert torch.equal(tensor, expected[name].float()), name
            assert not tensor.requires_grad, name
        assert not ours.training


CASES = [
    (WEIGHTS, "talker.model.layers.1.self_attn.q_norm.weight"),
    (WEIGHTS, "talker.code_predictor.lm_head.14.weight"),
    (WEIGHTS, "talker.text_projection.linear_fc2.bias"),
    (WEIGHTS, "speaker_encoder.blocks.2.se_block.conv1.weight"),
    (CODEC, "decoder.upsample.1.1.gamma"),
    (CODEC, "encoder.encoder_transformer.layers.0.mlp.fc2.weight"),
    (CODEC, "encoder.quantizer.acoustic_residual_vector_quantizer.layers.30.codebook.embed_sum"),
]


@pytest.mark.parametrize(("file", "name"), CASES)
@pytest.mark.parametrize("fault", ["missing", "renamed", "misshapen"])
def test_wrong_tensors_are_refused_by_name(copied, file, name, fault) -> None:
    """A tensor that is missing, renamed or misshapen is named, and so is its file."""
    folder = copied("0.6b-base")
    state = load_file(folder / file)
    tensor = state.pop(name)
    if fault == "renamed":
        state[f"{name}s"] = tensor
    elif fault == "misshapen":
        state[name] = torch.cat([tensor, tensor[:1]])
    save_file(state, folder / file)
    with pytest.raises(CheckpointMismatch) as caught:
        read(folder)
    assert file in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("file", [WEIGHTS, CODEC])
def test_an_unknown_tensor_is_refused(copied, file) -> None:
    """Upstream would leave it out silently."""
    folder = copied("0.6b-custom-voice")
    save_file({**load_file(folder / file), "extra": torch.zeros(1)}, folder / file)
    with pytest.raises(CheckpointMismatch, match="unexpected, the first is extra"):
        read(folder)


@pytest.mark.parametrize("file", [WEIGHTS, CODEC, "config.json", "generation_config.json"])
@pytest.mark.parametrize("size", [0, 100])
def test_damaged_files_are_named(copied, file, size) -> None:
    """Cut short, or empty."""
    folder = copied("0.6b-base")
    (folder / file).write_bytes((folder / file).read_bytes()[:size])
    with pytest.raises(CheckpointCorrupt, match="file"):
        read(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "qwen3"}, "model_type"),
        ({"tokenizer_type": "qwen3_tts_tokenizer_25hz"}, "25hz"),
        ({"tts_model_type": "singing"}, "singing"),
        ({"talker_config": {}}, "missing"),
        ({"talker_config": None}, "understood"),
        ({"tts_eos_token_id": "x"}, "understood"),
    ],
)
def test_another_models_configuration_is_refused(copied, change, message) -> None:
    """With what is wrong about it."""
    folder = copied("0.6b-base")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | change), encoding="utf-8")
    with pytest.raises(CheckpointMismatch, match=message):
        read(folder)


def test_missing_files_are_named(copied) -> None:
    """All of them."""
    folder = copied("0.6b-base")
    (folder / "generation_config.json").unlink()
    (folder / CODEC).unlink()
    with pytest.raises(CheckpointMissing, match=r"generation_config\.json.*speech_tokenizer/model\.safetensors"):
        read(folder)
    with pytest.raises(CheckpointMissing, match="chosen"):
        fetch(None)


@pytest.mark.parametrize("files", [[WEIGHTS], [CODEC], [WEIGHTS, CODEC]], ids=["model", "codec", "both"])
def test_weights_in_parts_are_the_same(copied, in_parts, weights_of, files) -> None:
    """As fine-tunes are saved; a part that is missing is named."""
    folder = copied("0.6b-custom-voice")
    whole = weights_of("0.6b-custom-voice").states
    indexes = [in_parts(folder / name) for name in files]
    states = read(folder).states
    for ours, theirs in ((states.talker, whole.talker), (states.decoder, whole.decoder)):
        assert ours.shapes == theirs.shapes
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    part = next(indexes[0].parent.glob("*-00002-of-00002.safetensors"))
    part.unlink()
    with pytest.raises(CheckpointMissing, match=part.name):
        read(folder)
