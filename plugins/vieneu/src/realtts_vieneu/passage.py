"""A request that is being spoken: its sentences, which of them is drawn next, and what can be decoded of them.

A whole is decoded when its last sentence has ended, sentence by sentence. A stream is decoded in windows, in the order
in which it is heard.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import torch

from realtts.audio import Joiner
from realtts.contract.types import Chunk
from realtts_vieneu.constants import RATE
from realtts_vieneu.line import Line
from realtts_vieneu.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.contract.types import FinishReason, Request
    from realtts_vieneu.frontend import Ask
    from realtts_vieneu.utterance import Utterance

__all__ = ["LivePassage", "Passage", "WholePassage", "passage_of"]


class Passage(ABC):
    """A request that is being spoken.

    Args:
        number: Of the request.
        request: As it came.
        ask: The same in the model's terms.
        lines: Its sentences, in order.

    Attributes:
        number: As given.
        cancelled: Whether nobody waits for it any more.
        live: Whether it is heard while it is drawn.
        heard: Whether some of its sound was handed out.
        placed: Number of its sentences that have a place.
        over: Whether all was handed out.
    """

    live = False

    def __init__(self, number: int, request: Request, ask: Ask, lines: Sequence[Line]) -> None:
        self.number, self.cancelled = number, request.cancelled
        self.placed = 0
        self.heard = self.over = False
        self._ask, self._lines = ask, lines
        self._joiner = Joiner(RATE, alone=len(lines) == 1)
        self._waiting = deque(lines)  # for a place
        self._left = len(lines)  # not ended yet

    @abstractmethod
    def next_line(self) -> Line | None:
        """Return the sentence that is to be drawn next, if another one may be; `begin` tells that it is."""

    def begin(self, line: Line) -> None:
        """Note that a sentence has a place."""
        self._waiting.remove(line)
        self.placed += 1

    def end(self) -> None:
        """Note that a sentence has ended, and has no place any more."""
        self.placed -= 1
        self._left -= 1

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether `codes` has some."""

    @abstractmethod
    def codes(self) -> Tensor:
        """Return the codes that are decoded next, int64 (n,), perhaps none; their samples are to be given to `feed`."""

    @abstractmethod
    def feed(self, samples: NDArray[np.float32]) -> Chunk | None:
        """Take the samples of codes, in the order of `codes`; return what can be heard of them."""

    def _closing(self, samples: NDArray[np.float32], tokens: int) -> Chunk:
        """Return the last chunk, or the only one, with the warnings."""
        retried = tuple(line.warning for line in self._lines if line.warning)
        reason: FinishReason = "stop" if all(line.stopped for line in self._lines) else "length"
        self.over = True
        return Chunk(
            samples, RATE, tokens=tokens, finish_reason=reason, warnings=(*retried, *self._ask.warnings),
            retries=len(retried), unread=self._ask.unread,
        )  # fmt: skip


class WholePassage(Passage):
    """A request whose sound is handed out as a whole: the longest sentences are drawn first, to end with the others."""

    def __init__(self, number: int, request: Request, ask: Ask, lines: Sequence[Line]) -> None:
        super().__init__(number, request, ask, lines)
        self._waiting = deque(sorted(lines, key=lambda line: -line.utterance.most))
        self._decoded = 0
        self._parts: list[NDArray[np.float32]] = []

    def next_line(self) -> Line | None:
        """Return the longest sentence that is left."""
        return self._waiting[0] if self._waiting else None

    def is_ready(self) -> bool:
        """Tell whether all sentences have ended, and are not decoded."""
        return not self._left and self._decoded < len(self._lines)

    def codes(self) -> Tensor:
        """Return a sentence's codes."""
        line = self._lines[self._decoded]
        self._decoded += 1
        return line.taken()

    def feed(self, samples: NDArray[np.float32]) -> Chunk | None:
        """Join a sentence to those before; return all with the last one."""
        if self._parts:
            self._parts.append(self._joiner.end_piece(self._ask.silence))
        self._parts.append(self._joiner.push(samples))
        if len(self._parts) < 2 * len(self._lines) - 1:
            return None
        tokens = sum(line.tokens for line in self._lines)
        return self._closing(np.concatenate([*self._parts, self._joiner.finish()]), tokens)


