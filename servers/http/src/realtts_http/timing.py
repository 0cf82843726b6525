"""When the audio of a speech came, and what a listener would have heard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts import Metrics
    from realtts_http.metrics import ServerMetrics

__all__ = ["SpeechClock"]


class SpeechClock:
    """The times of one speech.

    Args:
        arrived: When its request came, on the clock of `time.perf_counter`.

    Attributes:
        first_audio_s: Seconds until the first audio; None: there was none.
        audio_s: Seconds of audio so far.
        underran: Whether a listener who began with the first chunk has heard a gap.
    """

    def __init__(self, arrived: float) -> None:
        self._arrived = arrived
        self._begun: float | None = None
        self.first_audio_s: float | None = None
        self.audio_s = 0.0
        self.underran = False

    def heard(self, seconds: float) -> None:
        """Note that a chunk has come.

        Args:
            seconds: Its duration.
        """
        if not seconds:
            return
        now = time.perf_counter()
        if self._begun is None:
            self._begun = now
            self.first_audio_s = now - self._arrived
        elif now - self._begun > self.audio_s:
            self.underran = True
        self.audio_s += seconds

    def report(self, metrics: ServerMetrics, model: str, spoken: Metrics) -> None:
        """Count the whole speech."""
        metrics.count(model, self.audio_s, spoken)
        self.report_hearing(metrics, model)

    def report_hearing(self, metrics: ServerMetrics, model: str) -> None:
        """Count what a listener has noticed: when the first audio came, and whether there was a gap."""
        if self.first_audio_s is not None:
            metrics.first_audio.labels(model).observe(self.first_audio_s)
        if self.underran:
            metrics.underruns.labels(model).inc()
