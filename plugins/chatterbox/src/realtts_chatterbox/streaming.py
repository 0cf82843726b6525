"""Audio while T3 is still decoding: one request's tokens come in, its samples come out.

Samples that were yielded never change, so each part of the mel spectrogram is computed once, from the voice's prompt, a
few tokens before it and a few behind it. The flow's attention looks both ways over its whole input, so this mel is not
that of the whole request: how much it differs depends on the weights, and tests state it for random ones. The vocoder's
receptive field is finite, and its stretches equal the whole's.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

import torch

from realtts.contract.stages import Cancelled, Work, never
from realtts_chatterbox.constants import FRAMES_PER_TOKEN, SAMPLES_PER_FRAME
from realtts_chatterbox.flow import LOOKAHEAD, Piece, finished
from realtts_chatterbox.vocoder import CONTEXT, PITCH_CONTEXT, faded

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from torch import Tensor

    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.flow import Flow
    from realtts_chatterbox.noise import Noise
    from realtts_chatterbox.vocoder import Vocoder

    Timed = Callable[[str, int], contextlib.AbstractContextManager[Work]]
    """Times a stage, ``flow`` or ``vocoder``, of so many steps, and yields the `Work` in which it is counted."""

__all__ = ["MelStream", "SampleStream", "SpeechStream", "timed_units", "untimed"]

_Result = TypeVar("_Result")


def untimed(stage: str, _steps: int) -> contextlib.AbstractContextManager[Work]:
    """Time nothing: for calls outside of a request."""
    return contextlib.nullcontext(Work(stage, "float32"))


def timed_units(
    work: Generator[None, None, _Result], timed: Timed, steps: int, cost: Mapping[str, int]
) -> Generator[None, None, _Result]:
    """Do some work of the flow, each unit timed by itself: others compute between two of them.

    Args:
        work: The units.
        timed: Times one.
        steps: Of all units together, counted with the first one.
        cost: Operations and bytes, as `Work.add` takes them, likewise.
    """
    count, now = steps, cost
    while True:
        with timed("flow", count) as work_of_unit:
            work_of_unit.add(**now)
            try:
                next(work)
            except StopIteration as done:
                result: _Result = done.value
                return result
        count, now = 0, {}
        yield


class SpeechStream:
    """Tokens to samples, piece by piece.

    Args:
        mel: Tokens to mel.
        samples: Mel to samples.
        cancelled: Called before each call of the vocoder.
    """

    def __init__(self, mel: MelStream, samples: SampleStream, cancelled: Callable[[], bool] = never) -> None:
        self._mel, self._samples, self._cancelled = mel, samples, cancelled

    def push(self, tokens: Sequence[int], *, final: bool) -> Tensor:
        """Take tokens that T3 has decoded, and return the samples that can be computed now.

        Args:
            tokens: Speech tokens that follow those pushed before; may be none.
            final: Whether they are the last.

        Returns:
            float32 (n,), 24 kHz; empty while there are too few tokens; ``faded`` at the request's beginning. All
            pushes together: 960 samples a token.

        Raises:
            Cancelled: If ``cancelled`` says so. The stream is of no use then.
        """
        self.take(tokens)
        parts = [part for part in self.units(final=final) if part is not None]
        return torch.cat(parts) if parts else torch.empty(0)

    def take(self, tokens: Sequence[int]) -> None:
        """Take tokens that follow."""
        self._mel.take(tokens)

    def ready(self, *, final: bool) -> bool:
        """Tell whether there are tokens enough for a piece; ``final``: no more will come."""
        return self._mel.ready(final=final) is not None

    @property
    def waiting(self) -> int:
        """Tokens of which no piece was made."""
        return self._mel.waiting

    def units(self, *, final: bool) -> Iterator[Tensor | None]:
        """Do what `push` does in units: yield the samples of each piece, and None between two steps of the solver.

        What a piece is depends on the tokens alone, however they come.
        """
        while (size := self._mel.ready(final=final)) is not None:
            mel = yield from self._mel.piece(size)
            if self._cancelled():
                raise Cancelled
            yield self._samples.push(mel, final=final and not self._mel.waiting)


class MelStream:
    """Tokens to mel, in pieces that grow.

    Each piece costs a pass over the voice's prompt: with the defaults and a prompt of 200 tokens, 250 tokens take 4
    passes. The first piece must be longer than the 20 frames that the vocoder holds back, or no sample comes of it.

    Args:
        flow: Tokens to mel.
        voice: Of the request.
        noise: Of the request.
        chunk_tokens: Tokens of the first piece.
        growth: How many times longer each piece is than the one before; 1 keeps them equal.
        lookahead_tokens: Tokens that must be known behind a piece; at least 3.
        left_tokens: Tokens before a piece that are computed again with it, as context.
        steps: Steps of the flow's solver.
        cancelled: Called before each of its steps.
        timed: Wraps each call of the flow.
    """

    def __init__(
        self,
        flow: Flow,
        voice: Conditionals,
        noise: Noise,
        *,
        chunk_tokens: int = 20,
        growth: float = 3.0,
        lookahead_tokens: int = LOOKAHEAD,
        left_tokens: int = 10,
        steps: int | None = None,
        cancelled: Callable[[], bool] = never,
        timed: Timed = untimed,
    ) -> None:
        assert chunk_tokens >= 1
        assert growth >= 1
        assert left_tokens >= 0
        assert lookahead_tokens >= LOOKAHEAD
        self._flow, self._voice, self._noise = flow, voice, noise
        self._size, self._growth = float(chunk_tokens), growth
        self._ahead, self._left = lookahead_tokens, left_tokens
        self._steps, self._cancelled, self._timed = steps or flow.default_steps, cancelled, timed
        self._tokens: list[int] = []  # from `_begin` on
        self._begin = 0
        self._done = 0  # tokens whose mel was returned

    def push(self, tokens: Sequence[int], *, final: bool) -> Tensor:
        """Return the mel that can be computed now, float32 (80, frames), perhaps of no frames."""
        self.take(tokens)
        pieces = []
        while (size := self.ready(final=final)) is not None:
            pieces.append(finished(self.piece(size)))
        return torch.cat([torch.empty(self._flow.bins, 0, device=self._flow.device), *pieces], 1)

    def take(self, tokens: Sequence[int]) -> None:
        """Take tokens that follow."""
        self._tokens += tokens

    def ready(self, *, final: bool) -> int | None:
        """Return how many tokens the next piece has; None while there are too few.

        Args:
            final: Whether no tokens follow.
        """
        if self.waiting >= int(self._size) + self._ahead:
            return int(self._size)
        return self.waiting if final and self.waiting else None

    @property
    def waiting(self) -> int:
        """Tokens whose mel was not computed yet."""
        return self._begin + len(self._tokens) - self._done

    def piece(self, count: int) -> Generator[None, None, Tensor]:
        """Compute the mel of so many tokens, as many as `ready` says; yield between two steps of the solver.

        Returns:
            float32 (80, frames).
        """
        left = self._done - self._begin
        # Behind the last tokens there is nothing to look at.
        final = count == self.waiting
        end = None if final else left + count + self._ahead
        if not final:
            self._size *= self._growth
        piece = Piece(
            torch.tensor(self._tokens[:end], dtype=torch.int64),
            self._voice,
            self._noise,
            begin=FRAMES_PER_TOKEN * self._begin,
            final=final,
        )
        cost = {"flops": self._flow.flops([piece], self._steps), "bytes": self._flow.bytes_read(self._steps)}
        work = self._flow.solving([piece], steps=self._steps, cancelled=self._cancelled)
        mel = (yield from timed_units(work, self._timed, self._steps, cost))[0]
        # The context before the piece and the look-ahead behind it are cut off.
        mel = mel[:, FRAMES_PER_TOKEN * left : FRAMES_PER_TOKEN * (left + count)]
        self._done += count
        drop = max(0, left + count - self._left)
        self._begin += drop
        self._tokens = self._tokens[drop:]
        return mel


class SampleStream:
    """Mel to samples, stretch by stretch; they equal those of the whole mel.

    Args:
        vocoder: Mel to samples.
        noise: Of the request.
        timed: Wraps each call of the vocoder.
    """

    def __init__(self, vocoder: Vocoder, noise: Noise, timed: Timed = untimed) -> None:
        self._vocoder, self._noise, self._timed = vocoder, noise, timed
        self._phase = vocoder.start()
        self._mel = torch.empty(vocoder.bins, 0, device=vocoder.device)  # from frame `_begin` on
        self._source = torch.empty(0, device=vocoder.device)  # of the frames from `_begin` to the phase's
        self._begin = 0
        self._done = 0  # frames whose samples were returned

    def push(self, mel: Tensor, *, final: bool) -> Tensor:
        """Take the mel that follows, (80, frames), and return the samples that can be computed, float32 (n,)."""
        if not mel.shape[1] and not final:
            return self._source[:0]
        with self._timed("vocoder", 1) as work:
            return self._pushed(mel, work, final=final)

    def _pushed(self, mel: Tensor, work: Work, *, final: bool) -> Tensor:
        self._mel = torch.cat([self._mel, mel.to(self._mel)], 1)
        frames = self._begin + self._mel.shape[1]
        self._excite(frames if final else frames - PITCH_CONTEXT)
        end = frames if final else self._phase.frames - CONTEXT
        if end <= self._done:
            return self._source[:0]
        excited = self._phase.frames - self._begin
        work.add(flops=self._vocoder.flops(excited), bytes=self._vocoder.bytes_read)
        samples = self._vocoder.decoded(self._mel[:, :excited], self._source)
        window = slice((self._done - self._begin) * SAMPLES_PER_FRAME, (end - self._begin) * SAMPLES_PER_FRAME)
        out = faded(samples[window], self._done * SAMPLES_PER_FRAME)
        self._done = end
        self._forget()
        return out

    def _excite(self, end: int) -> None:
        """Continue the source up to a frame."""
        begin = self._phase.frames
        if end <= begin:
            return
        first = max(self._begin, begin - PITCH_CONTEXT)
        pitch = self._vocoder.pitch(self._mel[:, first - self._begin :])[begin - first : end - first]
        source, self._phase = self._vocoder.source(pitch, self._noise, self._phase)
        self._source = torch.cat([self._source, source])

    def _forget(self) -> None:
        drop = self._done - CONTEXT - self._begin
        if drop > 0:
            self._mel = self._mel[:, drop:]
            self._source = self._source[drop * SAMPLES_PER_FRAME :]
            self._begin += drop