class LivePassage(Passage):
    """A request that is heard while it is drawn: its first sentence alone, to be heard soon, then ever more at once."""

    live = True

    def __init__(self, number: int, request: Request, ask: Ask, lines: Sequence[Line], samples_per_frame: int) -> None:
        super().__init__(number, request, ask, lines)
        self._frame = samples_per_frame
        self._at = 0  # the sentence that is heard next
        self._tokens = self._reported = 0  # of the sentences before it; of the chunks so far
        self._pause = np.zeros(0, np.float32)
        self._windows = self._new_windows()
        self._window: Tensor | None = None

    def next_line(self) -> Line | None:
        """Return the next sentence, if as many have ended as are drawn."""
        ended = len(self._lines) - self._left
        return self._waiting[0] if self._waiting and self.placed <= ended else None

    def is_ready(self) -> bool:
        """Tell whether a window of the sentence that is heard next is complete, or its end has come."""
        if self.over or not (line := self._lines[self._at]).settled:
            return False
        if line.codes:
            self._windows.add(line.taken())
        self._window = self._windows.window(final=line.ended)
        return self._window is not None or line.ended

    def codes(self) -> Tensor:
        """Return the window, or nothing where a sentence has ended with the one before."""
        return torch.zeros(0, dtype=torch.int64) if self._window is None else self._window

    def feed(self, samples: NDArray[np.float32]) -> Chunk | None:
        """Return what a window adds, behind the pause after the sentence before."""
        line = self._lines[self._at]
        if self._window is not None:
            samples = self._windows.joined(torch.from_numpy(samples)).numpy()
        sound, last = self._joiner.push(samples), False
        ended = line.ended and self._windows.waiting == 0
        if ended:
            last = self._at + 1 == len(self._lines)
            # The pause waits for what follows, so that whoever stops listening here does not wait for it.
            sound = np.concatenate([sound, self._joiner.finish() if last else self._joiner.end_piece()])
        chunk = self._chunk(sound, self._tokens + line.tokens, last=last) if len(sound) or last else None
        if ended:
            self._tokens += line.tokens
            self._pause = np.concatenate([self._pause, np.zeros(round(self._ask.silence * RATE), np.float32)])
            self._at, self._windows = self._at + 1, self._new_windows()
        return chunk

    def _chunk(self, sound: NDArray[np.float32], tokens: int, *, last: bool) -> Chunk:
        """Return a chunk behind the pause after the sentence before; ``tokens``: of all that was heard."""
        samples, self._pause = np.concatenate([self._pause, sound]), np.zeros(0, np.float32)
        tokens, self._reported, self.heard = tokens - self._reported, tokens, True
        return self._closing(samples, tokens) if last else Chunk(samples, RATE, tokens=tokens)

    def _new_windows(self) -> Windows:
        ask = self._ask
        return Windows(self._frame, new=ask.chunk_frames, back=ask.lookback, ahead=ask.look_ahead)


def passage_of(
    number: int, request: Request, ask: Ask, utterances: Sequence[Utterance], samples_per_frame: int
) -> Passage:
    """Return a request as one that is about to be spoken.

    Args:
        number: Of the request.
        request: As it came.
        ask: The same in the model's terms.
        utterances: Its sentences.
        samples_per_frame: Of the codec.
    """
    first = ask.chunk_frames + ask.look_ahead if request.streaming else None
    lines: list[Line] = []
    for utterance in utterances:
        before = lines[-1] if lines and request.streaming else None
        lines.append(Line(utterance, request.cancelled, first=first, before=before))
    if request.streaming:
        return LivePassage(number, request, ask, lines, samples_per_frame)
    return WholePassage(number, request, ask, lines)
