"""Mel spectrograms to samples: upstream's HiFTGenerator, always in float32.

A sample depends on `CONTEXT` frames of spectrogram and source on either side; the source depends on the pitch of all
frames before it, through its phase; pitch depends on `PITCH_CONTEXT` frames on either side. So a stretch can be
computed by itself and equals the whole's, if it is given those frames and the phase (`Phase`). Weights keep upstream's
names (checkpoint: ``mel2wav.*``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts_chatterbox.constants import HARMONICS, RATE, SAMPLES_PER_FRAME
from realtts_chatterbox.vocoder_body import Body, pair
from realtts_chatterbox.vocoder_graphs import GraphedBody

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts_chatterbox.noise import Noise

    State = Mapping[str, Tensor]

__all__ = ["CONTEXT", "FADE", "PITCH_CONTEXT", "Phase", "Vocoder", "faded"]

PITCH_CONTEXT = 5
"""Frames on either side on which the pitch of a frame depends: five convolutions of three."""

CONTEXT = 15
"""Frames of spectrogram and source on either side on which the samples of a frame depend (14.4 by its convolutions)."""

FADE = 960
"""Samples at the beginning that upstream silences and fades in: the voice prompt may be heard in them."""

_FFT, _HOP = 16, 4
_VOICED_HZ = 10.0
_AMPLITUDE, _BREATH = 0.1, 0.003
_LOUDEST = 0.99


@dataclass(frozen=True)
class Phase:
    """State of the source at the end of a stretch.

    Attributes:
        frames: Frames before it.
        turns: Accumulated phase of the fundamental and its overtones, in turns, float64 (9, 1).
    """

    frames: int
    turns: Tensor


class Vocoder:
    """The vocoder of one checkpoint. It keeps nothing of a request, so requests can share it, one at a time.

    Args:
        state: Upstream's tensors without ``mel2wav.``; weight norm is folded into the weights here.
        device: Where to compute.

    Attributes:
        device: Where to compute.
        bins: Bands of the mel spectrogram.
        bytes_read: Bytes of weights that a call reads at least.

    Raises:
        KeyError: A tensor is missing.
    """

    def __init__(self, state: State, device: torch.device) -> None:
        self.device = device
        full = _folded({name: tensor.to(device, torch.float32) for name, tensor in state.items()})
        self._pitch = [pair(full, f"f0_predictor.condnet.{n}") for n in (0, 2, 4, 6, 8)]
        self._classifier = pair(full, "f0_predictor.classifier")
        self._merge = pair(full, "m_source.l_linear")
        body = Body(full)
        self.bins = body.bins
        self._eager = body
        self._body: Body | GraphedBody = body
        per_frame = sum(weight.numel() for weight, _ in (*self._pitch, self._classifier))
        self._flops_per_frame = 2 * per_frame + body.flops_per_frame
        self.bytes_read = sum(tensor.nbytes for name, tensor in full.items() if name.endswith(".weight"))
        self._window = torch.hann_window(_FFT, periodic=True, dtype=torch.float64).float().to(device)

    @classmethod
    def from_state_dict(cls, state: State, *, device: torch.device, backend: GraphBackend | None = None) -> Vocoder:
        """Read the weights and, with a backend, use its graphs; as the class and `use_graphs`.

        Raises:
            KeyError: A tensor is missing.
        """
        vocoder = cls(state, device)
        if backend is not None:
            vocoder.use_graphs(backend)
        return vocoder

    def use_graphs(self, backend: GraphBackend) -> None:
        """Run the convolutions by graphs of this backend from now on, each captured when a length first needs it."""
        self._body = GraphedBody(self._eager, backend)

    def seal(self) -> None:
        """Capture nothing from now on; other lengths are computed without graphs."""
        if isinstance(self._body, GraphedBody):
            self._body.seal()

    @property
    def slack(self) -> int:
        """Frames that a padded spectrogram must have behind it."""
        return self._body.slack

    def flops(self, frames: int) -> int:
        """Return the floating-point operations of the convolutions for so many frames of spectrogram."""
        return frames * self._flops_per_frame

    @torch.inference_mode()
    def samples(self, mel: Tensor, noise: Noise) -> Tensor:
        """Compute a whole request, without the fade at its beginning (`faded`).

        Args:
            mel: (80, frames).
            noise: Of the request.

        Returns:
            float32 (480 * frames,), 24 kHz.
        """
        mel = mel.to(self.device, torch.float32)
        source, _ = self.source(self.pitch(mel), noise, self.start())
        return self.decoded(mel, source)

    def start(self) -> Phase:
        """Return the phase before the first frame."""
        return Phase(0, torch.zeros(HARMONICS, 1, dtype=torch.float64, device=self.device))

    @torch.inference_mode()
    def pitch(self, mel: Tensor) -> Tensor:
        """Predict the Hz of each frame, float32 (frames,); exact with `PITCH_CONTEXT` frames on either side."""
        h = mel[None]  # (1, 80, frames)
        for weight, bias in self._pitch:
            h = functional.elu_(functional.conv1d(h, weight, bias, padding=1))
        # The source adds the pitch up over time, so even the last bits count: shapes are upstream's.
        return functional.linear(h.transpose(1, 2), *self._classifier)[0, :, 0].abs()

    @torch.inference_mode()
    def source(self, pitch: Tensor, noise: Noise, phase: Phase) -> tuple[Tensor, Phase]:
        """Compute the excitation of the frames that follow ``phase``.

        Args:
            pitch: Hz, (frames,).
            noise: Of the request.
            phase: State of the source before them.

        Returns:
            float32 (480 * frames,), and the state behind them.
        """
        frames = len(pitch)
        hertz = pitch.repeat_interleave(SAMPLES_PER_FRAME)  # (frames,) -> (480 * frames,)
        numbers = torch.arange(1, HARMONICS + 1, device=self.device)[:, None]
        steps = hertz * numbers / RATE
        # On the CPU torch sums float32 numbers in float64 and rounds each sum. The same here, but it can be continued.
        turns = torch.cat([phase.turns, steps.double()], 1).cumsum(1)[:, 1:]
        angles = 2 * math.pi * (turns.float() % 1) + noise.phase().to(self.device)
        voiced = (hertz > _VOICED_HZ).float()
        breath = voiced * _BREATH + (1 - voiced) * (_AMPLITUDE / 3)
        drawn = noise.source(phase.frames, phase.frames + frames).to(self.device)
        waves = _AMPLITUDE * torch.sin(angles) * voiced + breath * drawn
        merged = torch.tanh(functional.linear(waves.T, *self._merge))[:, 0]
        return merged, Phase(phase.frames + frames, turns[:, -1:])

    @torch.inference_mode()
    def decoded(self, mel: Tensor, source: Tensor) -> Tensor:
        """Decode spectrogram and source to samples, float32 (480 * frames,).

        Args:
            mel: float32 (80, frames).
            source: (480 * frames,).
        """
        spectrum = torch.stft(source[None], _FFT, _HOP, _FFT, window=self._window, return_complex=True)
        excitation = torch.cat([spectrum.real, spectrum.imag], 1)  # two of (1, 9, 120 * frames + 1) -> (1, 18, ...)
        x = self._body(mel, excitation)
        bins = _FFT // 2 + 1
        magnitude = x[:, :bins].exp().clamp_(max=100.0)
        angle = x[:, bins:].sin()  # upstream's "phase" is the sine of the network's output, in radians
        samples = torch.istft(torch.polar(magnitude, angle), _FFT, _HOP, _FFT, window=self._window)
        return samples[0].clamp_(-_LOUDEST, _LOUDEST)


def faded(samples: Tensor, begin: int = 0) -> Tensor:
    """Silence and fade in the first 40 ms of a request, as upstream does.

    Args:
        samples: (n,).
        begin: Index of the first of them among the request's samples.

    Returns:
        (n,); ``samples`` itself beyond the fade.
    """
    if begin >= FADE or not len(samples):
        return samples
    half = FADE // 2
    gains = torch.zeros(FADE)
    gains[half:] = (torch.cos(torch.linspace(torch.pi, 0, half)) + 1) / 2
    gains = gains[begin : begin + len(samples)].to(samples.device)
    return torch.cat([samples[: len(gains)] * gains, samples[len(gains) :]])


def _folded(state: State) -> dict[str, Tensor]:
    """Fold weight norm: multiply directions by lengths, in either of torch's two namings."""
    out = {}
    for name, tensor in state.items():
        for length, direction in (
            (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
            (".weight_g", ".weight_v"),
        ):
            if name.endswith(length):
                stem = name[: -len(length)]
                out[f"{stem}.weight"] = torch._weight_norm(state[stem + direction], tensor, 0)
        out[name] = tensor
    return out
