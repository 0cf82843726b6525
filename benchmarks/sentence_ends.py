"""Counts how many texts are split into the right sentences, per language, and how long a megabyte takes.

Run it from the root of the repository, in an environment with the core, `sentencex` and `pysbd`::

    python benchmarks/sentence_ends.py

The texts are those of ``tests/core/data/sentence_ends_*.json``: per language, lists of a kind and its sentences. A text
counts as right if exactly its sentences come back. A splitter that is not installed is left out.

The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.text import sentences

if TYPE_CHECKING:
    from collections.abc import Callable

    Splitter = Callable[[str, str], list[str]]

DATA = Path(__file__).parents[1] / "tests" / "core" / "data"
_SLOW = 20
"""Kilobytes beyond which `pysbd` is not timed."""

UNSPACED = ("zh", "yue", "ja")
"""Languages that put no space between sentences."""

MAIN = ("en", "de", "es", "fr", "it", "pt", "nl", "pl", "ru", "vi", "zh", "ja", "ko", "ar", "hi")
"""Languages of which the table has a row; the others are one row together."""


PROSE = {
    "en": "When Dr. Hale came down to the harbour at 6 p.m. that Tuesday, the ferry had already left, and "
    "the men who mend the nets were folding them under the lamps. “Is there another one tonight?” he"
    " asked. Nobody answered him, since all of them, e.g. old Mr. Finch, were listening to the radio"
    " in the shed. ",
    "de": "Als Dr. Hale am 3. Mai gegen 18 Uhr zum Hafen hinunterkam, war die Fähre bereits fort, und die "
    "Männer, die dort Netze flicken, legten sie unter den Lampen zusammen. „Fährt heute noch eine?“,"
    " fragte er. Niemand antwortete, denn alle, z. B. der alte Hr. Fink, hörten im Schuppen Radio. ",
    "ru": "Когда проф. Орлов спустился 3 мая к пристани, паром уже ушёл, а рыбаки, чинившие сети на ул. "
    "Морской, складывали их под фонарями. «Будет ли сегодня ещё один?» — спросил он. Никто не "
    "ответил, т.к. все слушали радио в сарае. ",
    "hi": "जब डॉ. शर्मा उस मंगलवार की शाम घाट पर पहुँचे, तब तक नाव जा चुकी थी और जाल सुधारने "
    "वाले लोग दीयों के नीचे उन्हें समेट रहे थे। क्या आज कोई और नाव है? किसी ने उत्तर नहीं "
    "दिया, क्योंकि सब लोग कोठरी में रेडियो सुन रहे थे। ",
}
"""Three sentences each, for the speed."""


def cases() -> dict[str, list[tuple[str, list[str]]]]:
    """Return kinds with their sentences, per language."""
    listed: dict[str, list[tuple[str, list[str]]]] = {}
    for path in sorted(DATA.glob("sentence_ends_*.json")):
        for language, entries in json.loads(path.read_text(encoding="utf-8")).items():
            listed.setdefault(language, []).extend((entry[0], entry[1:]) for entry in entries)
    return listed


def text_of(language: str, parts: list[str]) -> str:
    """Return the text of sentences."""
    return ("" if language in UNSPACED else " ").join(parts)


def splitters() -> dict[str, Splitter]:
    """Return what is installed; each takes a text and a BCP 47 tag."""
    installed: dict[str, Splitter] = {"realtts": lambda text, tag: [text[a:b] for a, b in sentences(text, tag)]}
    with contextlib.suppress(ImportError):
        import sentencex

        installed["sentencex"] = lambda text, tag: [
            part.strip() for part in sentencex.segment(tag.split("-")[0], text) if part.strip()
        ]
    with contextlib.suppress(ImportError):
        import pysbd

        installed["pysbd"] = lambda text, tag: _pysbd(pysbd, text, tag.split("-")[0])
    return installed


def _pysbd(pysbd: object, text: str, code: str) -> list[str]:
    try:
        segmenter = pysbd.Segmenter(language=code, clean=False)  # type: ignore[attr-defined]
    except ValueError:
        segmenter = pysbd.Segmenter(language="en", clean=False)  # type: ignore[attr-defined]
    return [part.strip() for part in segmenter.segment(text) if part.strip()]


def right(split: Splitter, language: str, parts: list[str]) -> bool:
    """Tell whether a splitter returns these sentences."""
    try:
        return split(text_of(language, parts), language) == parts
    except Exception:
        return False


def megabyte(language: str) -> str:
    """Return a million bytes of prose in paragraphs."""
    paragraph = PROSE[language] * 3 + "\n\n"
    return (paragraph * (1_000_000 // len(paragraph.encode()) + 1)).encode()[:1_000_000].decode(errors="ignore")


def seconds(split: Splitter, text: str, language: str) -> float:
    """Return how long a text takes, in seconds of the processor."""
    split("One. Two.", language)
    began = time.process_time()
    split(text, language)
    return time.process_time() - began


def main() -> None:
    """Print a table in Markdown, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wrong", action="store_true", help="show the texts that realtts splits wrongly")
    parser.add_argument("--kilobytes", type=int, default=1000, help="length of the text for the speed")
    arguments = parser.parse_args()
    listed, installed = cases(), splitters()
    rows = {language: [language] for language in MAIN}
    rows["others"] = [language for language in listed if language not in MAIN]
    totals = dict.fromkeys(installed, 0)
    print(f"| language | texts | {' | '.join(installed)} |\n|---|---|{'---|' * len(installed)}")
    for row, languages in rows.items():
        entries = [(language, parts) for language in languages for _, parts in listed[language]]
        counts = {
            name: sum(right(split, language, parts) for language, parts in entries) for name, split in installed.items()
        }
        totals = {name: totals[name] + counts[name] for name in installed}
        print(f"| {row} | {len(entries)} | {' | '.join(str(count) for count in counts.values())} |")
    total = sum(map(len, listed.values()))
    if arguments.wrong:
        split = installed["realtts"]
        for language, entries in listed.items():
            for kind, parts in entries:
                if not right(split, language, parts):
                    print(language, kind, parts, split(text_of(language, parts), language), sep="\n    ")
    speed = {
        name: {
            language: round(seconds(split, megabyte(language)[: 1000 * arguments.kilobytes], language), 2)
            for language in ("en", "de", "ru", "hi")
        }
        for name, split in installed.items()
        if name != "pysbd" or arguments.kilobytes <= _SLOW
    }
    print(
        json.dumps(
            {"benchmark": "sentence_ends", "texts": total, "languages": len(listed), "right": totals, "seconds": speed}
        )
    )


if __name__ == "__main__":
    main()
