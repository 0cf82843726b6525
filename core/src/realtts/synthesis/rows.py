"""One piece of a text on its way to audio, and what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from realtts import audio
from realtts.contract.types import Chunk
from realtts.kit.retries import excerpt, retry_seed
from realtts.text.unread import unread_words

if TYPE_CHECKING:
    from realtts.contract.types import FinishReason, Request
    from realtts.errors import UnspeakableText
    from realtts.synthesis.plan import Piece, Plan
    from realtts.synthesis.takes import Take

__all__ = ["Row"]

MOST_EMPTY_CHUNKS = 10_000
"""Chunks without samples in a row, after which a provider is taken for a runaway."""


@dataclass
class Row:
    """One piece of a plan on its way to audio, and what came of it.

    Attributes:
        plan: The text that it belongs to.
        piece: The piece.
        request: The piece's request; its seed changes when the piece ran away.
        chunks: What the provider yielded, kept only when the piece is spoken whole.
        seconds: Length of the audio so far.
        finish: How the audio ended.
        warnings: What the caller should know.
        retries: Times that the piece, or a part of it by its provider, was begun again.
        first_at: When the first chunk came, on the performance counter.
        done: It may stand as it is.
        running: It is being spoken, or about to be.
        alone: It is spoken with no other beside it, because it was there when a batch failed.
        late: It was cancelled, and what was on its way then was taken.
        number: Its name in the running batch, once it has one.
        overtaken: Times that another row has joined while this one did not fit.
        unsaid: Why the provider could not say anything of it.
        takes: What was spoken of it before, and lacked words.
    """

    plan: Plan
    piece: Piece
    request: Request = field(init=False)
    chunks: list[Chunk] = field(default_factory=list)
    seconds: float = 0.0
    finish: FinishReason = "stop"
    warnings: list[str] = field(default_factory=list)
    retries: int = 0
    first_at: float | None = None
    done: bool = False
    running: bool = False
    alone: bool = False
    late: bool = False
    number: int | None = None
    overtaken: int = 0
    unsaid: UnspeakableText | None = None
    takes: list[Take] = field(default_factory=list)
    _stopped: bool = False
    _reseeded: bool = False
    _again_in_part: bool = False
    _empty: int = 0

    def __post_init__(self) -> None:
        self.request = replace(self.piece.request, cancelled=self.cancelled)

    def cancelled(self) -> bool:
        """Tell whether the provider should stop: the caller has lost interest, or the piece ran away."""
        return self._stopped or self.plan.cancelled.is_set()

    def note(self, chunk: Chunk, limit_s: float) -> None:
        """Count a chunk; audio that is longer than the text can be stops the row."""
        if len(chunk.samples):
            self._empty = 0
            if self.first_at is None:
                self.first_at = time.perf_counter()
        else:
            self._empty += 1
        self.seconds += chunk.duration
        if chunk.finish_reason is not None:
            self.finish = chunk.finish_reason
        if chunk.retries:
            self.retries, self._again_in_part = self.retries + chunk.retries, True
        if self.seconds > limit_s or self._empty > MOST_EMPTY_CHUNKS:
            self.finish, self._stopped = "length", True

    def restart(self) -> None:
        """Forget the audio, so that the piece is spoken again with its own seed."""
        self.chunks, self.seconds, self.finish, self.first_at = [], 0.0, "stop", None
        self._stopped, self._reseeded, self._empty, self.done = False, False, 0, False
        self.alone, self.late, self.number = False, False, None
        self._again_in_part = False
        self.takes = []
        self.request = replace(self.request, seed=self.piece.request.seed)
        self.retries += 1

    def reseed(self) -> bool:
        """Restart with a derived seed; False when that was done before, or by its provider with a part of it."""
        if self._reseeded or self._again_in_part:
            return False
        self.restart()
        self._reseeded = True
        self.request = replace(self.request, seed=retry_seed(self.request.seed))
        return True

    def retake(self, seed: int) -> None:
        """Restart with another seed, and remember what was spoken before."""
        takes = self.takes
        self.restart()
        self.takes = takes
        self.request = replace(self.request, seed=seed)

    def leave_unsaid(self, error: UnspeakableText, rate: int) -> Chunk:
        """Let it stand without audio, because there is nothing in it that the provider can say.

        Args:
            error: What the provider raised.
            rate: Hz, of the chunk.

        Returns:
            A chunk without samples that names all of its text.
        """
        chunk = Chunk(np.zeros(0, np.float32), rate, unread=unread_words(self.request.text))
        self.unsaid, self.done, self.chunks = error, True, [chunk]
        return chunk

    @property
    def held(self) -> bool:
        """Whether its audio is held until it was listened to, also where somebody hears the others as they come."""
        return self.plan.words is not None

    def is_silent(self) -> bool:
        """Tell whether all audio is silent."""
        return all(audio.is_silent(chunk.samples) for chunk in self.chunks if len(chunk.samples))

    @property
    def shown(self) -> str:
        """The beginning of its text, for messages."""
        return excerpt(self.request.text)
