"""What ``/metrics`` tells, in Prometheus' form."""

from __future__ import annotations

from collections import Counter as Count
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from realtts_http.served import memory_mb

if TYPE_CHECKING:
    from realtts import Metrics
    from realtts_http.served import ServedModels

__all__ = ["ServerMetrics"]

_FIRST_AUDIO_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_RTF = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.5, 0.8, 1.0, 1.5, 2.0, 5.0, 10.0)


class ServerMetrics:
    """Counters of one server.

    Args:
        models: Those whose state is told.
    """

    def __init__(self, models: ServedModels) -> None:
        self._models = models
        self.registry = registry = CollectorRegistry()
        self.running = Gauge("realtts_requests_running", "Requests that are being answered.", registry=registry)
        self.answers = Counter(
            "realtts_requests", "Answered requests.", ["endpoint", "status", "code"], registry=registry
        )
        self.aborted = Counter(
            "realtts_streams_aborted", "Speeches whose client left before the end.", ["model"], registry=registry
        )
        self.failed = Counter(
            "realtts_streams_failed", "Speeches that failed after their first audio.", ["model"], registry=registry
        )
        self.first_audio = Histogram(
            "realtts_first_audio_seconds", "From a request's arrival to its first audio.", ["model"],
            buckets=_FIRST_AUDIO_S, registry=registry,
        )  # fmt: skip
        self.queue_wait = Histogram(
            "realtts_queue_wait_seconds", "Wait for the model.", ["model"], buckets=_FIRST_AUDIO_S, registry=registry
        )
        self.rtf = Histogram(
            "realtts_real_time_factor", "Seconds of work for a second of audio.", ["model"], buckets=_RTF,
            registry=registry,
        )  # fmt: skip
        self.audio = Counter("realtts_audio_seconds", "Audio that was spoken.", ["model"], registry=registry)
        self.underruns = Counter(
            "realtts_underruns", "Speeches in which a listener would have heard a gap.", ["model"], registry=registry
        )
        self._steps = Counter("realtts_decode_steps", "Steps of the stage that decodes.", ["model"], registry=registry)
        self._row_steps = Counter(
            "realtts_decode_row_steps", "Rows of all decode steps; over the steps: the rows of one.", ["model"],
            registry=registry,
        )  # fmt: skip
        self._loaded = Gauge("realtts_model_loaded", "1 while a model is in memory.", ["model"], registry=registry)
        self._waiting = Gauge("realtts_requests_waiting", "Requests that wait.", ["model"], registry=registry)
        self._speaking = Gauge("realtts_rows_speaking", "Rows that are spoken now.", ["model"], registry=registry)
        self._attempts = Gauge(
            "realtts_fallback_attempts", "Rungs given up since the load.", ["model", "stage"], registry=registry
        )
        self._memory = Gauge("realtts_memory_mebibytes", "Resident memory, workers included.", registry=registry)

    def count(self, model: str, audio_s: float, spoken: Metrics) -> None:
        """Count a speech.

        Args:
            model: Who spoke.
            audio_s: Its seconds.
            spoken: What it cost.
        """
        self.audio.labels(model).inc(audio_s)
        self.queue_wait.labels(model).observe(spoken.queue_s)
        if spoken.rtf is not None:
            self.rtf.labels(model).observe(spoken.rtf)
        if spoken.work:
            stages = spoken.work
            work = stages.get("decode") or max(stages.values(), key=lambda each: each.own_steps)
            self._steps.labels(model).inc(work.own_steps)
            self._row_steps.labels(model).inc(work.row_steps)

    def render(self) -> bytes:
        """Return everything as text."""
        attempts: Count[tuple[str, str]] = Count()
        for model in self._models.all:
            status = model.provider.get_provider_status()
            self._loaded.labels(model.name).set(model.is_loaded)
            self._waiting.labels(model.name).set(status["queue"]["waiting"])
            self._speaking.labels(model.name).set(status["queue"]["speaking"])
            attempts.update((model.name, attempt["stage"]) for attempt in status["attempts"])
        self._attempts.clear()
        for (name, stage), count in attempts.items():
            self._attempts.labels(name, stage).set(count)
        self._memory.set(memory_mb())
        return generate_latest(self.registry)
