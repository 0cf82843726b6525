"""f5-tts' own network and vocoder for one chunk at a time: its solver, the noise given, its cache emptied always."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.upstream.calls import quiet, stopping, with_names
from realtts_f5.building import model_of, vocoder_of
from realtts_f5.noise import chunk_noise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts_f5.frontend import Ask, ChunkPlan
    from realtts_f5.loading import Weights

__all__ = ["Upstream"]


class Upstream:
    """A checkpoint in f5-tts' networks, float32.

    Args:
        weights: The checkpoint.
        device: Where they lie.

    Attributes:
        cfm: ``CFM``.
        vocos: ``Vocos``.

    Raises:
        CheckpointError: As `realtts_f5.building`.
        MissingExtra: f5-tts or something that it needs is not installed.
    """

    def __init__(self, weights: Weights, device: str) -> None:
        self.cfm = model_of(weights, device)
        self.vocos = vocoder_of(weights, device)

    @torch.inference_mode()
    def mel(self, ask: Ask, chunk: ChunkPlan, cancelled: Callable[[], bool]) -> Tensor:
        """Run ``CFM.sample`` for one chunk.

        Args:
            ask: Of the request.
            chunk: One of its chunks.
            cancelled: Read before every step.

        Returns:
            float32 (frames, 100), the recording's part included.

        Raises:
            Cancelled: The request was cancelled.
        """
        device = self.cfm.device
        noise = chunk_noise(ask.seed, chunk.index, chunk.frames)
        run = with_names(type(self.cfm).sample, torch=_WithNoise(noise))
        with quiet(), _watched(self.cfm.transformer, cancelled):
            mel, _ = run(
                self.cfm,
                cond=torch.from_numpy(ask.reference.samples)[None].to(device),
                text=torch.tensor([chunk.ids], device=device),
                duration=chunk.frames,
                steps=ask.steps,
                cfg_strength=ask.guidance,
                sway_sampling_coef=ask.sway,
            )
        first: Tensor = mel[0].float()
        return first

    @torch.inference_mode()
    def samples(self, ask: Ask, mel: Tensor) -> NDArray[np.float32]:
        """Make the sound of a mel spectrogram, float32 (n,), 24 kHz, without the recording's part.

        Args:
            ask: Of the request.
            mel: From `mel`.
        """
        wave = self.vocos.decode(mel[ask.reference.hops :].T[None])  # (frames, 100) -> (1, 100, frames)
        samples: NDArray[np.float32] = (wave[0] * ask.reference.gain).cpu().numpy()
        return samples


class _WithNoise:
    """torch with given noise in place of its random numbers.

    Args:
        noise: What `randn` returns.
    """

    def __init__(self, noise: Tensor) -> None:
        self._noise = noise

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def randn(self, *shape: Any, device: Any = None, dtype: Any = None) -> Tensor:
        """Return the noise, which must be of the shape that is asked for."""
        assert tuple(int(size) for size in shape) == tuple(self._noise.shape)
        return self._noise.to(device=device, dtype=dtype)


@contextlib.contextmanager
def _watched(transformer: Any, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Stop the solver inside with `Cancelled` at its next step once the request is cancelled.

    Afterwards the embedded text of this chunk is dropped; upstream keeps it after an error, and speaks it again.
    """
    transformer.clear_cache()
    try:
        with stopping(transformer.time_embed, cancelled):
            yield
    finally:
        transformer.clear_cache()
