"""Counts word errors of a provider on the frozen list of sentences, as a recognizer hears them.

Run it from the root of the repository, where the provider, faster-whisper, jiwer and whisper-normalizer are installed::

    python benchmarks/listening.py hibari --recognizer folder/of/whisper-base

The recognizer is a folder that faster-whisper can read. Each sentence is held against the accepted reading that is
nearest to what was heard; the sentence as it is written counts as one, because recognizers write digits. Sentences are
taken from the six kinds in turn, so that a run that is cut short by ``--seconds`` is still a fair sample. The last line
is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import jiwer
from faster_whisper import WhisperModel
from whisper_normalizer.english import EnglishTextNormalizer

from realtts import RealProvider
from realtts.bench.listening import STRATA, listening_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts.bench.listening import ListeningText

_NORMALIZER = EnglishTextNormalizer()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("provider")
    parser.add_argument("--recognizer", required=True)
    parser.add_argument("--model", help="the provider's; default: its own")
    parser.add_argument("--voice", help="default: the provider's own")
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no sentence after that many")
    arguments = parser.parse_args()
    recognizer = WhisperModel(arguments.recognizer, device="cpu", compute_type="int8", cpu_threads=1)
    counted = {stratum: [0, 0] for stratum in STRATA}
    sentences, until = 0, time.monotonic() + arguments.seconds
    with RealProvider(arguments.provider, model=arguments.model, threads=1) as tts:
        for item in _in_turn():
            if time.monotonic() > until:
                break
            errors, words, heard = _judged(item, _heard(tts, recognizer, item.text, arguments))
            counted[item.stratum][0] += errors
            counted[item.stratum][1] += words
            sentences += 1
            if errors:
                print(f"{item.stratum}: {errors} in {item.text!r}: {heard!r}", flush=True)
    errors, words = (sum(pair[index] for pair in counted.values()) for index in (0, 1))
    rates = {stratum: round(100 * pair[0] / max(1, pair[1]), 1) for stratum, pair in counted.items()}
    print(json.dumps({
        "provider": arguments.provider, "sentences": sentences, "words": words, "errors": errors,
        "wer_percent": round(100 * errors / max(1, words), 2), "by_stratum": rates, "beam_size": arguments.beam_size,
    }))  # fmt: skip


def _in_turn() -> Iterator[ListeningText]:
    by_stratum = [[item for item in listening_texts() if item.stratum == stratum] for stratum in STRATA]
    return itertools.chain.from_iterable(zip(*by_stratum, strict=True))


def _heard(tts: RealProvider, recognizer: Any, text: str, arguments: argparse.Namespace) -> str:
    from realtts.resample import resample

    speech = tts.generate(text, seed=1, voice=arguments.voice, language="en")
    samples = resample(speech.samples, speech.sample_rate, 16000)
    segments, _ = recognizer.transcribe(
        samples, language="en", beam_size=arguments.beam_size, temperature=0.0, condition_on_previous_text=False
    )
    return " ".join(segment.text.strip() for segment in segments)


def _judged(item: ListeningText, heard: str) -> tuple[int, int, str]:
    """Return errors, words of the nearest reading, and what was heard, normalized."""
    said = _normal(heard)
    found = []
    for reading in (*item.readings(), item.text):
        words = _normal(reading)
        result = jiwer.process_words(words, said)
        found.append((result.substitutions + result.deletions + result.insertions, len(words.split())))
    errors, count = min(found, key=lambda pair: pair[0] / max(1, pair[1]))
    return errors, count, said


def _normal(text: str) -> str:
    normal: str = _NORMALIZER(text.replace("-", " "))
    return normal


if __name__ == "__main__":
    main()
