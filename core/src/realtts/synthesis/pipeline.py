"""From the provider's chunks to the caller's: stretch, join, extensions, limits, and marks in the caller's own text.

The result does not depend on how the provider cuts its audio into chunks, so streaming equals the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from realtts import audio
from realtts.contract.checks import read_only
from realtts.contract.types import Chunk, Mark

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realtts.registry.extensions import Extensions
    from realtts.synthesis.plan import Piece, Plan

__all__ = ["Pipeline"]


@dataclass
class _Current:
    """The piece that is being fed."""

    piece: Piece
    starts_at: float  # seconds of finished audio before it
    resampler: audio.Resampler | None
    stretcher: audio.Stretcher | None

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the next samples become, of shape (m,)."""
        for step in (self.resampler, self.stretcher):
            samples = samples if step is None else step.push(samples)
        return samples

    def finish(self) -> NDArray[np.float32]:
        """Return the samples that are still held back."""
        samples = _nothing() if self.resampler is None else self.resampler.finish()
        if self.stretcher is None:
            return samples
        return np.concatenate([self.stretcher.push(samples), self.stretcher.finish()])


class Pipeline:
    """Conversion of the chunks of pieces to chunks of the whole text.

    Args:
        plan: The text's plan.
        extensions: Their `process_audio` sees what the caller will get.
    """

    def __init__(self, plan: Plan, extensions: Extensions) -> None:
        self._plan = plan
        self._extensions = extensions
        self._joiner: audio.Joiner | None = None
        self._rate = 0
        self._fed = 0  # samples given to the joiner, pauses included: the position of what comes next
        self._current: _Current | None = None
        self._shift = 0.0  # seconds that extensions have added so far
        self._clipped = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the caller should know about the audio so far."""
        if not self._clipped:
            return ()
        return (f"{self._clipped} samples were louder than full scale and were clipped",)

    def feed(self, piece: Piece, chunk: Chunk) -> Chunk | None:
        """Return the audio that is ready after a chunk of a piece, None when nothing is."""
        current = self._enter(piece, chunk.sample_rate)
        marks = tuple(self._placed(mark, current) for mark in chunk.marks)
        return self._deliver(self._join(current.push(chunk.samples)), piece, replace(chunk, marks=marks))

    def end_piece(self, piece: Piece) -> Chunk | None:
        """Return the audio that is ready once a piece is complete."""
        current, self._current = self._current, None
        if current is None:
            return None
        ready = [self._join(current.finish())]
        if self._joiner is not None and piece is not self._plan.pieces[-1]:
            ready.append(self._joiner.end_piece(piece.pause_s))
            self._fed += round(piece.pause_s * self._rate)
        return self._deliver(np.concatenate(ready), piece, None)

    def finish(self) -> Chunk | None:
        """Return the rest of the audio."""
        if self._joiner is None:
            return None
        return self._deliver(self._joiner.finish(), self._plan.pieces[-1], None)

    def _enter(self, piece: Piece, rate: int) -> _Current:
        self._rate = self._rate or rate
        if self._joiner is None and len(self._plan.pieces) > 1:
            self._joiner = audio.Joiner(self._rate)
        if self._current is None:
            # A lower rung may speak the next piece at another rate; the caller gets the first one's throughout.
            resampler = None if rate == self._rate else audio.Resampler(rate, self._rate)
            stretcher = None if self._plan.stretch == 1.0 else audio.Stretcher(self._rate, self._plan.stretch)
            self._current = _Current(piece, self._fed / self._rate, resampler, stretcher)
        return self._current

    def _join(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        self._fed += len(samples)
        # A piece that stands alone has no seam: nothing of it is held back.
        return samples if self._joiner is None else self._joiner.push(samples)

    def _placed(self, mark: Mark, current: _Current) -> Mark:
        """Return a mark of a piece as a mark of the whole: in its time, and in the caller's own text."""
        stretch, offset = self._plan.stretch, current.piece.start
        return Mark(
            start=max(0.0, current.starts_at + mark.start / stretch + self._shift),
            end=max(0.0, current.starts_at + mark.end / stretch + self._shift),
            span=self._plan.to_original((mark.span[0] + offset, mark.span[1] + offset)),
            kind=mark.kind,
        )

    def _deliver(self, samples: NDArray[np.float32], piece: Piece, about: Chunk | None) -> Chunk | None:
        """Make the caller's chunk of samples; None when there is nothing to hand over."""
        chunk = Chunk(
            read_only(samples),
            self._rate,
            marks=about.marks if about else (),
            tokens=about.tokens if about else 0,
            warnings=about.warnings if about else (),
        )
        if len(samples):
            chunk = self._extensions.process_audio(chunk, piece.request)
            self._shift += (len(chunk.samples) - len(samples)) / self._rate
            chunk = replace(chunk, samples=self._within_full_scale(chunk.samples))
        elif not (chunk.marks or chunk.tokens or chunk.warnings):
            return None
        return chunk

    def _within_full_scale(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        loud = int(np.count_nonzero(np.abs(samples) > 1.0))
        self._clipped += loud
        return read_only(np.clip(samples, -1.0, 1.0)) if loud else samples


def _nothing() -> NDArray[np.float32]:
    return np.zeros(0, np.float32)
