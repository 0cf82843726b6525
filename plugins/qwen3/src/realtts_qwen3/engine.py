"""Draws the frames of the optimized variant's requests and decodes them while they come."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from realtts.accel.decoder import counted, sync_interval
from realtts.accel.decoder.rungs import decoder_details
from realtts.accel.precision import name_of
from realtts.contract import timing
from realtts_qwen3.codec import CodecState
from realtts_qwen3.codec_graphs import LARGEST
from realtts_qwen3.constants import RATE
from realtts_qwen3.network import SYNC_INTERVAL, Talker
from realtts_qwen3.runaway import RunawayDetector

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.offload.sharing import DeviceSharing
    from realtts.contract.context import Context
    from realtts.contract.stages import Work
    from realtts.contract.types import FinishReason
    from realtts_qwen3.codec import CodecDecoder
    from realtts_qwen3.frames import FrameLoop, Frames
    from realtts_qwen3.loading import Weights
    from realtts_qwen3.prompt import Prompts
    from realtts_qwen3.utterance import Utterance

__all__ = ["Engine", "Job", "Piece", "growing_sizes"]

_WHOLE = 16
"""Frames that are decoded at once for whole speech: more would hardly be faster, and silence would be seen later."""

_WHOLE_OFFLOADED = 250
"""The same with offloading, where talker and codec must change places for each piece."""


class Piece(NamedTuple):
    """A new piece of one request's speech.

    Attributes:
        row: Index of the request.
        samples: float32 (1920 * frames,).
        frames: Number of frames.
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
        state: State of the codec's decoder, behind the recording's frames where these are in the talker's past; it
            moves on.
        cancelled: Whether the request was cancelled; called at every frame.
        sizes: Frames of each piece that is decoded; None: those of whole speech.
    """

    utterance: Utterance
    state: CodecState
    cancelled: Callable[[], bool]
    sizes: Iterator[int] | None = None


def growing_sizes(first: int, growth: float, most: int) -> Iterator[int]:
    """Yield the frames of a stream's chunks, each so many times the one before it, up to the most.

    Args:
        first: Frames of the first chunk, even if they are more than the most.
        growth: Factor from chunk to chunk, at least 1.
        most: Most frames of the later chunks.
    """
    size = float(first)
    while True:
        yield round(size)
        size = max(float(first), min(size * growth, float(most)))


class Engine:
    """Talker, code predictor and the codec's decoder, packed.

    Args:
        weights: The checkpoint.
        prompts: The talker's embeddings, read.
        codec: The codec's decoder, read and not packed yet.
        precision: Precision of talker and code predictor.
        backend: Captures frames and pieces as graphs; None runs them eagerly.
        turns: Moves ``"talker"`` and ``"codec"`` to the device in turn.

    Attributes:
        talker: Draws frames.
        codec: Decodes frames to samples.
        turns: As given.
    """

    def __init__(
        self,
        weights: Weights,
        prompts: Prompts,
        codec: CodecDecoder,
        *,
        precision: Precision,
        backend: GraphBackend | None,
        turns: DeviceSharing,
    ) -> None:
        self.turns, self.codec = turns, codec.compile(backend)
        # With offloading the codec leaves the device before the talker comes: the talker is the largest part.
        turns.add("codec", codec)
        self.talker = Talker.pack(weights.sizes, weights.states.talker, prompts, precision=precision, backend=backend)
        turns.add("talker", self.talker)
        self._sync_interval = sync_interval(codec.device, SYNC_INTERVAL)
        self._backend = backend
        self._has_graphs = False

    @property
    def details(self) -> dict[str, object]:
        """What runs, for the status."""
        decoder = self.talker.decoder
        weights = decoder.precision.weights
        return {
            **decoder_details(decoder, graphs=self._has_graphs),
            "quantization": weights if weights.startswith("int") else "none",
            "codec_dtype": name_of(self.codec.dtype),
            "compile": False,  # nothing here is given to torch.compile, whatever the setting
            **self.turns.details,
        }

    def prepare(self, utterance: Utterance) -> None:
        """Make the decode loop of a single request, and capture the graphs of such an utterance, if any."""
        with self.turns.use("talker"):
            self._has_graphs = bool(self.talker.prepare(utterance).loop.graphs)
        if self._backend is not None:
            with self.turns.use("codec"):
                self.codec.capture(LARGEST)

    def warm_up(self, utterance: Utterance) -> Tensor:
        """Draw an utterance and decode pieces of all sizes that have graphs; returns the samples, to be checked."""
        with self.turns.use("talker"):
            for _ in self.talker.decode([utterance]):
                pass
        with self.turns.use("codec"):
            # 1, 2, 4 and so on: a piece of each graph.
            pieces = [1 << power for power in range((LARGEST if self._has_graphs else 2).bit_length())]
            codes = torch.zeros(max(pieces), self.codec.quantizers, dtype=torch.int64)
            return torch.cat([self.codec.samples(codes[:frames]) for frames in pieces])

    def speak(self, context: Context, jobs: Sequence[Job]) -> Generator[Piece, None, None]:
        """Speak requests together, each to its end; a cancelled one gives no more pieces.

        A request that repeats itself or is silent for too long ends with the reason "length".

        Args:
            context: Context of the stage.
            jobs: At most as many as the talker has streams.
        """
        rows = {index: self._row(job) for index, job in enumerate(jobs)}
        try:
            with timing.timed(context, "talker", dtype=self.talker.decoder.precision.products) as work:
                loop = self._begun(rows, work)
                drawn = counted(loop.run(), loop.loop, work, lambda: self.talker.cost(loop))
                for frames in self.turns.each("talker", drawn):
                    for index in [index for index, row in rows.items() if row.cancelled()]:
                        loop.stop(index)
                        del rows[index]
                    for index, row in rows.items():
                        row.take(frames, index)
                    for piece in self._decoded(context, rows):
                        if piece.reason is not None:
                            loop.stop(piece.row)
                            del rows[piece.row]
                        yield piece
                    if not rows:
                        return
                    loop.loop.check_every = self._next_sync(rows)
        finally:
            self.talker.release()

    def _begun(self, rows: Mapping[int, _Row], work: Work) -> FrameLoop:
        """Read the prompts of all rows and draw their first codes."""
        utterances = [row.utterance for row in rows.values()]
        with self.turns.use("talker"):
            loop = self.talker.begin(utterances, check_every=self._next_sync(rows))
        flops = 2 * self.talker.decoder.config.parameters * loop.loop.cache.filled * loop.loop.streams
        work.add(flops=flops, bytes=self.talker.cost(loop)[1])
        return loop

    def _next_sync(self, rows: Mapping[int, _Row]) -> int:
        """Return the frames until the next synchronization: no more than the next chunk needs."""
        return min(self._sync_interval, *(row.size for row in rows.values()))

    def _decoded(self, context: Context, rows: Mapping[int, _Row]) -> Iterator[Piece]:
        """Decode the requests that have enough frames; those with equally many go through the codec together."""
        groups: dict[int, list[int]] = defaultdict(list)
        for index, row in rows.items():
            if row.is_due:
                groups[row.waiting].append(index)
        for frames, members in groups.items():
            group = [rows[index] for index in members]
            samples = self._samples(context, group, frames)
            for index, row, new in zip(members, group, samples, strict=True):
                if not row.cancelled():
                    yield Piece(index, new, frames, row.judge(new))

    def _samples(self, context: Context, rows: Sequence[_Row], frames: int) -> list[NDArray[np.float32]]:
        """Decode what waits in rows that have equally many frames."""
        codes = torch.stack([row.codes() for row in rows])  # (rows, frames, 16)
        steps, dtype = frames * len(rows), name_of(self.codec.dtype)
        flops, read = self.codec.flops(steps), self.codec.bytes_read
        timed = timing.timed(context, "codec", steps=steps, dtype=dtype, flops=flops, bytes=read)
        with self.turns.use("codec"), timed:
            state = rows[0].state if len(rows) == 1 else CodecState.stack([row.state for row in rows])
            samples = self.codec.push(state, codes)
            if len(rows) > 1:
                for place, row in enumerate(rows):
                    row.state.copy_(state.select([place]))
            return list(samples.cpu().numpy())

    def _row(self, job: Job) -> _Row:
        whole = _WHOLE_OFFLOADED if self.turns.offloaded else _WHOLE
        # A benchmark's forced length is not ended early, whatever it sounds like.
        detector = None
        if not job.utterance.forced:
            detector = RunawayDetector(rate=RATE, frame=self.codec.samples_per_frame)
        return _Row(job, job.sizes or growing_sizes(whole, 1.0, whole), detector)


class _Row:
    """A request that is being spoken, and its frames that wait to be decoded.

    Args:
        job: The request.
        sizes: Frames of its pieces.
        detector: Ends it when it repeats itself or is silent for too long.

    Attributes:
        utterance: What the talker reads.
        state: State of the codec's decoder.
        cancelled: Whether the request was cancelled.
        size: Frames of the next piece.
        waiting: Frames that wait.
    """

    def __init__(self, job: Job, sizes: Iterator[int], detector: RunawayDetector | None) -> None:
        self.utterance, self.state, self.cancelled = job.utterance, job.state, job.cancelled
        self.size, self.waiting = next(sizes), 0
        self._sizes, self._detector = sizes, detector
        self._codes: list[Tensor] = []
        self._reason: FinishReason | None = None

    def take(self, frames: Frames, row: int) -> None:
        """Add the new frames of a row of the loop."""
        codes = frames.codes[row]
        self._codes.append(codes)
        self.waiting += len(codes)
        if frames.finished[row]:
            self._reason = "stop" if frames.stopped[row] else "length"
        elif self._detector is not None and self._detector.repeats(codes):
            self._reason = "length"

    @property
    def is_due(self) -> bool:
        """Whether there is enough to be decoded, or no more to come."""
        return self.waiting >= self.size or self._reason is not None

    def codes(self) -> Tensor:
        """Return the frames that wait, int64 (frames, 16), and begin the next piece."""
        codes = torch.cat(self._codes)
        self._codes, self.waiting, self.size = [], 0, next(self._sizes)
        return codes

    def judge(self, samples: NDArray[np.float32]) -> FinishReason | None:
        """Return why this was the last piece, or None if the request goes on."""
        if self._reason is None and self._detector is not None and self._detector.is_silent(samples):
            self._reason = "length"
        return self._reason
