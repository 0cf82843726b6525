"""Signs between and before what is said, and abbreviations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realtts.text.normalize import roman
from realtts.text.normalize.kind import Kind, Rule, fixed, rule

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Romans", "Signs"]


_ENGLISH = {"≤": "at most", "≥": "at least", "≠": "not equal to"}

_HASHTAGS = {"ru": "хештег", "ja": "ハッシュタグ", "zh": "话题", "ko": "해시태그", "ar": "هاشتاغ", "he": "האשטאג",
             "hi": "हैशटैग", "el": "χάσταγκ", "tr": "etiket"}  # fmt: skip
"""What is said before a word behind ``#``, where it is not *hashtag*."""

_WRITTEN = {"<=(?!=)": "≤", ">=(?!=)": "≥", "!=(?!=)": "≠"}
"""Signs that keyboards lack, as programs write them."""


class Signs(Kind):
    """Signs of arithmetic, sections and addresses."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        return [
            *(Rule(re.compile(written), self._sign_of(sign)) for written, sign in _WRITTEN.items()),
            rule(r"(?<=[^\W\d_])\+\+(?!\w)", lambda _: f" {self.words.plus} {self.words.plus}", "+"),
            fixed(r"§§?\s?", self.words.section, "§"),
            fixed(r"(?:№|#)\s?(?=\d)", self.words.number, "№#"),
            fixed(r"(?<![\w.,+*/=×÷<>-])\+(?=\d)", self.words.plus, "+"),
            rule(
                r"(?<=[\w)\]])\s?([+=×÷≈±≤≥≠\u2212]|(?<=\d)\s-\s(?=\d))\s?(?=[\w(\[.,+-])",
                self.sign,
                "+=×÷≈±≤≥≠\u2212-",
            ),
            rule(
                # Between two terms: Lehrer*innen, <b> and footnotes have none.
                r"(?:(?<=[\d)\]])|(?<=(?<!\w)[^\W\d_]))\s?([*<>])\s?(?=[\d(\[]|-\d|[^\W\d_](?!\w))|(?<=\w)\s([<>])\s(?=\w)",
                self.sign,
                "*<>",
            ),
            rule(
                r"(?<![\w&#])#(?=[^\W\d_]|[\u3040-\u9fff\uac00-\ud7a3])",
                lambda _: f"{_HASHTAGS.get(self.language.name, 'hashtag')} ",
                "#",
            ),
            rule(r"(?<![-=<])[+=×÷<>≈±≤≥~](?=\s?\d)", self.sign_before, "+=×÷<>≈±≤≥~"),
            fixed(r"\s?(?:&amp;|&)\s?", self.language.and_word, "&"),
            fixed(r"@(?=\w)", self.words.at, "@"),
        ]

    @staticmethod
    def _sign_of(sign: str) -> Callable[[re.Match[str]], str]:
        return lambda _: sign

    def named(self) -> dict[str, str]:
        """Return the words of signs."""
        words = self.words
        return {
            "+": words.plus, "=": words.equals, "×": words.multiplied, "*": words.multiplied, "÷": words.divided,
            "<": words.less, ">": words.greater, "≈": words.about, "~": words.about, "±": words.plus_minus,
            "≤": self.language.join(words.less, words.equals), "≥": self.language.join(words.greater, words.equals),
            "≠": self.language.join(words.minus, words.equals), "-": words.minus, "\u2212": words.minus,
            **(_ENGLISH if self.is_("en") else {}),
        }  # fmt: skip

    def sign(self, match: re.Match[str]) -> str:
        """Return a sign between two terms."""
        said = self.named()[next(sign for sign in match.groups() if sign).strip()]
        return f" {said} " if self.language.space else said

    def sign_before(self, match: re.Match[str]) -> str:
        """Return a sign before a number."""
        return f" {self.named()[match[0]]} "


class Romans(Kind):
    """Roman numbers."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        return [rule(roman.PATTERN, lambda match: roman.words(match, self.language), "IVXLC")]
