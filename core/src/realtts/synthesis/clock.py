"""The clock of one call: what its texts have cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from realtts.synthesis.speech import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.synthesis.rows import Row
    from realtts.synthesis.speaker import Speaker

__all__ = ["Clock"]


class Clock:
    """The clock of one call."""

    def __init__(self, started: float, queue_s: float, speaker: Speaker) -> None:
        self.queue_s = queue_s
        self._started = started
        self._speaker = speaker
        self._paused = 0.0

    def pause(self, seconds: float) -> None:
        """Leave time out that the provider did not work in."""
        self._paused += seconds

    def metrics(self, rows: Sequence[Row], seconds: float, tokens: int) -> Metrics:
        """Return what a text has cost.

        Args:
            rows: Its pieces.
            seconds: Length of its audio.
            tokens: Decoded for it.
        """
        total = time.perf_counter() - self._started - self._paused
        stages = self._speaker.stages
        work = self._speaker.work()
        first = min((row.first_at for row in rows if row.first_at is not None), default=self._started)
        return Metrics(
            first_audio_s=first - self._started,
            total_s=total,
            queue_s=self.queue_s,
            rtf=total / seconds if seconds else None,
            stages={
                **stages,
                "generate": max(0.0, total - sum(stages.values())),
                **{f"generate.{name}": done.seconds for name, done in work.items()},
            },
            work=work,
            tokens=tokens,
            pieces=len(rows),
            retries=sum(row.retries for row in rows),
        )
