"""Recordings to codes: the encoder of Mimi, always in float32, because codes must equal upstream's.

Source: Défossez et al. 2024 (arXiv:2410.00037), transformers' MimiModel. Attention is causal over the whole recording,
as transformers computes it, whatever the configuration's window. Weights have upstream's names (checkpoint:
``encoder.*`` of ``speech_tokenizer/model.safetensors``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.weights.state_reader import StateReader
from realtts_qwen3.encoder_transformer import Transformer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from torch import Tensor

__all__ = ["CodecEncoder"]

_SMALLEST = 1e-5


class CodecEncoder:
    """The encoder of one checkpoint.

    Args:
        config: ``encoder_config``.
        state: Upstream's tensors without ``encoder.``.
        device: Device to compute on.
        groups: Quantizers that are used.

    Attributes:
        samples_per_frame: 1920, at 24 kHz.
    """

    def __init__(
        self, config: Mapping[str, Any], state: Mapping[str, Tensor], device: torch.device, groups: int
    ) -> None:
        tensors = StateReader(state, "codec encoder", device)
        self._device = device
        self._layers = _layers(config, tensors)
        self._transformer = Transformer(config, tensors)
        width = config["hidden_size"]
        # transformers gives the convolution a kernel of twice the remaining rate and a stride of 2, whatever the rate.
        rate = math.ceil(config["sampling_rate"] / math.prod(config["upsampling_ratios"]))
        kernel = 2 * int(rate / config["frame_rate"])
        weight = tensors.take("downsample.conv.weight", width, width, kernel)
        self._down = _Conv(weight, None, stride=2, mode="replicate")
        self.samples_per_frame = 2 * math.prod(config["upsampling_ratios"])
        first = config["num_semantic_quantizers"]
        self._quantizers = [
            _Quantizer(config, tensors, "semantic", first, first),
            _Quantizer(config, tensors, "acoustic", config["num_quantizers"] - first, groups - first),
        ]
        tensors.finish()

    @classmethod
    def from_state_dict(
        cls,
        config: Mapping[str, Any],
        state: Mapping[str, Tensor],
        *,
        device: torch.device | str = "cpu",
        groups: int = 16,
    ) -> CodecEncoder:
        """Take the weights by upstream's names.

        Args:
            config: ``encoder_config`` of ``speech_tokenizer/config.json``.
            state: Tensors without ``encoder.``.
            device: Device to compute on.
            groups: ``encoder_valid_num_quantizers``.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen; names it.
        """
        return cls(config, state, torch.device(device), groups)

    @torch.inference_mode()
    def codes(self, samples: Tensor) -> Tensor:
        """Encode a recording.

        Args:
            samples: float32 (n,), 24 kHz, n at least 1.

        Returns:
            int64 (ceil(n / 1920), 16).
        """
        x = samples.to(self._device, torch.float32)[None, None]  # (1, 1, n)
        for layer in self._layers:
            x = layer(x)
        x = self._transformer(x.transpose(1, 2)).transpose(1, 2)  # over (1, frames, channels), and back
        x = self._down(x)
        return torch.cat([quantizer(x) for quantizer in self._quantizers], 1)[
            : -(-len(samples) // self.samples_per_frame)
        ]


class _Conv:
    """A causal convolution, padded at its end so that no sample is left out."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, *, stride: int = 1, dilation: int = 1, mode: str = "constant"
    ) -> None:
        self._weight, self._bias = weight, bias
        self._stride, self._dilation, self._mode = stride, dilation, mode
        self._left = (weight.shape[2] - 1) * dilation + 1 - stride

    def __call__(self, x: Tensor) -> Tensor:
        right = -x.shape[2] % self._stride
        x = functional.pad(x, (self._left, right), mode=self._mode)
        return functional.conv1d(x, self._weight, self._bias, stride=self._stride, dilation=self._dilation)


