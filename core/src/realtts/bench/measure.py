"""One measurement: a text spoken once through the facade, and the statistics of many."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from realtts.bench.workload import Text, Workload
    from realtts.contract.stages import StageWork
    from realtts.provider.facade import RealProvider
    from realtts.synthesis.speech import Metrics

__all__ = ["Sample", "speak", "spread"]


@dataclass(frozen=True)
class Sample:
    """A text spoken once.

    Attributes:
        audio_s: Seconds of audio, of all rows of a batch.
        total_s: Seconds of work.
        first_audio_s: Seconds to the first chunk.
        tokens: Tokens decoded, of all rows.
        chars: Characters spoken, of all rows.
        words: Words spoken, of all rows.
        stages: Seconds per stage, loads included.
        work: What the inner stages did.
        pieces: Pieces that the text was split into.
    """

    audio_s: float
    total_s: float
    first_audio_s: float
    tokens: int
    chars: int
    words: int
    stages: Mapping[str, float] = field(default_factory=dict)
    work: Mapping[str, StageWork] = field(default_factory=dict)
    pieces: int = 1


def speak(tts: RealProvider, item: Text, workload: Workload) -> Sample:
    """Speak a text of the workload in its manner.

    Raises:
        RealTTSError: As `RealProvider.generate`.
    """
    arguments = {"voice": workload.voice, "language": item.language, "seed": workload.seed, **workload.options}
    if workload.stream:
        with tts.stream(item.text, **arguments) as stream:
            chunks = list(stream)
        return _sample(item, stream.metrics, [sum(chunk.duration for chunk in chunks)], [stream.metrics.tokens])
    if workload.batch > 1:
        speeches = tts.generate_batch([item.text] * workload.batch, **arguments)
        tokens = [speech.metrics.tokens for speech in speeches]
        return _sample(item, speeches[0].metrics, [speech.duration for speech in speeches], tokens)
    speech = tts.generate(item.text, **arguments)
    return _sample(item, speech.metrics, [speech.duration], [speech.metrics.tokens])


def spread(values: Iterable[float]) -> dict[str, float] | None:
    """Return median, quartiles, extremes and number of the values; None when there are none."""
    ordered = sorted(values)
    if not ordered:
        return None
    quartiles = statistics.quantiles(ordered, n=4, method="inclusive") if len(ordered) > 1 else [ordered[0]] * 3
    return {
        "median": statistics.median(ordered),
        "q1": quartiles[0],
        "q3": quartiles[2],
        "min": ordered[0],
        "max": ordered[-1],
        "n": len(ordered),
    }


def _sample(item: Text, metrics: Metrics, seconds: list[float], tokens: list[int]) -> Sample:
    rows = len(seconds)
    return Sample(
        audio_s=sum(seconds),
        total_s=metrics.total_s,
        first_audio_s=metrics.first_audio_s,
        tokens=sum(tokens),
        chars=len(item.text) * rows,
        words=item.words * rows,
        stages=dict(metrics.stages),
        work=dict(metrics.work),
        pieces=metrics.pieces * rows,
    )
