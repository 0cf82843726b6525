r"""Speaks random texts with espeak in child processes, and names every text that ends one.

Run it from the root of the repository, in an environment with ``plugins/espeak``::

    python benchmarks/fuzz_espeak.py --texts 100000
    LD_PRELOAD=$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 \
        python benchmarks/fuzz_espeak.py --seconds 3600 --library build/libespeak-ng.so --keep-loaded

The second form takes a library of espeak-ng that was built with AddressSanitizer, which ends the process at the first
byte read or written beside an array. A library without the sanitizer and without sounds is ten times as fast as the
installed one, and still ends where the stack is overwritten. ``--keep-loaded`` loads the library once per process,
where that takes longer than the rest; it then carries what a text left behind into the next, which the provider never
does. A text is made from its number alone: ``--first 4711 --texts 1`` repeats one.

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import espeakng_loader

from espeak_library import keep_loaded
from realtts.contract.types import Request
from realtts.errors import RealTTSError
from realtts.registry.extensions import Extensions
from realtts.settings import Settings
from realtts.synthesis.plan import Ask, make_plan
from realtts_espeak import spec
from realtts_espeak.options import EspeakOptions
from realtts_espeak.plain import Plain

LETTERS = "abcdefghijklmnopqrstuvwxyzéßñøABCXYZ"
SCRIPTS = (
    *("абвгдежя", "אבגדה", "ابتثج", "कखगघि", "กขคงาไ", "あいうえおア", "中文字符汉语", "가나다네목"),
    *("აბგდ", "ሀለሐመ", "αβγδς", "தமிழ்", "ខ្មែរ", "ഒന്ന്", "бел", "ăâđêôơư"),
)
ABBREVIATIONS = (
    *("e.g.", "i.e.", "p.m.", "U.S.A.", "z.B.", "d.h.", "u.s.w.", "Ph.D.", "a.", "é.", "C.I.A.'s", "т.е.", "т.д."),
    *("Mr.", "Dr.", "St.", "p. m.", "TP.", "Av.", "inkl.", "s.v.p.", "k.t.p."),
)
NUMBERS = ("0,00000", "0.000001", "XVIII", "12%", "$5", "7th", "1er", "10 000", "1.2.3.4", "192.168.0.1", "12:30")
WORDS = ("the", "of", "and", "hello", "B2B", "x1", "XLTest", "iPhone", "camelCase", "a-b", "ab'c", "rhythm", "WWW")
SYMBOLS = "€$£%&@#§+=<>^~|\\/()[]{}\"'`´’“”‘«»-–—_*·•…!?,;:.。、？！😀🅰⣿ⓜ½²№™°©♪→"
SEPARATORS = ("", " ", " ", " ", ", ", ". ", "-", ".", " .", "\n", "\n\n", "/", "\u00a0", "; ")
LENGTHS = (10, 50, 200, 500, 1000, 1000)


def unit(draw: random.Random) -> str:
    """Return one thing that people or programs write."""
    digits, letters = draw.randrange(10 ** draw.randrange(1, 9)), draw.choice(SCRIPTS)
    return draw.choice(
        (
            draw.choice(LETTERS) + ".",
            draw.choice(ABBREVIATIONS),
            str(digits),
            f"{digits % 1000}.{draw.randrange(1000)}",
            f"{digits % 1000},{draw.randrange(1000)}",
            "".join(draw.choices(LETTERS, k=draw.randrange(1, 14))),
            draw.choice(SYMBOLS),
            "".join(draw.choices(letters, k=draw.randrange(1, 8))),
            "http://"
            + ".".join("".join(draw.choices(LETTERS, k=draw.randrange(1, 5))) for _ in range(digits % 20 + 1)),
            draw.choice(LETTERS) + str(digits % 10),
            draw.choice(NUMBERS),
            draw.choice(WORDS),
            draw.choice(letters) + ".",
            "".join(draw.choices(SYMBOLS, k=draw.randrange(1, 6))),
            "".join(chr(draw.choice((draw.randrange(0x20, 0x3100), draw.randrange(0x20, 0xD7FF)))) for _ in range(3)),
        )
    )


def plain(draw: random.Random, longest: int) -> str:
    """Return a text: one unit again and again, a few in turns, or always new ones."""
    length, pool = min(draw.choice(LENGTHS), longest), [unit(draw) for _ in range(draw.randrange(1, 6))]
    separators = draw.choices(SEPARATORS, k=2)
    style, text = draw.randrange(4), ""
    while len(text) < length:
        if style == 0:
            text += pool[0] + separators[0]
        elif style == 1:
            text += draw.choice(pool) + draw.choice(separators)
        elif style == 2:
            text += unit(draw) + draw.choice(separators)
        else:
            text += (pool[0] + separators[0]) * draw.randrange(1, 80) + unit(draw) + draw.choice(separators)
    return text[:length]


def ssml(draw: random.Random, longest: int) -> str:
    """Return SSML whose text runs are such texts."""
    parts = []
    for _ in range(draw.randrange(1, 8)):
        run = re.sub("[<&>]", " ", plain(draw, longest))[: draw.choice((20, 200, 1000))]
        tag = draw.choice(
            (
                "{}",
                "<emphasis>{}</emphasis>",
                '<prosody rate="120%" pitch="high">{}</prosody>',
                "<s>{}</s>",
                "<p>{}</p>",
                '{}<break time="10ms"/>',
                '{}<break strength="weak"/>',
                '<say-as interpret-as="characters">{}</say-as>',
                '<say-as interpret-as="telephone">{}</say-as>',
                '<say-as interpret-as="date" format="dmy">{}</say-as>',
                '<phoneme alphabet="ipa" ph="' + re.sub('["<&{}]', "", run[:30]) + 'ə">{}</phoneme>',
                '<phoneme alphabet="espeak" ph="' + re.sub('["<&{}]', "", run[:30]) + '@">{}</phoneme>',
                '<voice gender="female">{}</voice>',
                '<voice name="de">{}</voice>',
                '<lang xml:lang="ru">{}</lang>',
            )
        )
        parts.append(tag.format(run))
    return f"<speak>{''.join(parts)}</speak>"


@dataclass(frozen=True)
class Case:
    """One text with its voice and options."""

    voice: str
    text: str
    options: dict[str, Any]


def case(number: int, voices: list[str], longest: int) -> Case:
    """Make the case of a number."""
    draw = random.Random(number)  # noqa: S311 - no secret
    voice = draw.choice(voices)
    if draw.random() < 0.2:
        return Case(voice, ssml(draw, longest), {"ssml": True})
    return Case(voice, plain(draw, longest), {"punctuation": draw.random() < 0.05})


def speak_all(first: int, count: int, voices: list[str], tell: int, *, keep: bool, longest: int) -> None:
    """Speak cases in this process, and write the number of each before it is spoken."""
    model = Plain().load(None)  # type: ignore[arg-type]
    if keep:
        keep_loaded()
    for number in range(first, first + count):
        os.write(tell, f"{number}\n".encode())
        for request in requests(case(number, voices, longest)):
            try:
                for _ in Plain().generate(None, model, request):  # type: ignore[arg-type]
                    pass
            except RealTTSError:
                continue


def requests(one: Case) -> list[Request]:
    """Return the requests that a case becomes."""
    if not one.options.pop("ssml", False):
        return [Request(one.text, one.voice, None, 0, 1.0, EspeakOptions(rate=450, **one.options), lambda: False)]
    ask = Ask(one.voice, None, 0, 1.0, {"rate": 450, "ssml": True})
    try:
        plan = make_plan(one.text, ask, spec=spec, settings=Settings(), extensions=Extensions())
    except RealTTSError:
        return []
    return [piece.request for piece in plan.pieces]


def run_batch(first: int, count: int, voices: list[str], *, keep: bool, longest: int) -> tuple[int, int, str]:
    """Speak cases in a child.

    Returns:
        How many were spoken, the child's status, and what it wrote to standard error.
    """
    read, write = os.pipe()
    with tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            os.close(read)
            os.dup2(errors.fileno(), 2)
            status = 1
            try:
                speak_all(first, count, voices, write, keep=keep, longest=longest)
                status = 0
            finally:
                if status:
                    traceback.print_exc()
                os._exit(status)
        os.close(write)
        with os.fdopen(read) as numbers:
            spoken = sum(1 for _ in numbers)
        _, status = os.waitpid(child, 0)
        errors.seek(0)
        return spoken, status, errors.read().decode(errors="replace")


def main() -> None:
    """Speak until the texts or the time are spent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1_000_000_000, help="how many at most")
    parser.add_argument("--seconds", type=float, default=1e9, help="how long at most")
    parser.add_argument("--first", type=int, default=0, help="number of the first text")
    parser.add_argument("--library", type=Path, help="a library of espeak-ng 1.52 other than the installed one")
    parser.add_argument("--keep-loaded", action="store_true", help="load the library once per process")
    parser.add_argument("--longest", type=int, default=max(LENGTHS), help="most characters of a text, or of each run")
    arguments = parser.parse_args()
    if arguments.library:
        espeakng_loader.get_library_path = lambda: str(arguments.library.resolve())
    model = Plain().load(None)  # type: ignore[arg-type]
    voices = [voice.identifier for voice in model.catalogue.voices]
    began, number, last = time.perf_counter(), arguments.first, arguments.first + arguments.texts
    crashes: Counter[str] = Counter()
    while number < last and time.perf_counter() - began < arguments.seconds:
        spoken, status, errors = run_batch(
            number, min(200, last - number), voices, keep=arguments.keep_loaded, longest=arguments.longest
        )
        number += spoken
        if status:
            summary = re.search(r"SUMMARY: (.*)", errors)
            why = summary[1] if summary else (errors.strip().splitlines() or [f"status {status}"])[-1]
            crashes[why] += 1
            one = case(number - 1, voices, arguments.longest)
            print(f"{number - 1} {one.voice} {one.options} {why}\n  {one.text!r}", flush=True)
    seconds = time.perf_counter() - began
    print(
        json.dumps(
            {
                "benchmark": "fuzz_espeak",
                "texts": number - arguments.first,
                "first": arguments.first,
                "longest": arguments.longest,
                "crashes": sum(crashes.values()),
                "kinds": dict(crashes),
                "seconds": round(seconds, 1),
                "library": str(arguments.library or "installed"),
            }
        )
    )


if __name__ == "__main__":
    main()