class _Activated:
    """ELU, then a convolution."""

    def __init__(self, conv: _Conv) -> None:
        self._conv = conv

    def __call__(self, x: Tensor) -> Tensor:
        return self._conv(functional.elu(x))


class _Residual:
    """Two activated convolutions beside the input."""

    def __init__(self, first: _Conv, second: _Conv, shortcut: _Conv | None) -> None:
        self._layers = _Activated(first), _Activated(second)
        self._shortcut = shortcut

    def __call__(self, x: Tensor) -> Tensor:
        first, second = self._layers
        beside = x if self._shortcut is None else self._shortcut(x)
        return beside + second(first(x))


class _Quantizer:
    """Residual vector quantization: each codebook quantizes what the ones before it left."""

    def __init__(self, config: Mapping[str, Any], tensors: StateReader, kind: str, layers: int, used: int) -> None:
        name = f"quantizer.{kind}_residual_vector_quantizer"
        size, width = config["codebook_size"], config["codebook_dim"]
        outside, inside = config["hidden_size"], config["vector_quantization_hidden_dimension"]
        self._project = None
        if inside != outside:
            self._project = tensors.take(f"{name}.input_proj.weight", inside, outside, 1)
            tensors.skip(f"{name}.output_proj.weight")  # only a decoder would need it
        self._books = []
        for n in range(layers):
            book = f"{name}.layers.{n}.codebook"
            for part in ("initialized", "cluster_usage", "embed_sum"):
                tensors.skip(f"{book}.{part}")
            if n < used:
                uses = tensors.take(f"{book}.cluster_usage", size).clamp(min=_SMALLEST)
                self._books.append(tensors.take(f"{book}.embed_sum", size, width) / uses[:, None])

    def __call__(self, x: Tensor) -> Tensor:
        """(1, channels, frames) to int64 (frames, codebooks)."""
        if self._project is not None:
            x = functional.conv1d(x, self._project)
        residual, codes = x[0].t(), []  # (frames, channels)
        for book in self._books:
            # Upstream's own distance: another rounding might choose another vector.
            nearest = torch.cdist(residual.contiguous()[None], book[None], p=2)[0].argmin(-1)
            residual = residual - book[nearest]
            codes.append(nearest)
        return torch.stack(codes, 1)


def _layers(config: Mapping[str, Any], tensors: StateReader) -> list[_Conv | _Activated | _Residual]:
    """Read the convolutions down to 25 frames a second; numbers in their names count activations too."""
    channels, kernel = config["num_filters"], config["kernel_size"]
    layers: list[_Conv | _Activated | _Residual] = [
        _Conv(*tensors.pair("encoder.layers.0.conv", channels, config["audio_channels"], kernel))
    ]
    number = 1
    for ratio in reversed(config["upsampling_ratios"]):
        for n in range(config["num_residual_layers"]):
            name = f"encoder.layers.{number}"
            layers.append(_residual(config, tensors, name, channels, config["dilation_growth_rate"] ** n))
            number += 1
        pair = tensors.pair(f"encoder.layers.{number + 1}.conv", 2 * channels, channels, 2 * ratio)
        layers.append(_Activated(_Conv(*pair, stride=ratio)))
        number, channels = number + 2, 2 * channels
    pair = tensors.pair(
        f"encoder.layers.{number + 1}.conv", config["hidden_size"], channels, config["last_kernel_size"]
    )
    return [*layers, _Activated(_Conv(*pair))]


def _residual(config: Mapping[str, Any], tensors: StateReader, name: str, channels: int, dilation: int) -> _Residual:
    inside = channels // config["compress"]
    first = tensors.pair(f"{name}.block.1.conv", inside, channels, config["residual_kernel_size"])
    second = tensors.pair(f"{name}.block.3.conv", channels, inside, 1)
    shortcut = tensors.pair(f"{name}.shortcut.conv", channels, channels, 1) if config["use_conv_shortcut"] else None
    return _Residual(_Conv(*first, dilation=dilation), _Conv(*second), None if shortcut is None else _Conv(*shortcut))
