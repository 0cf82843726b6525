"""What came of a row or a text: whether it may stand, is spoken again, or is a failure of the rung."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from realtts.errors import InvalidChunk
from realtts.kit.retries import retry_warning, wrong_length
from realtts.ladder.failures import StageError
from realtts.synthesis.listening import PieceListener

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.ladder.protocols import AnyLadder
    from realtts.synthesis.rows import Row

__all__ = ["Judge"]

RUNAWAY_FLOOR_S = 5.0
"""Audio below this length is never taken for a runaway, however short the text."""


class Judge:
    """The judge of one call's audio.

    Args:
        ladder: Who speaks; its settings and spec give the measure.
        live: Somebody hears the audio as it comes, so that a row cannot begin again because of its length.
    """

    def __init__(self, ladder: AnyLadder, *, live: bool) -> None:
        self._settings = ladder.settings
        self._spec = ladder.spec
        self._live = live
        # Audio of a forced length is neither a runaway nor to be judged by its sound.
        self._listener = PieceListener()
        self._forced = ladder.settings.force_tokens_per_char is not None

    def limit_s(self, row: Row) -> float:
        """Return how many seconds make a row a runaway; no limit for lengths that are set and texts with pauses."""
        if row.plan.limited or row.plan.markup or self._forced:
            return math.inf
        per_char = self._spec.max_seconds_per_char
        return (RUNAWAY_FLOOR_S + per_char * len(row.request.text)) / row.request.speed

    def settle(self, row: Row) -> bool:
        """Let a row's audio stand, or begin it again with another seed.

        Returns:
            Whether it stands.

        Raises:
            StageError: There is no audio.
        """
        if row.plan.cancelled.is_set():
            row.done = True
            return True
        if not row.seconds:
            raise self.failure("generate yielded no audio")
        fault = self._wrong_length(row)
        may_begin_again = not self._live or row.held
        if fault and may_begin_again and self._settings.retry_runaway and row.reseed():
            row.warnings.append(retry_warning(row.request.text, fault))
            return False
        if row.plan.words is not None and not self._listener.settle(row, row.plan.words):
            return False
        row.done = True
        if fault:
            row.warnings.append(f"{row.shown} {fault}{' and was cut' if row.finish == 'length' else ''}")
        return True

    def silent(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows of texts that came out silent as a whole; warn of silent pieces of other texts.

        Args:
            rows: All rows of the call, with their audio.
        """
        silent = [] if self._forced else [row for row in rows if not row.unsaid and _says_nothing(row, rows)]
        if not silent:
            for row in rows:
                if row.is_silent() and not row.unsaid and not row.plan.markup and not row.plan.cancelled.is_set():
                    row.warnings.append(f"{row.shown} came out silent")
        return silent

    def failure(self, what: str) -> StageError:
        """Make the failure of a rung whose audio cannot be used."""
        return StageError("generate", InvalidChunk(what, who=f"provider {self._spec.name!r}"))

    def _wrong_length(self, row: Row) -> str:
        """Return what is wrong with the length of the row's audio, if that is out of proportion to the text."""
        # A limit may lie below what the text needs, so that ending before it is no fault either.
        if row.plan.limited or self._forced:
            return ""
        least = 0.0 if row.plan.markup else self._spec.min_seconds_per_char
        return wrong_length(row.request.text, row.seconds, row.finish, least=least, speed=row.request.speed)


def _says_nothing(row: Row, rows: Sequence[Row]) -> bool:
    """Tell whether the row belongs to a text that came out silent as a whole; one silent piece of many may be right."""
    if row.plan.markup or row.plan.cancelled.is_set():
        return False
    return all(other.is_silent() for other in rows if other.plan is row.plan)
