"""Draws the frames of the optimized variant's requests and decodes them while they come."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from realtts.accel.decoder import counted, look_of
from realtts.accel.precision import name_of
from realtts.accel.rungs import decoder_details
from realtts.contract import timing
from realtts_qwen3.codec import CodecDecoder, CodecState
from realtts_qwen3.constants import RATE
from realtts_qwen3.network import LOOK, Talker
from realtts_qwen3.runaway import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.offload.sharing import Turns
    from realtts.contract.context import Context
    from realtts.contract.stages import Work
    from realtts.contract.types import FinishReason
    from realtts_qwen3.frames import FrameLoop, Frames
    from realtts_qwen3.loading import Weights
    from realtts_qwen3.utterance import Utterance

__all__ = ["Engine", "Job", "Spoken", "growing"]

_WHOLE = 16
"""Frames that are decoded at once where nobody listens: what pays, and a second in which silence is not seen yet."""

_WHOLE_OFFLOADED = 250
"""The same where talker and codec must change places for it."""


class Spoken(NamedTuple):
    """What is new of a request.

    Attributes:
        row: Whose it is.
        samples: float32 (1920 * frames,).
        frames: How many.
        reason: Why they are the last; None: more follow.
    """

    row: int
    samples: NDArray[np.float32]
    frames: int
    reason: FinishReason | None


@dataclass(frozen=True)
class Job:
    """One of the requests that are spoken together.

    Attributes:
        utterance: What the talker reads.
        state: Of the codec's decoder, behind the recording's frames where these are in the talker's past; it moves on.
        cancelled: Read at every frame.
        sizes: Frames of each piece that is decoded; None: the request is wanted as a whole.
    """

    utterance: Utterance
    state: CodecState
    cancelled: Callable[[], bool]
    sizes: Iterator[int] | None = None


def growing(first: int, growth: float, most: int) -> Iterator[int]:
    """Frames of a stream's chunks: each so many times the one before it, up to the most.

    Args:
        first: Of the first chunk, even if it is more than the most.
        growth: At least 1.
        most: Of the later ones.
    """
    size = float(first)
    while True:
        yield round(size)
        size = max(float(first), min(size * growth, float(most)))


class Engine:
    """Talker, code predictor and the codec's decoder.

    Args:
        weights: The checkpoint.
        device: Where it runs.
        precision: Of talker and code predictor.
        dtype: Of the codec's decoder.
        backend: Captures frames and pieces as graphs; None runs them eagerly.
        turns: Who of ``"talker"`` and ``"codec"`` has the device.

    Attributes:
        talker: Draws frames.
        decoder: Makes samples of them.
        turns: As given.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        device: str,
        precision: Precision,
        dtype: torch.dtype,
        backend: GraphBackend | None,
        turns: Turns,
    ) -> None:
        self.turns = turns
        self.talker = Talker.from_state_dict(
            weights.sizes, weights.states.talker, device=device, precision=precision, backend=backend
        )
        turns.add("talker", self.talker)
        self.decoder = CodecDecoder.from_state_dict(
            weights.codec.decoder, weights.states.decoder, device=device, dtype=dtype, backend=backend
        )
        turns.add("codec", self.decoder)
        self._look = look_of(device, LOOK)
        self._graphs = backend is not None

    @property
    def details(self) -> dict[str, object]:
        """For the status."""
        details = decoder_details(self.talker.decoder, graphs=self._graphs)
        return {**details, "codec_dtype": name_of(self.decoder.dtype)}

    def warm_up(self, utterance: Utterance) -> Tensor:
        """Draw an utterance and decode pieces of all sizes that have graphs; returns samples to be looked at."""
        with self.turns.use("talker"):
            self.talker.warm_up(utterance)
        with self.turns.use("codec"):
            pieces = (1, 2, 4, 8, 16, 32) if self._graphs else (1, 2)
            codes = torch.zeros(max(pieces), self.decoder.quantizers, dtype=torch.int64)
            return torch.cat([self.decoder.samples(codes[:frames]) for frames in pieces])

    def speak(self, context: Context, jobs: Sequence[Job]) -> Generator[Spoken, None, None]:
        """Speak requests together, each to its own end; nothing more comes of one that was cancelled.

        What repeats itself or is silent for too long ends with the reason "length".

        Args:
            context: Of the stage.
            jobs: At most as many as the talker has streams.
        """
        rows = {index: self._row(job) for index, job in enumerate(jobs)}
        try:
            with timing.timed(context, "talker", dtype=self.talker.decoder.precision.products) as work:
                loop = self._begun(rows, work)
                drawn = counted(loop.run(), loop.loop, work, lambda: self.talker.cost(loop))
                for found in self.turns.each("talker", drawn):
                    for index in [index for index, row in rows.items() if row.cancelled()]:
                        loop.stop(index)
                        del rows[index]
                    for index, row in rows.items():
                        row.take(found, index)
                    for spoken in self._decoded(context, rows):
                        if spoken.reason is not None:
                            loop.stop(spoken.row)
                            del rows[spoken.row]
                        yield spoken
                    if not rows:
                        return
                    loop.loop.check_every = self._next_look(rows)
        finally:
            self.talker.release()

    def _begun(self, rows: Mapping[int, _Row], work: Work) -> FrameLoop:
        utterances = [row.utterance for row in rows.values()]
        with self.turns.use("talker"):
            loop = self.talker.begin(utterances, check_every=self._next_look(rows))
        flops = 2 * self.talker.decoder.config.parameters * loop.loop.cache.filled * loop.loop.streams
        work.add(flops=flops, bytes=self.talker.cost(loop)[1])
        return loop

    def _next_look(self, rows: Mapping[int, _Row]) -> int:
        """Frames until the device is asked: no more than the next chunk needs."""
        return min(self._look, *(row.size for row in rows.values()))

    def _decoded(self, context: Context, rows: Mapping[int, _Row]) -> Iterator[Spoken]:
        """Samples of the requests that have enough frames; those that have as many go through the codec together."""
        groups: dict[int, list[int]] = defaultdict(list)
        for index, row in rows.items():
            if row.is_due:
                groups[row.waiting].append(index)
        for frames, members in groups.items():
            group = [rows[index] for index in members]
            samples = self._samples(context, group, frames)
            for index, row, sound in zip(members, group, samples, strict=True):
                if not row.cancelled():
                    yield Spoken(index, sound, frames, row.judged(sound))

    def _samples(self, context: Context, rows: Sequence[_Row], frames: int) -> list[NDArray[np.float32]]:
        codes = torch.stack([row.codes() for row in rows])
        dtype = name_of(self.decoder.dtype)
        cost = {"flops": self.decoder.flops(frames * len(rows)), "bytes": self.decoder.bytes_read}
        with self.turns.use("codec"), timing.timed(context, "codec", steps=frames * len(rows), dtype=dtype, **cost):
            state = rows[0].state if len(rows) == 1 else CodecState.stack([row.state for row in rows])
            samples = self.decoder.push(state, codes)
            if len(rows) > 1:
                for place, row in enumerate(rows):
                    row.state.copy_(state.select([place]))
            return list(samples.cpu().numpy())

    def _row(self, job: Job) -> _Row:
        whole = _WHOLE_OFFLOADED if self.turns.offloaded else _WHOLE
        watch = Watch(rate=RATE, frame=self.decoder.samples_per_frame)
        # What is forced by a benchmark may sound as it likes.
        return _Row(job, job.sizes or growing(whole, 1.0, whole), None if job.utterance.forced else watch)


