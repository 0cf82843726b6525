"""Random weights in upstream's files: what `realtts_vieneu.testing.write_random_checkpoint` writes.

Weights are drawn such that activations keep about the size that a trained model's have, at any width and depth.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

from realtts.kit.reading import NOTE
from realtts.testing.weights import raise_logits, write_json
from realtts_vieneu.configurations import CODES, codec_config, model_config
from realtts_vieneu.files import CODEC, CODEC_FOLDERS, VOICES, WEIGHTS
from realtts_vieneu.shapes import EMBEDDING, HEAD
from realtts_vieneu.sizes import read_sizes
from realtts_vieneu.upstream import module
from realtts_vieneu.vocabulary import write_vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from realtts_vieneu.sizes import Sizes

__all__ = ["network_shapes", "write_checkpoint"]

_WORDS = {"v1": 151_643}
"""Tokens before the special ones at full size: Qwen2's, of the model that grew out of it."""

_CONSTANT = 1.0
"""Value of the residual stream's first channel, which every embedding brings."""

_RMS = 1.2
"""Root mean square of the residual stream behind the last layer, as these weights give it."""

_LOGITS = 1.5
"""Standard deviation of the logits, about."""

_LOUDNESS = 1.6
"""Logarithm of the magnitudes that the codec's last layer gives."""

_VOICES = {
    "Lan": ("Xin chào các bạn, hôm nay trời đẹp.", "A random voice"),
    "Minh": ("Tôi đọc sách mỗi ngày.", "Another one"),
}
"""Id -> words and description."""

_FRAMES = {"tiny": 24, "full": 150}
"""Codes of a voice; three seconds at full size."""

_DECODES = ("acoustic_decoder.", "quantizer.project_out.")
"""What names of the codec's tensors that decode begin with."""


def write_checkpoint(path: Path, size: str, seed: int, *, model: str, eos_bias: float, cloning: bool) -> None:
    """Write a checkpoint, as of `realtts_vieneu.testing.write_random_checkpoint`."""
    draw = torch.Generator().manual_seed(seed)
    tokens, special = write_vocabulary(path, _WORDS.get(model) if size == "full" else None)
    config = model_config(model, size, tokens)
    write_json(path / "config.json", config)
    write_json(path / "generation_config.json", {"use_cache": True})
    write_json(path / NOTE, {"configuration": model})
    _write_voices(path / VOICES, _FRAMES[size], draw)
    sizes = read_sizes(config)
    shapes = {name: shape for name, shape in network_shapes(config).items() if name != HEAD}  # which is the embedding
    state = {name: _tensor(name, shape, sizes, draw).bfloat16() for name, shape in shapes.items()}
    state[EMBEDDING][:, 0] = _CONSTANT  # the head, too: it adds the same to all logits
    end = special["<|SPEECH_GENERATION_END|>"]
    raise_logits(state, {end: eos_bias}, head=EMBEDDING, norm="model.norm.weight", constant=_CONSTANT, rms=_RMS)
    save_file(state, path / WEIGHTS, metadata={"format": "pt"})
    _write_codec(path / CODEC_FOLDERS[0], size, draw, cloning=cloning)


def _tensor(name: str, shape: tuple[int, ...], sizes: Sizes, draw: torch.Generator) -> Tensor:
    values: Tensor = torch.randn(shape, generator=draw)
    if name.endswith("norm.weight"):
        return 1 + 0.1 * values
    if len(shape) == 1:
        return 0.05 * values
    if name == EMBEDDING:  # the head, too
        rows: Tensor = values * (_LOGITS / sizes.hidden**0.5)
        return rows
    spread = (2 * sizes.layers) ** -0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
    # What comes out of the gate has half the size of what goes in.
    gated = 2.0 if name.endswith("down_proj.weight") else 1.0
    scaled: Tensor = values * (gated * spread / shape[1] ** 0.5)
    return scaled


def _write_voices(path: Path, frames: int, draw: torch.Generator) -> None:
    presets = {
        name: {
            "codes": torch.randint(0, CODES, (frames,), generator=draw).tolist(),
            "text": words,
            "description": description,
        }
        for name, (words, description) in _VOICES.items()
    }
    write_json(path, {"meta": {"spec": "vieneu.voice.presets"}, "default_voice": "Minh", "presets": presets})


def _write_codec(path: Path, size: str, draw: torch.Generator, *, cloning: bool) -> None:
    """Write the codec in transformers' names; without the encoder it is half as large."""
    path.mkdir(exist_ok=True)
    write_json(path / "config.json", codec_config(size))
    shapes = {name: shape for name, shape in _codec_shapes(size).items() if cloning or name.startswith(_DECODES)}
    state = {name: _codec_tensor(name, shape, draw) for name, shape in shapes.items()}
    save_file(state, path / CODEC, metadata={"format": "pt"})


@functools.cache  # its filters are computed for a second, even on the device "meta"
def _codec_shapes(size: str) -> dict[str, tuple[int, ...]]:
    return network_shapes(codec_config(size))


def network_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors of transformers' network by name, in its order.

    Args:
        config: ``config.json`` of a language model or of the codec.
    """
    auto = module("transformers.models.auto")
    kind = auto.AutoModel if config["model_type"] == "neucodec" else auto.AutoModelForCausalLM
    values = {name: value for name, value in config.items() if name not in {"model_type", "architectures"}}
    with torch.device("meta"):  # tensors have a shape there, and no memory
        network = kind.from_config(auto.AutoConfig.for_model(config["model_type"], **values))
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _codec_tensor(name: str, shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    values: Tensor = torch.randn(shape, generator=draw)
    if name.startswith("acoustic_decoder.head.linear."):
        half = shape[0] // 2  # magnitudes as their logarithms, then phases
        wide = 3 * values / math.prod(shape[1:]) ** 0.5 if len(shape) > 1 else 0 * values
        wide[:half] = wide[:half] / 6 if len(shape) > 1 else _LOUDNESS
        return wide
    if name.endswith((".alpha", ".beta")):  # their logarithms
        return 0.1 * values
    if len(shape) == 1:
        return 1 + 0.1 * values if "norm" in name and name.endswith("weight") else 0.02 * values
    if "layers." in name and name.endswith(("o_proj.weight", "fc2.weight", "output_dense.weight")):
        values = values * 0.3
    scaled: Tensor = values / math.prod(shape[1:]) ** 0.5
    return scaled
