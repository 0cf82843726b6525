"""Scripts as the multilingual model's vocabulary has them: upstream's preparation of five languages.

Syllables of Korean become letters, characters of Chinese their Cangjie codes, Chinese characters in Japanese hiragana;
Hebrew gets its points and Russian its stress. The packages that know them are imported when the language is first read.
Source: ``models/tokenizers/tokenizer.py`` of github.com/resemble-ai/chatterbox.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any
from unicodedata import category, normalize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Cangjie", "prepared"]

_HANGUL, _LEADS, _VOWELS, _TAILS = 0xAC00, 0x1100, 0x1161, 0x11A7
_VOWEL_COUNT, _TAIL_COUNT = 21, 28
_BEHIND_A_SPACE = ("\u306f", "\u3078")
"""Particles that upstream reads as words of their own where a word with Chinese characters begins with them."""

_log = logging.getLogger("realtts.chatterbox")


class Cangjie:
    """Writes Chinese as codes of the checkpoint's table, words apart.

    Args:
        entries: Lines of a character and its code, apart by tabs, in the order of the table.

    Raises:
        ValueError: An entry has no code.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._codes: dict[str, str] = {}
        self._sharing: dict[str, list[str]] = {}
        for entry in entries:
            character, code = entry.split("\t")[:2]
            self._codes[character] = code
            self._sharing.setdefault(code, []).append(character)

    def __call__(self, text: str) -> str:
        """Return the text with a token for each key of a code."""
        return "".join(map(self._written, " ".join(_words(text))))

    def _written(self, character: str) -> str:
        code = self._codes.get(character) if category(character) == "Lo" else None
        if code is None:
            return character
        # Characters that share a code are told apart by their places in the table.
        rank = self._sharing[code].index(character)
        keys = code + (str(rank) if rank else "")
        return "".join(f"[cj_{key}]" for key in (*keys, "."))


def prepared(text: str, language: str | None, cangjie: Cangjie | None) -> str:
    """Return a text, in lower case and decomposed, in the characters that the vocabulary has for the language.

    Args:
        text: To be read.
        language: Its language; None: nothing is prepared.
        cangjie: For Chinese.
    """
    if language == "zh":
        assert cangjie is not None
        return cangjie(text)
    prepare = _PREPARATIONS.get(language or "")
    return text if prepare is None else prepare(text)


def _korean(text: str) -> str:
    return "".join(map(_letters, text)).strip()


def _letters(character: str) -> str:
    """Return a Korean syllable as its letters; any other character as it is."""
    if not "\uac00" <= character <= "\ud7af":
        return character
    number, tail = divmod(ord(character) - _HANGUL, _TAIL_COUNT)
    lead, vowel = divmod(number, _VOWEL_COUNT)
    return chr(_LEADS + lead) + chr(_VOWELS + vowel) + (chr(_TAILS + tail) if tail else "")


def _japanese(text: str) -> str:
    return normalize("NFKD", "".join(_read(part["orig"], part["hira"]) for part in _kakasi().convert(text)))


def _read(written: str, hiragana: str) -> str:
    """Return a part of a Japanese text as it is written, or in hiragana where it has Chinese characters."""
    if not any("\u4e00" <= character <= "\u9fff" for character in written):
        return written
    return f" {hiragana}" if hiragana.startswith(_BEHIND_A_SPACE) else hiragana


def _hebrew(text: str) -> str:
    return _attempted(lambda: _dicta().add_diacritics(text), text, "points of Hebrew")


def _russian(text: str) -> str:
    return _attempted(lambda: _stresser().stress_text(text), text, "stress of Russian")


def _attempted(prepare: Callable[[], Any], text: str, what: str) -> str:
    """Return what a package makes of a text, or, as upstream, the text itself where it fails."""
    try:
        return str(prepare())
    except ImportError:
        return text
    except Exception as error:
        _log.warning("%s cannot be added: %s", what, error)
        return text


@functools.cache
def _segmenter() -> Any:
    from spacy_pkuseg import pkuseg

    return pkuseg()


def _words(text: str) -> Iterable[str]:
    words: Iterable[str] = _segmenter().cut(text)
    return words


@functools.cache
def _kakasi() -> Any:
    import pykakasi

    return pykakasi.kakasi()


@functools.cache
def _dicta() -> Any:
    from dicta_onnx import Dicta

    return Dicta()


@functools.cache
def _stresser() -> Any:
    from russian_text_stresser.text_stresser import RussianTextStresser

    return RussianTextStresser()


_PREPARATIONS: dict[str, Callable[[str], str]] = {
    "ja": _japanese,
    "he": _hebrew,
    "ko": _korean,
    "ru": _russian,
}
