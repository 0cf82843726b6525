"""The clock of one call: what its texts have cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from realtts.synthesis.speech import Metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realtts.contract.stages import StageWork
    from realtts.synthesis.rows import Row

__all__ = ["Clock"]


class Clock:
    """The clock of one call: it rests while the reader of a stream is awaited.

    Attributes:
        started: When the call's turn came, on the performance counter.
    """

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self._queue_s = 0.0
        self._paused = 0.0
        self._resting: float | None = None

    def start(self, queue_s: float) -> float:
        """Begin, since the turn has come after so many seconds, which are returned."""
        self.started, self._queue_s = time.perf_counter(), queue_s
        return queue_s

    def rest(self) -> None:
        """Stop."""
        if self._resting is None:
            self._resting = time.perf_counter()

    def resume(self) -> None:
        """Go on."""
        if self._resting is not None:
            self._paused += time.perf_counter() - self._resting
            self._resting = None

    def metrics(
        self,
        rows: Sequence[Row],
        seconds: float,
        tokens: int,
        loading: Mapping[str, float],
        work: Mapping[str, StageWork],
    ) -> Metrics:
        """Return what a text has cost.

        Args:
            rows: Its pieces.
            seconds: Length of its audio.
            tokens: Decoded for it.
            loading: Seconds per stage of the loads that the call has caused.
            work: What the inner stages did for the call.
        """
        self.resume()
        total = time.perf_counter() - self.started - self._paused
        first = min((row.first_at for row in rows if row.first_at is not None), default=self.started)
        return Metrics(
            first_audio_s=first - self.started,
            total_s=total,
            queue_s=self._queue_s,
            rtf=total / seconds if seconds else None,
            stages={
                **loading,
                "generate": max(0.0, total - sum(loading.values())),
                **{f"generate.{name}": done.seconds for name, done in work.items()},
            },
            work=work,
            tokens=tokens,
            pieces=len(rows),
            retries=sum(row.retries for row in rows),
        )