class _Row:
    """A request that is being spoken: the frames that wait to be decoded.

    Attributes:
        size: Frames that it waits for.
        waiting: Frames that it has.
    """

    def __init__(self, job: Job, sizes: Iterator[int], watch: Watch | None) -> None:
        self.utterance, self.state, self.cancelled = job.utterance, job.state, job.cancelled
        self.size, self.waiting = next(sizes), 0
        self._sizes, self._watch = sizes, watch
        self._codes: list[Tensor] = []
        self._reason: FinishReason | None = None

    def take(self, found: Frames, row: int) -> None:
        """Take its new frames."""
        codes = found.codes[row]
        self._codes.append(codes)
        self.waiting += len(codes)
        if found.finished[row]:
            self._reason = "stop" if found.stopped[row] else "length"
        elif self._watch is not None and self._watch.repeats(codes):
            self._reason = "length"

    @property
    def is_due(self) -> bool:
        """Whether there is enough to be decoded, or no more to come."""
        return self.waiting >= self.size or self._reason is not None

    def codes(self) -> Tensor:
        """What waits, int64 (frames, 16); from here on it waits for the next piece."""
        found = torch.cat(self._codes)
        self._codes, self.waiting, self.size = [], 0, next(self._sizes)
        return found

    def judged(self, sound: NDArray[np.float32]) -> FinishReason | None:
        """Why this was its last piece; None: it goes on."""
        if self._reason is None and self._watch is not None and self._watch.is_silent(sound):
            self._reason = "length"
        return self._reason
