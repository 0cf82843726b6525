"""Recordings to speaker embeddings: an ECAPA-TDNN over a mel spectrogram, in float32.

Source: Desplanques et al. 2020, upstream's Qwen3TTSSpeakerEncoder. Weights have upstream's names (checkpoint:
``speaker_encoder.*``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.layers.mel import slaney_filters
from realtts.accel.weights.state_reader import StateReader
from realtts_qwen3.constants import RATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from realtts_qwen3.sizes import SpeakerSizes

__all__ = ["SHORTEST", "SpeakerEncoder"]

_FFT, _HOP, _HIGHEST = 1024, 256, RATE / 2

_PADDING = (_FFT - _HOP) // 2

SHORTEST = 5 * _HOP
"""Samples that a recording must have: the padding mirrors as many frames as the widest kernel reaches."""

_SMALLEST_POWER, _SMALLEST_MEL, _SMALLEST_VARIANCE = 1e-9, 1e-5, 1e-12


class SpeakerEncoder:
    """The speaker encoder of one checkpoint.

    Args:
        sizes: Sizes of its layers.
        state: Upstream's tensors without ``speaker_encoder.``.
        device: Device to compute on.
    """

    def __init__(self, sizes: SpeakerSizes, state: Mapping[str, Tensor], device: torch.device) -> None:
        self._device = device
        tensors = StateReader(state, "speaker encoder", device)
        shapes = list(zip(sizes.channels, sizes.kernels, sizes.dilations, strict=True))
        channels = sizes.channels
        first, *middle, last = shapes
        self._first = _Conv(tensors, "blocks.0.conv", sizes.mels, *first)
        self._blocks = [
            _Block(tensors, f"blocks.{n}", channels[n - 1], shape, sizes) for n, shape in enumerate(middle, start=1)
        ]
        self._merge = _Conv(tensors, "mfa.conv", sum(channels[1:-1]), *last)
        wide = channels[-1]
        self._squeeze = _Conv(tensors, "asp.tdnn.conv", 3 * wide, sizes.attention)
        self._attend = _Conv(tensors, "asp.conv", sizes.attention, wide)
        self._out = _Conv(tensors, "fc", 2 * wide, sizes.width)
        tensors.finish()
        self._window = torch.hann_window(_FFT, device=device)
        filters = slaney_filters(sample_rate=RATE, fft=_FFT, bands=sizes.mels, low=0.0, high=_HIGHEST)
        self._filters = filters.to(device)

    @classmethod
    def from_state_dict(
        cls, sizes: SpeakerSizes, state: Mapping[str, Tensor], *, device: torch.device | str = "cpu"
    ) -> SpeakerEncoder:
        """Take the weights by upstream's names.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen; names it.
        """
        return cls(sizes, state, torch.device(device))

    @torch.inference_mode()
    def embedding(self, samples: Tensor) -> Tensor:
        """Compute the embedding of a recording.

        Args:
            samples: float32 (n,), 24 kHz, in [-1, 1], at least `SHORTEST`.

        Returns:
            float32 (width,).
        """
        x = self._first(self.mel(samples)[None]).relu_()
        outputs = []
        for block in self._blocks:
            x = block(x)
            outputs.append(x)
        x = self._merge(torch.cat(outputs, 1)).relu_()
        return self._out(self._pooled(x))[0, :, 0]

    @torch.inference_mode()
    def mel(self, samples: Tensor) -> Tensor:
        """Compute the log-mel spectrogram, float32 (bands, n // 256)."""
        samples = samples.to(self._device, torch.float32)
        padded = functional.pad(samples[None], (_PADDING, _PADDING), mode="reflect")[0]
        spectrum = torch.stft(padded, _FFT, _HOP, window=self._window, center=False, return_complex=True)
        size = torch.sqrt(torch.view_as_real(spectrum).pow(2).sum(-1) + _SMALLEST_POWER)
        return (self._filters @ size).clamp(min=_SMALLEST_MEL).log()

    def _pooled(self, x: Tensor) -> Tensor:
        """Pool means and deviations over frames, weighted by an attention of each channel: (1, 2 * channels, 1)."""
        frames = x.shape[2]
        even = x.new_full((1, 1, 1), 1 / frames)
        moments = [part.expand(-1, -1, frames) for part in _moments(x, even)]
        h = self._squeeze(torch.cat([x, *moments], 1)).relu_().tanh_()
        return torch.cat(_moments(x, self._attend(h).softmax(2)), 1)


class _Conv:
    """A convolution whose input is mirrored at both ends, so that the length is the same."""

    def __init__(self, tensors: StateReader, name: str, inside: int, outside: int, *window: int) -> None:
        kernel, dilation = window or (1, 1)
        self._layer = tensors.pair(name, outside, inside, kernel)
        self._dilation, total = dilation, dilation * (kernel - 1)
        self._padding = total // 2, total - total // 2

    def __call__(self, x: Tensor) -> Tensor:
        if any(self._padding):
            x = functional.pad(x, self._padding, mode="reflect")
        return functional.conv1d(x, *self._layer, dilation=self._dilation)


class _Block:
    """Convolutions of 1 around a Res2Net, weighted by squeeze and excitation, beside the input."""

    def __init__(
        self, tensors: StateReader, name: str, inside: int, shape: tuple[int, int, int], sizes: SpeakerSizes
    ) -> None:
        channels, kernel, dilation = shape
        self._scale = sizes.scale
        part = channels // sizes.scale
        self._in = _Conv(tensors, f"{name}.tdnn1.conv", inside, channels)
        self._parts = [
            _Conv(tensors, f"{name}.res2net_block.blocks.{n}.conv", part, part, kernel, dilation)
            for n in range(sizes.scale - 1)
        ]
        self._out = _Conv(tensors, f"{name}.tdnn2.conv", channels, channels)
        self._squeeze = _Conv(tensors, f"{name}.se_block.conv1", channels, sizes.squeeze)
        self._excite = _Conv(tensors, f"{name}.se_block.conv2", sizes.squeeze, channels)

    def __call__(self, x: Tensor) -> Tensor:
        first, *others = self._in(x).relu_().chunk(self._scale, 1)
        outputs, last = [first], None
        for conv, part in zip(self._parts, others, strict=True):
            last = conv(part if last is None else part + last).relu_()
            outputs.append(last)
        h = self._out(torch.cat(outputs, 1)).relu_()
        weights = self._excite(self._squeeze(h.mean(2, keepdim=True)).relu_()).sigmoid_()
        return h * weights + x


def _moments(x: Tensor, weights: Tensor) -> list[Tensor]:
    """Return weighted mean and standard deviation over frames, each (1, channels, 1)."""
    mean = (weights * x).sum(2, keepdim=True)
    variance = (weights * (x - mean).pow(2)).sum(2, keepdim=True)
    return [mean, variance.clamp(min=_SMALLEST_VARIANCE).sqrt()]
