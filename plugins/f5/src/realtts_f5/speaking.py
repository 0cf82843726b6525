"""Requests spoken by the optimized variant: their chunks in shared forwards, as wholes or while somebody listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.finite import IN_FLOAT32, NOT_IN_FLOAT32, check_finite
from realtts.accel.precision import name_of
from realtts.contract import timing
from realtts.contract.stages import Cancelled
from realtts_f5.join import spoken
from realtts_f5.mel import log_mel
from realtts_f5.model import asked, network_for, report_compiled
from realtts_f5.network import Item
from realtts_f5.noise import chunk_noise
from realtts_f5.schedule import times
from realtts_f5.solver import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.contract.context import Context
    from realtts.contract.types import Chunk, Request
    from realtts_f5.frontend import Ask, ChunkPlan
    from realtts_f5.model import OptimizedModel

__all__ = ["live", "mel", "whole"]

_TOGETHER = {"cpu": 1, "cuda": 16, "mps": 4}
"""Chunks that share a forward. On the CPU one fills the products' tiles: 1, 2 and 4 took 21.5, 21.8 and 21.1 s."""


@dataclass(frozen=True)
class Job:
    """A chunk of one of several requests."""

    row: int
    ask: Ask
    chunk: ChunkPlan

    @property
    def kind(self) -> tuple[bool, int, float, float | None]:
        """What chunks of one forward must have in common."""
        return self.ask.half, self.ask.steps, self.ask.guidance, self.ask.sway


def mel(context: Context, model: OptimizedModel, request: Request) -> Tensor:
    """Compute the mel spectrogram of a request's first chunk, the recording included, float32 (frames, 100)."""
    ask = asked(context, model, request)
    return _mels(context, model, [Job(0, ask, ask.chunks[0])], request.cancelled)[0]


def whole(context: Context, model: OptimizedModel, requests: Sequence[Request]) -> Iterator[tuple[int, Chunk]]:
    """Speak requests as wholes, each as soon as the last of its chunks is there.

    Of a request that is cancelled comes the first chunk of its text, if that is finished. Chunks are computed in the
    order of their lengths, so others may be finished before it.
    """
    asks = [asked(context, model, request) for request in requests]
    sounds: list[dict[int, NDArray[np.float32]]] = [{} for _ in requests]
    waiting = set(range(len(requests)))
    for group in _groups(context, [Job(row, ask, chunk) for row, ask in enumerate(asks) for chunk in ask.chunks]):
        jobs = [job for job in group if not requests[job.row].cancelled()]
        for job, samples in _sounds(context, model, jobs, _all_cancelled([requests[job.row] for job in jobs])):
            sounds[job.row][job.chunk.index] = samples
        for row in sorted(waiting.intersection(job.row for job in group)):
            if len(sounds[row]) == len(asks[row].chunks) or requests[row].cancelled():
                waiting.discard(row)
                for chunk in spoken(asks[row], _take_from(sounds[row])):
                    yield row, chunk
                    if requests[row].cancelled():
                        break


def _all_cancelled(requests: Sequence[Request]) -> Callable[[], bool]:
    """Return what asks whether nobody wants any of these requests any more."""
    return lambda: all(request.cancelled() for request in requests)


def _take_from(sounds: dict[int, NDArray[np.float32]]) -> Callable[[ChunkPlan], NDArray[np.float32]]:
    """Return what hands a chunk's samples out, once; where a cancelled request has none of it, the speech ends."""

    def take(chunk: ChunkPlan) -> NDArray[np.float32]:
        if chunk.index not in sounds:
            raise Cancelled
        return sounds.pop(chunk.index)

    return take


def live(context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
    """Speak one request, one chunk after the other; on a GPU, which is ahead of the listener, ever more at once."""
    ask = asked(context, model, request)
    waiting = [Job(0, ask, chunk) for chunk in ask.chunks]
    ready: dict[int, NDArray[np.float32]] = {}
    size = 1

    def sound(chunk: ChunkPlan) -> NDArray[np.float32]:
        nonlocal size
        if chunk.index not in ready:
            group, waiting[:] = waiting[:size], waiting[size:]
            sounds = _sounds(context, model, group, request.cancelled)
            ready.update((job.chunk.index, samples) for job, samples in sounds)
            size = min(2 * size, _together(context)) if context.device != "cpu" else 1
        if chunk.index not in ready:
            raise Cancelled
        return ready.pop(chunk.index)

    return spoken(ask, sound)


def _groups(context: Context, jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Yield chunks that share forwards: of one kind, of similar length, no more than pays."""
    order = sorted(jobs, key=lambda job: (str(job.kind), job.chunk.frames))
    group: list[Job] = []
    for job in order:
        if group and (len(group) == _together(context) or group[0].kind != job.kind):
            yield group
            group = []
        group.append(job)
    if group:
        yield group


def _sounds(
    context: Context, model: OptimizedModel, jobs: Sequence[Job], cancelled: Callable[[], bool]
) -> list[tuple[Job, NDArray[np.float32]]]:
    """Make the samples of chunks, float32 (n,) each, without the recording's part; of none if nobody wants them."""
    assert model.vocoder is not None, "used after unload"
    try:
        mels = _mels(context, model, jobs, cancelled) if jobs else []
    except Cancelled:
        return []
    sounds = []
    for job, whole_mel in zip(jobs, mels, strict=True):
        reference = job.ask.reference
        speech = whole_mel[reference.hops :]
        flops, read = model.vocoder.flops(len(speech)), model.vocoder.bytes_read
        timed = timing.timed(context, "vocoder", steps=1, dtype="float32", flops=flops, bytes=read)
        with model.turns.use("vocoder"), timed:
            samples = model.vocoder.samples(speech) * reference.gain
            sounds.append((job, samples.cpu().numpy()))
    return sounds


def _mels(context: Context, model: OptimizedModel, jobs: Sequence[Job], cancelled: Callable[[], bool]) -> list[Tensor]:
    """Compute mel spectrograms of chunks of one kind, on the device, float32 (frames, 100) each."""
    ask = jobs[0].ask
    network = network_for(context, model, ask)
    references = {job.row: job.ask.reference.samples for job in jobs}  # chunks of a request share theirs
    recordings = {row: log_mel(torch.from_numpy(samples).to(context.device)) for row, samples in references.items()}
    items = [_item(job, recordings[job.row]) for job in jobs]
    rows = 2 if ask.guidance else 1
    with model.turns.use("flow"), timing.timed(context, "flow", dtype=name_of(network.dtype)) as work:
        schedule = times(ask.steps, ask.sway)
        mels = solve(network, items, times=schedule, guidance=ask.guidance, cancelled=cancelled, graphs=model.graphs)
        work.add(steps=ask.steps, flops=ask.steps * sum(network.flops(item.frames, rows) for item in items))
    if model.pieces:  # a new length is compiled anew, and may give up
        report_compiled(context, model)
    for each in mels:
        check_finite(each, "f5", fix=NOT_IN_FLOAT32 if network.dtype == torch.float32 else IN_FLOAT32)
    return mels


def _item(job: Job, recording: Tensor) -> Item:
    """Return a chunk as the solver takes it."""
    ask, chunk = job.ask, job.chunk
    return Item(
        mel=recording,
        ids=torch.tensor(chunk.ids, dtype=torch.int64),
        frames=chunk.frames,
        noise=chunk_noise(ask.seed, chunk.index, chunk.frames),
    )


def _together(context: Context) -> int:
    """Return how many chunks share a forward on the context's device."""
    return _TOGETHER.get(context.device.partition(":")[0], 1)
