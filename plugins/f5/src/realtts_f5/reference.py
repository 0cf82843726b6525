"""Upstream's own solver, its noise given and its cache emptied whatever happens."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.upstream import with_names
from realtts_f5.solver import Cancelled
from realtts_f5.upstream import quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from realtts_f5.frontend import Ask, ChunkPlan

__all__ = ["sample"]


class _WithNoise:
    """torch, but for its random numbers, which are given.

    Args:
        noise: What `randn` returns.
    """

    def __init__(self, noise: Tensor) -> None:
        self._noise = noise

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def randn(self, *shape: Any, device: Any = None, dtype: Any = None) -> Tensor:
        """The noise, which must be of the shape that is asked for."""
        assert tuple(int(size) for size in shape) == tuple(self._noise.shape)
        return self._noise.to(device=device, dtype=dtype)


@torch.inference_mode()
def sample(cfm: Any, ask: Ask, chunk: ChunkPlan, noise: Tensor, cancelled: Callable[[], bool]) -> Tensor:
    """Upstream's ``CFM.sample`` for one chunk.

    Args:
        cfm: Upstream's network; as it was afterwards.
        ask: Of the request.
        chunk: One of its chunks.
        noise: float32 of shape (frames, 100).
        cancelled: Read before every step.

    Returns:
        Mel spectrogram of shape (frames, 100), the recording's part put back.

    Raises:
        Cancelled: The request was cancelled.
    """
    device = cfm.device
    run = with_names(type(cfm).sample, torch=_WithNoise(noise))
    with quiet(), _watched(cfm.transformer, cancelled):
        mel, _ = run(
            cfm,
            cond=torch.from_numpy(ask.reference.samples)[None].to(device),
            text=torch.tensor([chunk.ids], device=device),
            duration=chunk.frames,
            steps=ask.steps,
            cfg_strength=ask.guidance,
            sway_sampling_coef=ask.sway,
        )
    found: Tensor = mel[0]
    return found


@contextlib.contextmanager
def _watched(transformer: Any, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Inside, the solver stops with `Cancelled` at its next step once the request is cancelled.

    Afterwards the embedded text of this chunk is forgotten; upstream keeps it after an error, and speaks it again.
    """

    def ask(*_: Any) -> None:
        if cancelled():
            raise Cancelled

    handle = transformer.time_embed.register_forward_pre_hook(ask)
    transformer.clear_cache()
    try:
        yield
    finally:
        handle.remove()
        transformer.clear_cache()
