"""Quality: what a recognizer hears of a provider or a recording, and how it sounds to networks that rate."""

from __future__ import annotations

import itertools
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realtts.bench.results import rounded
from realtts.bench.workload import TEXT_SETS, load_texts
from realtts.contract.types import Voice
from realtts.errors import InvalidOption, UnknownLanguage
from realtts.listening import STRATA, find_recognizer, listen, listening_texts, rate
from realtts.provider.facade import RealProvider
from realtts.synthesis.validate import check_language
from realtts.voices.lookup import find_voice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from realtts.bench.workload import Text
    from realtts.contract.spec import ProviderSpec
    from realtts.listening import Hearing, Recognizer

__all__ = [
    "FROZEN_SET",
    "KIND",
    "SpokenText",
    "add_quality",
    "check_speech",
    "quality_record",
    "quality_result",
    "spoken_texts",
]

KIND = "realtts.check"
"""What ``kind`` is in the record."""

FROZEN_SET = "listening"
"""The text set of sixty sentences with accepted readings, see `realtts.listening.listening_texts`."""

_SCHEMA = 1


@dataclass(frozen=True)
class SpokenText:
    """A text to be spoken and listened to.

    Attributes:
        text: What to say.
        language: BCP 47 tag; None: the provider's default.
        readings: Accepted readings, in words; none: as `realtts.listening.listen` has it.
        kind: What sort of text it is; empty: none.
    """

    text: str
    language: str | None = None
    readings: tuple[str, ...] = ()
    kind: str = ""


def spoken_texts(name: str) -> tuple[SpokenText, ...]:
    """Return the texts of a set.

    Those of the frozen set come from its kinds in turn, so that a run which is cut short is still a fair sample.

    Raises:
        InvalidOption: There is no set of that name.
    """
    if name not in {*TEXT_SETS, FROZEN_SET}:
        sets = ", ".join((*TEXT_SETS, FROZEN_SET))
        raise InvalidOption(f"there is no text set {name!r}", who="check", fix=f"choose from {sets}")
    if name != FROZEN_SET:
        return tuple(SpokenText(item.text, item.language) for item in load_texts(name))
    by_kind = [[item for item in listening_texts() if item.stratum == stratum] for stratum in STRATA]
    turns = itertools.chain.from_iterable(zip(*by_kind, strict=True))
    return tuple(SpokenText(item.text, "en", item.readings(), item.stratum) for item in turns)


