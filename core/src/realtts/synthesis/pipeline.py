"""From the provider's chunks to the caller's: stretch, join, extensions, limits, and marks in the caller's own text.

The result does not depend on how the provider cuts its audio into chunks, so streaming equals the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from realtts import audio
from realtts.contract.checks import read_only
from realtts.contract.types import Chunk
from realtts.synthesis.timing import PieceTiming, mark_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realtts.contract.types import Mark
    from realtts.registry.extensions import Extensions
    from realtts.synthesis.pieces import Piece
    from realtts.synthesis.plan import Plan

__all__ = ["Pipeline"]


@dataclass
class _Current:
    """The piece that is being fed."""

    piece: Piece
    timing: PieceTiming
    resampler: audio.Resampler | None
    stretcher: audio.Stretcher | None

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the next samples become, of shape (m,)."""
        for step in (self.resampler, self.stretcher):
            samples = samples if step is None else step.push(samples)
        return self._amplified(samples)

    def finish(self) -> NDArray[np.float32]:
        """Return the samples that are still held back."""
        samples = _nothing() if self.resampler is None else self.resampler.finish()
        if self.stretcher is not None:
            samples = np.concatenate([self.stretcher.push(samples), self.stretcher.finish()])
        return self._amplified(samples)

    def _amplified(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return samples if self.piece.gain == 1.0 else samples * np.float32(self.piece.gain)


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
        self._estimated: list[str] = []
        self._complete = False
        self._last: Piece | None = None  # of a text that is still being written
        self._seam = False  # whether a piece has ended whose seam waits for the one that follows

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the caller should know about the audio so far."""
        warnings: tuple[str, ...] = ()
        if self._clipped:
            warnings = (f"{self._clipped} samples were louder than full scale and were clipped",)
        if self._estimated:
            names = ", ".join(map(repr, self._estimated[:5])) + (", ..." if len(self._estimated) > 5 else "")
            warnings += (f"SSML: there are no timings of words, so the place of {names} is estimated",)
        return warnings

    def feed(self, piece: Piece, chunk: Chunk) -> Chunk | None:
        """Return the audio that is ready after a chunk of a piece, None when nothing is."""
        lead, marks = self._lead(chunk.sample_rate)
        lead = self._close_seam(piece) if self._seam else lead
        current = self._enter(piece, chunk.sample_rate)
        marks += current.timing.feed(chunk.marks, self._shift)
        ready = self._join(current.push(chunk.samples))
        ready = np.concatenate([lead, ready]) if len(lead) else ready
        return self._deliver(ready, piece, replace(chunk, marks=marks))

    def end_piece(self, piece: Piece) -> Chunk | None:
        """Return the audio that is ready once a piece is complete."""
        current, self._current = self._current, None
        if current is None:
            return None
        ready = [self._join(current.finish())]
        marks = current.timing.end(self._fed / self._rate + self._shift)
        self._estimated += current.timing.estimated
        self._seam = self._plan.growth is not None
        self._complete = not self._seam and piece is self._plan.pieces[-1]
        if self._seam:
            self._last = piece
        elif self._joiner is not None and not self._complete:
            ready.append(self._joiner.end_piece(piece.pause_s))
            self._fed += round(piece.pause_s * self._rate)
        return self._deliver(np.concatenate(ready), piece, Chunk(_nothing(), self._rate, marks=marks))

    def finish(self) -> Chunk | None:
        """Return the rest of the audio."""
        if not self._rate and self._plan.growth is not None:
            return None  # nothing was written yet
        last = self._last or self._plan.pieces[-1]
        rest = _nothing() if self._joiner is None else self._joiner.finish()
        if self._complete and last.pause_s:
            rest = np.concatenate([rest, np.zeros(round(last.pause_s * self._rate), np.float32)])
        return self._deliver(rest, last, None)

    def _lead(self, rate: int) -> tuple[NDArray[np.float32], tuple[Mark, ...]]:
        """Return the silence before the first piece, and the marks in it; nothing once that was done."""
        if self._rate:
            return _nothing(), ()
        self._rate = rate
        lead = np.zeros(round(self._plan.lead_s * rate), np.float32)
        self._fed += len(lead)
        return lead, tuple(mark_of(anchor, anchor.delay_s) for anchor in self._plan.anchors)

    def _close_seam(self, piece: Piece) -> NDArray[np.float32]:
        """Return the end of the piece before this one, and the silence between them."""
        self._seam = False
        if self._joiner is None:
            return _nothing()
        self._fed += round(piece.gap_s * self._rate)
        return self._joiner.end_piece(piece.gap_s)

    def _enter(self, piece: Piece, rate: int) -> _Current:
        if self._joiner is None and (self._plan.growth is not None or len(self._plan.pieces) > 1):
            self._joiner = audio.Joiner(self._rate)
        if self._current is None:
            # A lower rung may speak the next piece at another rate; the caller gets the first one's throughout.
            resampler = None if rate == self._rate else audio.Resampler(rate, self._rate)
            stretcher = None if piece.stretch == 1.0 else audio.Stretcher(self._rate, piece.stretch)
            timing = PieceTiming(self._plan, piece, self._fed / self._rate)
            self._current = _Current(piece, timing, resampler, stretcher)
        return self._current

    def _join(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        self._fed += len(samples)
        # A piece that stands alone has no seam: nothing of it is held back.
        return samples if self._joiner is None else self._joiner.push(samples)

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
