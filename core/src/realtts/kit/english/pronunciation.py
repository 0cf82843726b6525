"""Words as phonemes: hibari's lexicon and rules, and a network for words that they do not have.

The modules of hibari-tts are used as they are, below their own normalizer: that one and the rules for numbers and links
lose text, so they get neither a digit nor a sign. What they return is accounted for word by word.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.kit.english.assets import read_asset
from realtts.kit.onnx import OnnxGraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.context import Context

__all__ = ["LETTERS", "MARKS", "SOUNDS", "Pronunciation"]

SOUNDS = frozenset("AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻɐᵊ") | frozenset("bdfhjklmnpstvwzðŋɡɹɾʃʒʤʧθTʔ")
"""Phonemes that are heard, in misaki's alphabet; the others are stress and punctuation."""

# fmt: off
LETTERS = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyzÀÁÂÃÄÅÆÇÉÊÌÍÎÏÑÒÓÔÕÖØÚÜÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿĀāĂăąĆćČč"
    "ĎďĐđĒēĕĖėęěĝĞğġģīĭİıķļĽľŁłńņňŋŌōŏőŒœŘřŚśŞşŠšţťūŭŮůŰűųŵŹźŻżŽžșț"
)
# fmt: on
"""Those that the networks for unknown words have learnt; all others of Latin are read without their marks."""

MARKS = frozenset(';:,.!?—…"()“”')
"""Punctuation that the graph has symbols for."""

_LANGUAGE_SWITCH = re.compile(r"\([^()]*\)?")
"""The network has learnt from espeak-ng, which notes where it reads a word in another language: "(fr)"."""

_OTHER_SOUNDS = str.maketrans({"ʀ": "ɹ", "-": "", "1": "", "(": "", ")": ""})


class Pronunciation:
    """Pronounces the words of a sentence; of American or of British English.

    Args:
        context: Of `load`.
        british: British English.

    Raises:
        CheckpointError: The package, or a file of it, is missing or damaged.
    """

    def __init__(self, context: Context, *, british: bool) -> None:
        accent, provider = "gb" if british else "us", context.spec.name
        for name in (f"lexicon_{accent}_gold.json.gz", f"lexicon_{accent}_silver.json.gz", "tagger.json.gz"):
            read_asset(name, provider)
        read_asset("tokenizer_exceptions.json", provider)
        read_asset("normalize.json", provider)
        from hibari.g2p import G2P
        from hibari.g2p.token import Tok

        self._token = Tok
        self._g2p = G2P(oov=_UnknownWords(context, "oov_gb" if british else "oov"), british=british)

    def __call__(self, words: Sequence[str]) -> list[str]:
        """Return the phonemes of each word of a sentence, with its punctuation; of one without a sound, nothing.

        Args:
            words: As they stand between white space, of letters, ``LETTERS`` or without marks, and punctuation.
        """
        pieces = [(piece, index) for index, word in enumerate(words) for piece in self._g2p.tokenizer.split(word)]
        if not pieces:
            return []
        tags = self._g2p.tagger([piece for piece, _ in pieces])
        following = [index for _, index in pieces[1:]] + [-1]
        tokens = [
            self._token(piece, tag, "" if index == after else " ")
            for (piece, index), tag, after in zip(pieces, tags, following, strict=True)
        ]
        phonemes = [""] * len(words)
        at = 0
        for token in self._g2p.phonemize_tokens(tokens):
            phonemes[at] += token.phonemes or ""
            at += bool(token.whitespace)
        return [_heard(said) or self._alone(word) for word, said in zip(words, phonemes, strict=True)]

    def _alone(self, word: str) -> str:
        """Return the phonemes of a word that has none in its sentence: read by the network, else spelled."""
        letters = "".join(char for char in word if char.isalpha())
        if not letters:
            return "".join(char for char in word if not char.isspace() and not char.isalpha() and char in _PAUSES)
        said = _heard(self._g2p.oov(letters) or "")
        return said or " ".join(filter(None, (self._g2p.lexicon.get_NNP(letter.upper())[0] for letter in letters)))


_PAUSES = frozenset(";:,.!?—…")


def _heard(phonemes: str) -> str:
    return phonemes if any(char in SOUNDS for char in phonemes) else ""


class _UnknownWords:
    """The network that reads words which the lexicon does not have, letter by letter."""

    def __init__(self, context: Context, name: str) -> None:
        about: dict[str, Any] = json.loads(read_asset(f"{name}.json", context.spec.name))
        self._letters = {char: number for number, char in enumerate(about["in"], start=1)}
        self._phonemes = dict(enumerate(about["out"], start=1))
        self._longest = int(about["maxlen"])
        self._graph = OnnxGraph.open(
            read_asset(f"{name}.onnx", context.spec.name), context, threads=1, name=f"{name}.onnx"
        )

    def __call__(self, word: str) -> str | None:
        """Return the phonemes of a word, read in parts where it is too long for the network."""
        numbers = [self._letters[char] for char in word if char in self._letters]
        parts = -(-len(numbers) // self._longest)
        size = -(-len(numbers) // parts) if parts else 0
        said = (self._read(numbers[at : at + size]) for at in range(0, len(numbers), size or 1))
        return "".join(said) or None

    def _read(self, numbers: list[int]) -> str:
        (steps,) = self._graph.run({"chars": np.asarray([numbers], np.int64)})
        row = steps[0].tolist()
        # One symbol per step: repeats are one, and 0 is none.
        said = (
            self._phonemes.get(number, "")
            for number, before in zip(row, [0, *row], strict=False)
            if number not in {0, before}
        )
        return _LANGUAGE_SWITCH.sub("", "".join(said)).translate(_OTHER_SOUNDS)