def check_speech(
    provider: str | ProviderSpec | None,
    texts: Sequence[SpokenText],
    *,
    settings: Mapping[str, Any] | None = None,
    voice: Any = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    most_seconds: float = float("inf"),
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Let a provider speak, and listen to it.

    Args:
        provider: Name, spec, or None for the default.
        texts: What it speaks; those in languages that it lacks are left out.
        settings: Keywords of `RealProvider`, among them ``recognizer``.
        voice: As `RealProvider.generate`; where it is a recording, the likeness of the speakers is measured too.
        seed: Of every request.
        options: The provider's own options.
        most_seconds: No text is begun after that many.
        tell: Receives lines of progress.

    Returns:
        The record, JSON-able; its keys are in the how-to of listening.

    Raises:
        MissingExtra, CheckpointError: There is no recognizer.
        RealTTSError: As `RealProvider.generate`.
    """
    with RealProvider(provider, **(settings or {})) as tts:
        chosen, lacking = _spoken_by(tts.spec, texts)
        recording = find_voice(voice, reference_text=None, spec=tts.spec, settings=tts.settings)
        recognizer = find_recognizer(tts.settings.recognizer, _threads(tts))
        until = time.monotonic() + most_seconds
        results = []
        for number, item in enumerate(chosen, 1):
            if time.monotonic() > until:
                break
            if tell is not None:
                tell(f"text {number} of {len(chosen)}")
            speech = tts.generate(item.text, voice=recording, language=item.language, seed=seed, **(options or {}))
            reference = recording if isinstance(recording, Voice) else None
            results.append(quality_result(recognizer, item, speech.samples, speech.sample_rate, reference))
        name, variant = tts.spec.name, tts.get_provider_status()["variant"]
    warnings = [f"left out, since the provider does not speak them: {', '.join(lacking)}"] if lacking else []
    if len(results) < len(chosen):
        warnings.append(f"{len(chosen) - len(results)} of {len(chosen)} texts were left out, for the time was over")
    return quality_record(results, recognizer, warnings, provider=name, variant=variant, seed=seed)


def add_quality(
    record: dict[str, Any], provider: str, texts: Iterable[Text], *, settings: Mapping[str, Any], voice: Any = None,
    seed: int = 0, options: Mapping[str, Any] | None = None, tell: Callable[[str], None] | None = None,
) -> None:  # fmt: skip
    """Put the quality of every variant into the record of a benchmark, as ``quality`` beside its times.

    Args:
        record: Of `realtts.bench.run_bench`.
        provider: Name.
        texts: That were timed.
        settings: Keywords of `RealProvider` that were timed.
        voice: Of every request.
        seed: Of every request.
        options: The provider's own options.
        tell: Receives lines of progress.

    Raises:
        InvalidOption: Random weights were timed, which say nothing. Else as `check_speech`.
    """
    if record["workload"]["random_weights"] is not None:
        raise InvalidOption("random weights say no words", who="bench", fix="leave out --quality, or give a --model")
    spoken = [SpokenText(item.text, item.language) for item in texts]
    for variant, result in record["variants"].items():
        keywords = {**settings, "optimize": variant == "optimized"}
        if tell is not None:
            tell(f"{variant}: listening to {len(spoken)} texts")
        heard = check_speech(provider, spoken, settings=keywords, voice=voice, seed=seed, options=options)
        keys = ("recognizer", "words", "errors", "wer", "missing", "ratings")
        result["quality"] = {key: heard[key] for key in keys}


def _threads(tts: RealProvider) -> int | None:
    return tts.settings.threads if isinstance(tts.settings.threads, int) else None


def _spoken_by(spec: ProviderSpec, texts: Sequence[SpokenText]) -> tuple[list[SpokenText], list[str]]:
    lacking: dict[str, None] = {}
    chosen = []
    for item in texts:
        try:
            check_language(item.language, spec)
        except UnknownLanguage:
            lacking[str(item.language)] = None
        else:
            chosen.append(item)
    if not chosen:
        what, who = f"it speaks none of {', '.join(lacking)}", f"provider {spec.name!r}"
        raise UnknownLanguage(what, who=who, fix="give a --text of your own")
    return chosen, list(lacking)


def quality_result(
    recognizer: Recognizer, item: SpokenText, samples: NDArray[np.float32], sample_rate: int,
    reference: Voice | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Listen to one text.

    Args:
        recognizer: Who hears.
        item: What was to be said.
        samples: float32 of shape (n,) in [-1, 1].
        sample_rate: Hz.
        reference: Whose voice it should be; None: anybody's.

    Returns:
        One of the ``texts`` of a record.
    """
    hearing = listen(recognizer, samples, sample_rate, item.text, language=item.language, readings=item.readings)
    return {
        "text": item.text,
        "kind": item.kind,
        "seconds": len(samples) / sample_rate,
        **_words(hearing),
        "ratings": {rating.name: {"value": rating.value, "why_not": rating.why_not}
                    for rating in rate(samples, sample_rate, reference)},
    }  # fmt: skip


def _words(hearing: Hearing) -> dict[str, Any]:
    account = hearing.account
    return {
        "heard": account.heard,
        "words": account.words,
        "errors": account.errors,
        "wer": account.rate,
        "looped": account.looped,
        "missing": [
            {"text": each.text, "start": each.span[0], "end": each.span[1], "instead": each.instead}
            for each in account.missing
        ],
        "changed": [
            {"text": each.text, "start": each.span[0], "end": each.span[1], "heard": each.heard}
            for each in account.changed
        ],
        "added": [{"heard": each.heard, "at": each.at, "seconds": each.start} for each in account.added],
    }


def quality_record(
    results: Sequence[dict[str, Any]], recognizer: Recognizer, warnings: Sequence[str], **about: Any
) -> dict[str, Any]:
    """Return the record of several texts.

    Args:
        results: Of `quality_result`.
        recognizer: Who heard them.
        warnings: Of the run.
        **about: Who or what spoke.
    """
    errors, words = (sum(result[key] for result in results) for key in ("errors", "words"))
    looped = sum(result["looped"] for result in results)
    if looped:
        warnings = [*warnings, f"the recognizer got caught in a loop in {looped} texts; the repeats are not counted"]
    record: dict[str, Any] = rounded({
        "schema": _SCHEMA,
        "kind": KIND,
        **about,
        "recognizer": recognizer.name,
        "words": words,
        "errors": errors,
        "wer": errors / max(1, words),
        "missing": sum(len(result["missing"]) for result in results),
        "added": sum(len(result["added"]) for result in results),
        "by_kind": dict(_by_kind(results)),
        "ratings": _ratings(results),
        "texts": list(results),
        "warnings": list(warnings),
    })  # fmt: skip
    return record


def _by_kind(results: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    """Yield the word error rate of every kind of text."""
    errors: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for result in results:
        errors[result["kind"]] += result["errors"]
        words[result["kind"]] += result["words"]
    yield from ((kind, errors[kind] / max(1, words[kind])) for kind in words if kind)


def _ratings(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean of every measure, and why there is none."""
    measures: dict[str, Any] = {}
    for name in dict.fromkeys(name for result in results for name in result["ratings"]):
        each = [result["ratings"][name] for result in results]
        values = [rating["value"] for rating in each if rating["value"] is not None]
        measures[name] = {
            "mean": statistics.fmean(values) if values else None,
            "n": len(values),
            "why_not": "" if values else each[0]["why_not"],
        }
    return measures
