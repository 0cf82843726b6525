"""The randomness of one request's audio, by absolute position: the same for the whole, for a batch and for a stream.

Upstream draws all of it from torch's global generator, in shapes that depend on the length, so that neither a stream
nor a batch could repeat it. The distributions are upstream's (``s3gen/flow_matching.py``, ``s3gen/hifigan.py``).
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from realtts_chatterbox.constants import HARMONICS, MELS, SAMPLES_PER_FRAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

__all__ = ["InjectedNoise", "Noise"]

_BLOCK = 64
"""Frames that are drawn at once; always whole blocks, because torch's values depend on how many are drawn at once."""


class Noise:
    """The noise of one request.

    Where the flow starts and the phases are drawn on the CPU, so that every device gets the same. The source's noise,
    4320 numbers a frame, which take the CPU 20 ms for 10 s of speech, is drawn on a CUDA device by itself: breath that
    differs from that of other devices, and is the same each time.

    Args:
        seed: Of the request.
        device: Where the source's noise is needed.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        place = torch.device(device)
        self._seed = seed
        self._mel = _Blocks(seed, "mel", MELS)
        self._source = _Blocks(
            seed, "source", HARMONICS * SAMPLES_PER_FRAME, place if place.type == "cuda" else torch.device("cpu")
        )

    def prompt(self, frames: int) -> Tensor:
        """Draw the flow's start for the frames of the voice's prompt, float32 (80, frames)."""
        drawn = torch.randn(frames, MELS, generator=_generator(self._seed, "prompt"))
        return drawn.T.contiguous()

    def mel(self, begin: int, end: int) -> Tensor:
        """Return the flow's start for the frames of speech from ``begin`` to ``end``, float32 (80, end - begin)."""
        return self._mel.rows(begin, end).T.contiguous()

    def phase(self) -> Tensor:
        """Draw the phases at which the overtones start, float32 (9, 1), uniform in [-pi, pi); 0 for the fundamental."""
        drawn = torch.rand(HARMONICS, 1, generator=_generator(self._seed, "phase")) * (2 * math.pi) - math.pi
        drawn[0] = 0
        return drawn

    def source(self, begin: int, end: int) -> Tensor:
        """Return the source's noise for the frames from ``begin`` to ``end``, float32 (9, 480 * (end - begin)).

        It lies on the device, where that is a CUDA device, else on the CPU.
        """
        drawn = self._source.rows(begin, end).view(-1, HARMONICS, SAMPLES_PER_FRAME)
        return drawn.transpose(0, 1).reshape(HARMONICS, -1)  # (frames, 9, 480) -> (9, 480 * frames)


class InjectedNoise(TorchFunctionMode):
    """Makes upstream's S3Gen draw from `Noise` inside it, instead of from torch's global generator.

    Nothing is patched: the mode intercepts the calls by which ``S3Token2Wav`` draws.

    Args:
        noises: One for each row of the batch.
        prompt_frames: Mel frames of the voice's prompt.
    """

    def __init__(self, noises: Sequence[Noise], prompt_frames: int) -> None:
        super().__init__()
        self._noises, self._prompt = noises, prompt_frames

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Answer the calls that draw; pass all others on."""
        kwargs = kwargs or {}
        if func is torch.randn_like:
            return self._normal(tuple(args[0].shape)).to(args[0])
        if func in {torch.rand, torch.randn}:
            shape = tuple(args[0]) if len(args) == 1 and not isinstance(args[0], int) else args
            drawn = self._uniform() if func is torch.rand else self._speech(shape[-1])
            return drawn.to(kwargs.get("device") or drawn.device)
        return func(*args, **kwargs)

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        if shape[1] == MELS:
            prompts = torch.stack([noise.prompt(self._prompt) for noise in self._noises])
            return torch.cat([prompts, self._speech(shape[2] - self._prompt)], 2)
        if shape[1] == HARMONICS:
            return torch.stack([noise.source(0, shape[2] // SAMPLES_PER_FRAME) for noise in self._noises])
        return torch.zeros(shape)  # for the source's noise branch, which the vocoder does not use

    def _speech(self, frames: int) -> Tensor:
        return torch.stack([noise.mel(0, frames) for noise in self._noises])

    def _uniform(self) -> Tensor:
        """Return the phases as upstream draws them: numbers in [0, 1)."""
        return torch.stack([noise.phase() for noise in self._noises]) / (2 * math.pi) + 0.5


class _Blocks:
    """A long matrix of normal numbers, drawn block by block as its rows are needed."""

    def __init__(self, seed: int, name: str, width: int, device: torch.device | None = None) -> None:
        self._device = device or torch.device("cpu")
        self._generator = _generator(seed, name, self._device)
        self._width = width
        self._rows = torch.empty(0, width, device=self._device)

    def rows(self, begin: int, end: int) -> Tensor:
        """Return the rows from ``begin`` to ``end``, (end - begin, width)."""
        missing = end - len(self._rows)
        if missing > 0:
            blocks = [
                torch.randn(_BLOCK, self._width, generator=self._generator, device=self._device)
                for _ in range(-(-missing // _BLOCK))
            ]
            self._rows = torch.cat([self._rows, *blocks])
        return self._rows[begin:end]


def _generator(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Seed a generator for one purpose. torch's generators use 32 bits of a seed, so the bits are mixed first."""
    mixed = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=7).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(mixed, "big"))
