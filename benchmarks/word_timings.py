"""Compares word timings found by listening with those that a provider gives itself.

Run it from the root of the repository, where the provider and ``realtts[listen]`` with a recognizer are installed::

    python benchmarks/word_timings.py hibari espeak --seconds 120

Every sentence of the text set is spoken and listened to. Words whose places in the text are the same on both sides are
compared; the error of a word is the distance of its beginnings. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from realtts import RealProvider
from realtts.bench import spoken_texts
from realtts.listening import find_recognizer, listen, word_marks


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("providers", nargs="+", metavar="PROVIDER")
    parser.add_argument("--recognizer")
    parser.add_argument("--text-set", default="listening")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="begin no sentence after that many, of each"
    )
    arguments = parser.parse_args()
    results = {name: _measured(name, arguments) for name in arguments.providers}
    print(json.dumps({"recognizer": find_recognizer(arguments.recognizer, 1).name, "providers": results}))


def _measured(name: str, arguments: Any) -> dict[str, Any]:
    recognizer = find_recognizer(arguments.recognizer, 1)
    starts: list[float] = []
    ends: list[float] = []
    words = sentences = 0
    until = time.monotonic() + arguments.seconds
    with RealProvider(name, threads=1) as tts:
        for item in spoken_texts(arguments.text_set):
            if time.monotonic() > until:
                break
            speech = tts.generate(item.text, language=item.language, seed=1)
            hearing = listen(recognizer, speech.samples, speech.sample_rate, item.text, language=item.language)
            own = {mark.span[0]: mark for mark in speech.marks if mark.kind == "word"}
            found = word_marks(hearing.account, speech.duration)
            pairs = [(mark, own[mark.span[0]]) for mark in found if mark.span[0] in own]
            starts += [mark.start - other.start for mark, other in pairs]
            ends += [mark.end - other.end for mark, other in pairs]
            words, sentences = words + len(found), sentences + 1
    return {
        "sentences": sentences, "words": words, "compared": len(starts),
        "start_error_ms": _spread(starts), "end_error_ms": _spread(ends),
        "start_bias_ms": _ms(statistics.median(starts)), "end_bias_ms": _ms(statistics.median(ends)),
    }  # fmt: skip


def _spread(errors: list[float]) -> dict[str, float]:
    sizes = sorted(map(abs, errors))
    return {"median": _ms(statistics.median(sizes)), "p90": _ms(sizes[len(sizes) * 9 // 10])}


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


if __name__ == "__main__":
    main()
