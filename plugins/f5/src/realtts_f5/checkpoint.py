"""Random weights in upstream's files: what `realtts_f5.testing.write_random_checkpoint` writes.

Weights are drawn such that activations keep the size that a trained model's have, at any width and depth. Layers that
upstream's constructor leaves at zero (modulations, the last projection) are drawn as well: with zeros the flow is zero,
and nothing would be tested.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

from realtts.testing.weights import random_state
from realtts_f5.building import VOCODER_COMPUTED, empty_model, empty_vocoder
from realtts_f5.configurations import CONFIGURATIONS
from realtts_f5.constants import MELS, SPECTRUM
from realtts_f5.files import VOCABULARY, VOCODER, VOCODER_CONFIG, VOCODER_FOLDERS
from realtts_f5.sizes import COMPUTED
from realtts_f5.text import Vocabulary

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from realtts_f5.sizes import Architecture

__all__ = ["SIZES", "architecture_of", "write_checkpoint"]

SIZES = ("tiny", "full")

_VOCODER_SIZES = {"tiny": (64, 128, 2), "full": (512, 1536, 8)}
"""Width, inner width and blocks."""

_CONFIG = """feature_extractor:
  class_path: vocos.feature_extractors.MelSpectrogramFeatures
  init_args:
    sample_rate: 24000
    n_fft: 1024
    hop_length: 256
    n_mels: 100
    padding: center

backbone:
  class_path: vocos.models.VocosBackbone
  init_args:
    input_channels: 100
    dim: {dim}
    intermediate_dim: {inner}
    num_layers: {layers}

head:
  class_path: vocos.heads.ISTFTHead
  init_args:
    dim: {dim}
    n_fft: 1024
    hop_length: 256
    padding: center
"""


def architecture_of(model: str, size: str) -> Architecture:
    """Return the shape of a configuration, or a tiny one of the same kind."""
    full = CONFIGURATIONS[model].architecture
    if size == "full":
        return full
    text_dim = full.text_dim if full.backbone == "unet" else 64
    return replace(full, dim=128, depth=2, heads=2, text_dim=text_dim)


def write_checkpoint(path: Path, size: str, seed: int, *, model: str, suffix: str) -> None:
    """Write a checkpoint, as `realtts_f5.testing.write_random_checkpoint` says."""
    draw = torch.Generator().manual_seed(seed)
    configuration, architecture = CONFIGURATIONS[model], architecture_of(model, size)
    state = random_state(empty_model(architecture, len(Vocabulary(None))), partial(_tensor, draw), COMPUTED)
    tensors = {f"ema_model.{name}": tensor for name, tensor in state.items()}
    counters = {"initted": torch.tensor(True), "step": torch.tensor(1_250_000)}
    name = (configuration.weights or ("model.safetensors",))[0].rpartition("/")[2].rpartition(".")[0]
    if suffix == ".safetensors":
        save_file({**tensors, **counters}, path / f"{name}{suffix}")
    else:
        torch.save({"ema_model_state_dict": {**tensors, **counters}}, path / f"{name}{suffix}")
    with resources.as_file(resources.files("f5_tts").joinpath("infer/examples/vocab.txt")) as vocabulary:
        shutil.copyfile(vocabulary, path / VOCABULARY)
    (path / f"{configuration.upstream}.yaml").write_text(_yaml(configuration.upstream, architecture), encoding="utf-8")
    _write_vocoder(path / VOCODER_FOLDERS[0], *_VOCODER_SIZES[size], draw)


def _write_vocoder(path: Path, dim: int, inner: int, layers: int, draw: torch.Generator) -> None:
    """Write the vocoder's weights and configuration."""
    path.mkdir(exist_ok=True)
    shapes = {
        "backbone.embed.weight": (dim, MELS, 7),
        "backbone.convnext.0.pwconv1.weight": (inner, dim),
        "head.out.weight": (1026, dim),
        **{f"backbone.convnext.{layer}.gamma": (dim,) for layer in range(layers)},
    }
    state = random_state(empty_vocoder(shapes, "random Vocos"), partial(_tensor, draw), VOCODER_COMPUTED)
    # Magnitudes of ordinary speech: loud below, quieter above.
    state["head.out.weight"][:513] *= 0.3
    state["head.out.bias"][:513] = torch.linspace(1.5, -3.0, 513)
    torch.save(state, path / VOCODER[0])
    config = _CONFIG.format(dim=dim, inner=inner, layers=layers)
    (path / VOCODER_CONFIG).write_text(config, encoding="utf-8")


def _yaml(name: str, architecture: Architecture) -> str:
    """Return the part of upstream's configuration that says what the network is."""
    arch: dict[str, Any] = {
        "dim": architecture.dim,
        "depth": architecture.depth,
        "heads": architecture.heads,
        "ff_mult": architecture.ff_mult,
        "text_mask_padding": str(architecture.text_mask_padding).lower(),
        "pe_attn_head": "null" if architecture.rotary_heads is None else architecture.rotary_heads,
    }
    if architecture.backbone == "dit":
        arch |= {"text_dim": architecture.text_dim, "conv_layers": architecture.conv_layers}
    lines = [f"    {key}: {value}" for key, value in arch.items()]
    backbone = "DiT" if architecture.backbone == "dit" else "UNetT"
    spectrum = [f"    {key}: {value}" for key, value in SPECTRUM.items()]
    return "\n".join(
        ["model:", f"  name: {name}", "  tokenizer: pinyin", f"  backbone: {backbone}", "  arch:", *lines,
         "  mel_spec:", *spectrum, ""]
    )  # fmt: skip


def _tensor(draw: torch.Generator, name: str, shape: tuple[int, ...]) -> Tensor:
    """Draw a tensor whose spread keeps activations as large as a trained model's, by its name."""
    values: Tensor = torch.randn(shape, generator=draw)
    if name.endswith(("grn.gamma", "grn.beta")):
        return 0.1 * values
    if name.endswith(".gamma"):  # Vocos scales its branches by 1 over their number
        return 0.3 + 0.03 * values
    if len(shape) == 1:
        is_scale = name.endswith(("weight", "norm.g"))
        return 1 + 0.1 * values if is_scale else 0.05 * values
    if name.endswith("text_embed.text_embed.weight"):
        return values
    spread = 0.3 if ("norm.linear" in name or "norm_out.linear" in name) else 1.0
    scaled: Tensor = spread * values / torch.Size(shape[1:]).numel() ** 0.5
    return scaled
