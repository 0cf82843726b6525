"""Speaks words of the Unicode Common Locale Data Repository with every voice of espeak, and names those that are lost.

Run it from the root of the repository, in an environment with ``plugins/espeak`` and ``babel``::

    python benchmarks/espeak_words.py --words 20000

Each voice speaks names of languages, countries, currencies, months, days and units in its own language, in the share of
the words that falls to it; a voice whose language the repository lacks speaks those of a language with the same script.
Every name is spoken once and twice in a row. It counts as

- refused, if an error comes;
- dropped, if a warning tells that a word has no sound, if a word has no mark, or if the name spoken twice is not at
  least 1.5 times as long.

``--texts`` doubles texts in ten scripts instead, from 300 characters up to 10,000, and prints how their durations grow.

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import babel
import numpy as np

from espeak_library import keep_loaded
from realtts.contract.types import Request
from realtts.errors import RealTTSError
from realtts_espeak.library import SAMPLE_RATE
from realtts_espeak.options import EspeakOptions
from realtts_espeak.plain import Espeak, Plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts_espeak.catalogue import BuiltinVoice

LOCALES = {
    "cmn": "zh", "cmn-latn-pinyin": "vi", "yue": "zh_Hant", "hak": "zh_Hant", "nb": "nb", "hbs": "sr_Latn", "grc": "el",
    "bpy": "bn", "mto": "es", "quc": "es", "nci": "es", "pap": "nl", "ht": "fr", "py": "id", "kl": "da", "smj": "sv",
    "ltg": "lv", "fa-latn": "tr", "ba": "tt", "cv": "ru", "nog": "kk", "shn": "my", "om": "om", "la": "it", "an": "es",
    "chr-US-Qaaa-x-west": "chr", "hyw": "hy", "ug": "ug", "sd": "sd", "ti": "ti", "mi": "mi", "haw": "haw", "tn": "tn",
    "qu": "qu", "gn": "gn", "lb": "lb", "tt": "tt", "or": "or", "pa": "pa", "kok": "kok", "as": "as", "az": "az",
    "vi-VN-x-central": "vi", "vi-VN-x-south": "vi", "en-shaw": "en",
}  # fmt: skip
"""Locales of the repository for languages whose own has another name or is missing."""

SENTENCES = {
    "en": "The quick brown fox jumps over the lazy dog near the river bank. ",
    "ru": "Съешь ещё этих мягких французских булок, да выпей чаю. ",
    "el": "Ο γρήγορος σκύλος πηδά πάνω από την ήσυχη γάτα. ",
    "ar": "ذهب الولد إلى المدرسة في الصباح الباكر مع أخيه. ",
    "hi": "मेरा भाई आज सुबह बाज़ार से ताज़े फल लाया है। ",
    "ja": "きのうともだちといっしょにえきのちかくでごはんをたべました。",
    "cmn": "昨天我和朋友一起在车站附近吃了晚饭然后回家。",
    "ko": "어제 친구와 함께 역 근처에서 저녁을 먹었습니다. ",
    "th": "เมื่อวานนี้ฉันไปกินข้าวกับเพื่อนใกล้สถานี ",
    "am": "ትናንት ከጓደኛዬ ጋር ወደ ገበያ ሄድኩ። ",
    "ka": "გუშინ მეგობართან ერთად სადგურთან ვივახშმე. ",
    "ta": "நேற்று நான் நண்பருடன் கடைக்கு சென்றேன். ",
    "he": "אתמול הלכתי עם חבר שלי לתחנה וחזרתי הביתה. ",
}
"""A sentence per script, for ``--texts``; with and without its marks."""


def names(language: str) -> list[str]:
    """List the names that the repository has in a language, or in English where it has none."""
    code = LOCALES.get(language) or LOCALES.get(language.split("-", maxsplit=1)[0]) or language.replace("-", "_")
    try:
        locale = babel.Locale.parse(code)
    except (ValueError, babel.UnknownLocaleError):
        try:
            locale = babel.Locale.parse(code.split("_", maxsplit=1)[0])
        except (ValueError, babel.UnknownLocaleError):
            locale = babel.Locale.parse("en")
    listed = [*locale.languages.values(), *locale.territories.values(), *locale.currencies.values()]
    listed += [*locale.scripts.values(), *locale.variants.values(), *locale.eras["wide"].values()]
    for calendar in (locale.months, locale.days):
        listed += [name for widths in calendar.values() for name in widths["wide"].values()]
    unique = dict.fromkeys(name for name in listed if isinstance(name, str) and any(map(str.isalpha, name)))
    return list(unique)


def speak(model: Espeak, voice: str, text: str, rate: int = 450) -> tuple[float, int, list[str]]:
    """Speak a text.

    Returns:
        Seconds, number of marks, warnings.
    """
    request = Request(text, voice, None, 0, 1.0, EspeakOptions(rate=rate), lambda: False)
    samples, marks = 0, 0
    warnings: list[str] = []
    for chunk in Plain().generate(None, model, request):  # type: ignore[arg-type]
        samples += len(chunk.samples)
        marks += len(chunk.marks)
        warnings += chunk.warnings
        if not np.isfinite(chunk.samples).all():
            warnings.append("samples that are no numbers")
    return samples / SAMPLE_RATE, marks, warnings


def fault(model: Espeak, voice: str, name: str) -> str | None:
    """Return what is wrong with how a name is spoken, or None."""
    try:
        once, marks, warnings = speak(model, voice, name)
        twice, _, _ = speak(model, voice, f"{name}, {name}")
    except RealTTSError as error:
        return f"refused: {error}"
    if warnings:
        return f"warned: {warnings[0]}"
    words = sum(any(map(str.isalnum, word)) for word in name.split())
    if marks < words:
        return f"dropped: {marks} marks for {words} words"
    return f"dropped: {once:.2f} s, twice {twice:.2f} s" if twice < 1.5 * once else None


def words_of(voices: tuple[BuiltinVoice, ...], count: int) -> Iterator[tuple[BuiltinVoice, str]]:
    """Yield what each voice is to speak."""
    draw = random.Random(16)  # noqa: S311 - no secret
    share = -(-count // len(voices))
    for voice in voices:
        listed = names(voice.language)
        for name in draw.sample(listed, min(share, len(listed))):
            yield voice, name


def growth(model: Espeak, language: str, sentence: str) -> list[tuple[int, float]]:
    """Return lengths of a text in characters, each with how many times as long its double lasts."""
    found = []
    for length in (300, 600, 1250, 2500, 5000):
        text = sentence * max(1, length // len(sentence))
        once, _, _ = speak(model, language, text)
        twice, _, _ = speak(model, language, text * 2)
        found.append((2 * len(text), twice / once))
    return found


def main() -> None:
    """Speak the words, or the texts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=20_000, help="how many in all")
    parser.add_argument("--voices", nargs="*", default=[], help="espeak's names of voices; all if none is given")
    parser.add_argument("--texts", action="store_true", help="double texts instead")
    arguments = parser.parse_args()
    model = Plain().load(None)  # type: ignore[arg-type]
    keep_loaded()
    began = time.perf_counter()
    if arguments.texts:
        worst = 0.0
        for language, sentence in SENTENCES.items():
            for kind, text in (("marks", sentence), ("no marks", sentence.rstrip(" .。।።,") + " ")):
                grown = growth(model, language, text)
                worst = max(worst, *(abs(factor / 2 - 1) for _, factor in grown))
                print(language, kind, [(length, round(factor, 3)) for length, factor in grown], flush=True)
        print(json.dumps({"benchmark": "espeak_words --texts", "worst_deviation": round(worst, 4)}))
        return
    faults: Counter[str] = Counter()
    spoken = 0
    for voice, name in words_of(model.catalogue.voices, arguments.words):
        if arguments.voices and voice.identifier not in arguments.voices:
            continue
        spoken += 1
        if what := fault(model, voice.identifier, name):
            faults[what.split(":", maxsplit=1)[0]] += 1
            print(f"{voice.identifier} {name!r}: {what}", flush=True)
    print(
        json.dumps(
            {
                "benchmark": "espeak_words",
                "voices": len(model.catalogue.voices),
                "words": spoken,
                "faults": dict(faults),
                "seconds": round(time.perf_counter() - began, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
