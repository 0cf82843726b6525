"""Random weights in upstream's files, for `realtts_qwen3.testing.write_random_checkpoint`.

Weights are drawn such that activations keep about the size that a trained model's have, at any width and depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file

from realtts.testing.weights import raise_logits, write_json
from realtts_qwen3.configurations import FIRST_SPECIAL, codec_config, generation_config, model_config
from realtts_qwen3.files import CODEC, CODEC_CONFIG, WEIGHTS
from realtts_qwen3.shapes import codec_shapes, model_shapes
from realtts_qwen3.sizes import read_codec_sizes, read_sizes
from realtts_qwen3.vocabulary import write_vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from torch import Tensor

    from realtts_qwen3.sizes import Sizes

__all__ = ["random_codec", "write_checkpoint"]

_CONSTANT = 3.0
"""Value of the residual stream's first channel, see `_raise_end`."""

_RMS = 2.0
"""Root mean square of the talker's residual stream behind the last layer, as these weights give it."""

_HEAD = 1.5
"""Standard deviation of the logits, about."""

_LOUDNESS = 0.03
"""Scale of the codec's last convolution."""


def write_checkpoint(path: Path, size: str, seed: int, *, model: str, eos_bias: float) -> None:
    """Write the files; arguments as of `realtts_qwen3.testing.write_random_checkpoint`."""
    draw = torch.Generator().manual_seed(seed)
    tokens = write_vocabulary(path, FIRST_SPECIAL[size])
    (path / CODEC).parent.mkdir(exist_ok=True)
    config, codec = model_config(model, size, tokens), codec_config(size)
    write_json(path / "config.json", config)
    write_json(path / "generation_config.json", generation_config())
    write_json(path / "preprocessor_config.json", {"padding_side": "left", "processor_class": "Qwen3TTSProcessor"})
    write_json(path / CODEC_CONFIG, codec)
    write_json((path / CODEC).with_name("preprocessor_config.json"), _FEATURES)
    sizes = read_sizes(config)
    depth = {"talker.model.": sizes.talker.layers, "talker.code_predictor.": sizes.predictor.layers}
    state: dict[str, Tensor] = {}
    for name, shape in model_shapes(sizes).items():
        layers = next((layers for prefix, layers in depth.items() if name.startswith(prefix)), 1)
        # In bf16, as upstream's; the codec is in float32 there too.
        state[name] = (_tensor(name, shape, draw) * _spread(name, layers)).bfloat16()
    _raise_end(state, sizes, eos_bias)
    save_file(state, path / WEIGHTS, metadata={"format": "pt"})
    save_file(_codec_state(codec, draw), path / CODEC, metadata={"format": "pt"})


def random_codec(size: str, seed: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return configuration and random weights of the codec's decoder, as `CodecDecoder.read` takes them."""
    config = codec_config(size)
    state = _codec_state(config, torch.Generator().manual_seed(seed))
    decoder = {name.removeprefix("decoder."): value for name, value in state.items() if name.startswith("decoder.")}
    return config["decoder_config"], decoder


def _codec_state(config: Mapping[str, Any], draw: torch.Generator) -> dict[str, Tensor]:
    return {name: _codec_tensor(name, shape, draw) for name, shape in codec_shapes(read_codec_sizes(config)).items()}


def _raise_end(state: dict[str, Tensor], sizes: Sizes, eos_bias: float) -> None:
    """Make the end of speech likely: each position has one text embedding, whose projection brings a constant."""
    state["talker.text_projection.linear_fc2.weight"][0] = 0
    state["talker.text_projection.linear_fc2.bias"][0] = _CONSTANT
    for name, tensor in state.items():
        if "codec_embedding." in name:
            tensor[:, 0] = 0
        elif name.startswith("speaker_encoder.fc."):
            tensor[0] = 0
    state["talker.codec_head.weight"][:, 0] = 0
    raise_logits(
        state, {sizes.ids.codec_eos: eos_bias}, head="talker.codec_head.weight", norm="talker.model.norm.weight",
        constant=_CONSTANT, rms=_RMS, layers="talker.model.",
    )  # fmt: skip


def _tensor(name: str, shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    values: Tensor = torch.randn(shape, generator=draw)
    if len(shape) == 1:
        is_scale = name.endswith("norm.weight")
        return 1 + 0.1 * values if is_scale else 0.05 * values
    if name.endswith("_embedding.weight") or ".codec_embedding." in name:
        return values
    scaled: Tensor = values / _fan_in(name, shape) ** 0.5
    return scaled


def _spread(name: str, layers: int) -> float:
    if name.endswith(("o_proj.weight", "down_proj.weight")):
        return float((2 * layers) ** -0.5)
    if "code_predictor.model.codec_embedding" in name:
        return 0.25  # fifteen of them are added up
    if "text_projection.linear_fc2.weight" in name:
        return 2.0  # behind an activation that halves
    return _HEAD if name.endswith("codec_head.weight") or ".lm_head." in name else 1.0


def _codec_tensor(name: str, shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    values: Tensor = torch.randn(shape, generator=draw)
    if name.endswith("initialized"):
        return torch.ones(shape)
    if name.endswith("cluster_usage"):
        return 1 + 0.1 * values.abs()
    if name.endswith(("embedding_sum", "embed_sum")):
        return values
    if name.endswith(("_layer_scale.scale", ".gamma")):
        return 0.3 + 0.03 * values
    if name.endswith((".alpha", ".beta")):  # their logarithms
        return 0.1 * values
    if len(shape) == 1:
        return 1 + 0.1 * values if "norm" in name and name.endswith("weight") else 0.02 * values
    loud = _LOUDNESS if shape[0] == 1 else 0.5 if ".conv2." in name or ".block.3.conv" in name else 1.0
    scaled: Tensor = loud * values / _fan_in(name, shape) ** 0.5
    return scaled


def _fan_in(name: str, shape: tuple[int, ...]) -> float:
    parts = name.split(".")
    if name.startswith("decoder.upsample.") and parts[3] == "0":  # transposed: (in, out, kernel), taps do not meet
        return shape[0]
    if name.startswith("decoder.decoder.") and parts[3] == "block" and parts[4] == "1":
        return 2 * shape[0]  # transposed, and two taps of the kernel meet
    return torch.Size(shape[1:]).numel()


_FEATURES = {
    "chunk_length_s": None,
    "feature_extractor_type": "EncodecFeatureExtractor",
    "feature_size": 1,
    "overlap": None,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": True,
    "sampling_rate": 24000,
}
"""``speech_tokenizer/preprocessor_config.json``."""
