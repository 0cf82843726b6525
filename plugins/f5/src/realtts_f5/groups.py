"""Chunks that share forwards, from noise to samples, a solver's step at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.finite import IN_FLOAT32, NOT_IN_FLOAT32, check_finite
from realtts.accel.precision import name_of
from realtts.contract import timing
from realtts_f5.mel import log_mel
from realtts_f5.model import network_for, report_compiled
from realtts_f5.network import Item
from realtts_f5.noise import chunk_noise
from realtts_f5.schedule import times
from realtts_f5.solver import Solution

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.contract.context import Context
    from realtts.contract.stages import Work
    from realtts_f5.frontend import Ask, ChunkPlan
    from realtts_f5.model import OptimizedModel

__all__ = ["Group", "Job"]


@dataclass(frozen=True)
class Job:
    """A chunk of one of several requests.

    Attributes:
        row: Number of the request.
        ask: The request.
        chunk: The chunk.
    """

    row: int
    ask: Ask
    chunk: ChunkPlan

    @property
    def kind(self) -> tuple[bool, int, float, float | None]:
        """What chunks of one forward must have in common."""
        return self.ask.half, self.ask.steps, self.ask.guidance, self.ask.sway


class Group:
    """Chunks of one kind whose steps are taken together; no frame of one sees another.

    Args:
        context: Of the hook.
        model: Speaks.
        jobs: The chunks.

    Attributes:
        jobs: The chunks.
    """

    def __init__(self, context: Context, model: OptimizedModel, jobs: Sequence[Job]) -> None:
        self._context, self._model, self.jobs = context, model, jobs
        ask = jobs[0].ask
        self._network = network_for(context, model, ask)
        self._numbers = {job.row for job in jobs}
        with model.turns.use("flow"), self._timed():
            references = {job.row: job.ask.reference.samples for job in jobs}  # chunks of a request share theirs
            recordings = {
                row: log_mel(torch.from_numpy(samples).to(context.device)) for row, samples in references.items()
            }
            items = [_item(job, recordings[job.row]) for job in jobs]
            schedule = times(ask.steps, ask.sway)
            self._solution = Solution(self._network, items, times=schedule, guidance=ask.guidance, graphs=model.graphs)
        rows = 2 if ask.guidance else 1
        self._flops = sum(self._network.flops(item.frames, rows) for item in items)

    @property
    def left(self) -> int:
        """Steps that are left."""
        return self._solution.left

    @property
    def work(self) -> int:
        """Frames in all steps that are left."""
        return self.left * sum(job.chunk.frames for job in self.jobs)

    def advance(self) -> None:
        """Take a step."""
        with self._model.turns.use("flow"), self._timed(steps=1, flops=self._flops):
            self._solution.advance()

    def mels(self) -> list[Tensor]:
        """Return the spectrograms when no step is left, float32 (frames, 100) each, the recording included."""
        if self._model.pieces:  # a new length is compiled anew, and may give up
            report_compiled(self._context, self._model)
        mels = self._solution.mels()
        exact = self._network.dtype == torch.float32 and not self._network.rounded
        for each in mels:
            check_finite(each, "f5", fix=NOT_IN_FLOAT32 if exact else IN_FLOAT32)
        return mels

    def sounds(self) -> list[tuple[Job, NDArray[np.float32]]]:
        """Return the samples when no step is left, float32 (n,) each, without the recording's part."""
        return [(job, self._sound(job, mel)) for job, mel in zip(self.jobs, self.mels(), strict=True)]

    def _sound(self, job: Job, mel: Tensor) -> NDArray[np.float32]:
        vocoder, reference = self._model.vocoder, job.ask.reference
        assert vocoder is not None, "used after unload"
        speech = mel[reference.hops :]
        flops, read = vocoder.flops(len(speech)), vocoder.bytes_read
        timed = timing.timed(
            self._context, "vocoder", steps=1, dtype="float32", flops=flops, bytes=read, rows=[job.row]
        )
        with self._model.turns.use("vocoder"), timed:
            samples: NDArray[np.float32] = (vocoder.samples(speech) * reference.gain).cpu().numpy()
        return samples

    def _timed(self, *, steps: int = 0, flops: int = 0) -> AbstractContextManager[Work]:
        dtype = "int8" if self._network.rounded else name_of(self._network.dtype)
        return timing.timed(self._context, "flow", steps=steps, flops=flops, dtype=dtype, rows=self._numbers)


def _item(job: Job, recording: Tensor) -> Item:
    """Return a chunk as the solver takes it."""
    ask, chunk = job.ask, job.chunk
    return Item(
        mel=recording,
        ids=torch.tensor(chunk.ids, dtype=torch.int64),
        frames=chunk.frames,
        noise=chunk_noise(ask.seed, chunk.index, chunk.frames),
    )
