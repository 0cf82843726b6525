"""Text into what the networks read: characters and pinyin, and chunks of a length that they were trained for.

The models were trained on what upstream's ``convert_char_to_pinyin`` makes of text, its quirks included (words with
accents are taken apart: ``mañana`` is followed by a space in some places and not in others), so all of it is kept.
"""

from __future__ import annotations

import bisect
import functools
import importlib
import io
import re
from importlib import resources
from typing import TYPE_CHECKING

from realtts.errors import CheckpointCorrupt, CheckpointMismatch
from realtts.kit.reading import read_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Vocabulary", "chunks", "divided", "opened", "symbols"]

_STANDARD = str.maketrans({";": ",", "“": '"', "”": '"', "‘": "'", "’": "'"})
_BEFORE_WORDS = " :'\""
"""Behind these a word of several letters follows without a space."""

_BOUNDARY = re.compile(r"(?<=[;:,.!?])\s+|(?<=[；：，。！？])")


class Vocabulary:
    """The symbols that a model knows. Row 0 of its embedding is filler, symbol n has row n + 1.

    Args:
        path: ``vocab.txt`` with a symbol per line; None: the one that f5-tts brings.

    Attributes:
        name: For messages.

    Raises:
        CheckpointCorrupt: It cannot be read.
        CheckpointMismatch: Its first symbol is not the space.
    """

    def __init__(self, path: Path | None) -> None:
        self.name = "vocab.txt of f5-tts" if path is None else f"file {path.name!r}"
        text = _published() if path is None else read_text(path)
        # A later line wins, and the last character goes even if it is none of a line's end: as upstream.
        self._ids = {line[:-1]: number for number, line in enumerate(io.StringIO(text, newline=None))}
        if self._ids.get(" ") != 0:
            raise CheckpointMismatch(
                "its first line is not a space, which upstream takes for what a vocabulary lacks",
                who=self.name, fix="put the vocabulary that the model was trained with beside it, as vocab.txt",
            )  # fmt: skip

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self, symbols: Sequence[str]) -> tuple[int, ...]:
        """Look up the numbers of symbols; an unknown one is 0, a space, as upstream has it."""
        return tuple(self._ids.get(symbol, 0) for symbol in symbols)

    def reads(self, character: str) -> bool:
        """Tell whether it has all that a character becomes; white space is read by any model."""
        return character.isspace() or all(symbol in self._ids for symbol in symbols(character))

    def unknown(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """List the symbols that it lacks, each once, white space apart."""
        return tuple(dict.fromkeys(s for s in symbols if s not in self._ids and not s.isspace()))


def symbols(text: str) -> list[str]:
    """Split a text into symbols: characters, and pinyin with tones for Chinese ones, as upstream takes them apart.

    Source: ``convert_char_to_pinyin`` of ``f5_tts/model/utils.py``.
    """
    row: list[str] = []
    for word in _segments(text.translate(_STANDARD)):
        size = len(word.encode("utf-8"))
        if size == len(word):
            if row and size > 1 and row[-1] not in _BEFORE_WORDS:
                row.append(" ")
            row.extend(word)
        elif size == 3 * len(word) and len(_pinyin(word)) == len(word):  # else upstream fails: what is no Chinese
            for character, sound in zip(word, _pinyin(word), strict=True):
                row += [" ", sound] if _is_chinese(character) else [sound]
        else:
            for character in word:
                row += [" ", *_pinyin(character)] if _is_chinese(character) else [character]
    return row


def chunks(text: str, most: int) -> list[str]:
    """Split a text at its punctuation into chunks of at most so many bytes, longer ones where it has too little of it.

    Source: ``chunk_text`` of ``f5_tts/infer/utils_infer.py``.

    Args:
        text: What is to be said.
        most: Bytes of UTF-8.
    """
    parts: list[str] = []
    current = ""
    for sentence in filter(None, _BOUNDARY.split(text)):
        # Latin sentences are parted by spaces, Chinese ones are not.
        ending = sentence + " " if len(sentence[-1].encode("utf-8")) == 1 else sentence
        if len((current + sentence).encode("utf-8")) <= most:
            current += ending
        else:
            parts += [current.strip()] if current else []
            current = ending
    return parts + ([current.strip()] if current else [])


def opened(text: str, *, least: int, longest: float, target: float) -> list[str]:
    """Split a chunk behind its first clause, or in it, so that a stream can begin with it; a short one stays whole.

    Args:
        text: The chunk.
        least: Bytes of UTF-8 that either part has at least.
        longest: Bytes of a first part that is left in one.
        target: Bytes, about, of the first part of a longer one, which is split at a space if there is one.
    """
    first, rest = text, ""
    for boundary in _BOUNDARY.finditer(text):
        one, other = text[: boundary.start()].strip(), text[boundary.end() :].strip()
        if _size(one) >= least and _size(other) >= least:
            first, rest = one, other
            break
    if _size(first) > longest:
        spaces = [(text[: space.start()], text[space.end() :]) for space in re.finditer(r"\s+", first)]
        parts = [(one, other) for one, other in spaces if _size(one) >= least and _size(other) >= least]
        if parts:
            first, rest = min(parts, key=lambda pair: abs(_size(pair[0]) - target))
    return [first.strip(), rest.strip()] if rest else [text]


def divided(text: str, most: int, *, longest_word: int = 0) -> list[str]:
    """Split a chunk without punctuation into parts of about equal size, at spaces if there are any.

    Args:
        text: The chunk.
        most: Bytes of UTF-8; a character may be longer, and is then a part by itself.
        longest_word: Bytes of a word that is kept whole although it is longer than ``most``.
    """
    units: list[str] = []
    for word in re.findall(r"\s*\S+\s*", text):
        units += [word] if _size(word) <= max(most, longest_word) else word
    fewest = len(_packed(units, most))
    # The tightest limit that gives no more parts: a short rest would be spoken at another pace.
    limit = bisect.bisect_left(range(most), x=True, key=lambda size: len(_packed(units, size)) <= fewest)
    return _packed(units, limit)


def _packed(units: Sequence[str], most: int) -> list[str]:
    """Join neighbouring units as far as they fit into so many bytes."""
    parts: list[str] = []
    current = ""
    for unit in units:
        if current.strip() and _size(current + unit) > most:
            parts.append(current.strip())
            current = ""
        current += unit
    return [*parts, current.strip()] if current.strip() else parts


def _size(text: str) -> int:
    """Count the bytes of UTF-8 between the white space around a text."""
    return len(text.strip().encode("utf-8"))


def _is_chinese(character: str) -> bool:
    """Return whether upstream takes a character for a Chinese one."""
    return "\u3100" <= character <= "\u9fff"


def _segments(text: str) -> list[str]:
    """Split a text into words, as upstream's segmenter does."""
    return list(importlib.import_module("rjieba").cut(text))


@functools.lru_cache(maxsize=4096)
def _pinyin(word: str) -> tuple[str, ...]:
    """Return the sounds of a word with their tones; other characters stay together as they are."""
    pypinyin = importlib.import_module("pypinyin")
    return tuple(pypinyin.lazy_pinyin(word, style=pypinyin.Style.TONE3, tone_sandhi=True))


def _published() -> str:
    """Read the vocabulary that f5-tts brings."""
    try:
        return resources.files("f5_tts").joinpath("infer/examples/vocab.txt").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CheckpointCorrupt(
            f"it cannot be read: {type(error).__name__}", who="vocab.txt of f5-tts", fix="install f5-tts again"
        ) from error
