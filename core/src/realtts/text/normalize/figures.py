"""Fractions, powers, ratios, ranges and all other numbers."""

from __future__ import annotations

import re

from realtts.text.normalize.kind import NUMBER, SIGN, START, TO, Kind, Rule, fixed, rule
from realtts.text.normalize.parts import part_words

__all__ = ["Fractions", "Numbers", "Ranges"]

_VULGAR = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5),
           "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8), "⅐": (1, 7),
           "⅑": (1, 9), "⅒": (1, 10)}  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺₀₁₂₃₄₅₆₇₈₉", "0123456789-+0123456789")


class Fractions(Kind):
    """Fractions, powers and indices."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        return [
            rule(rf"(?:(?<!\d)(\d+)[ ]?)?([{''.join(_VULGAR)}])", self.vulgar, "".join(_VULGAR)),
            rule(r"(?<![\w.,/])(?:(\d+)[ ])?(\d{1,2})[/\u2044](\d{1,3})(?![\w/]|[.,]\d)", self.fraction),
            rule(r"(?<![\w.,/])((?:19|20)\d\d)/(\d\d)(?![\w/])", self.season),
            rule(r"(?<![\w.,/])(\d{3})/(\d{2,3})(?![\w/]|[.,]\d)", self.over),
            rule(rf"{START}({NUMBER})\s?(?:\^\s?|\*\*)\{{?([-\u2212+]?\d+)\}}?", self.power),
            rule(r"(?<=[\w)])([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)", self.raised, "⁰¹²³⁴⁵⁶⁷⁸⁹"),
            rule(r"(?<=[^\W\d_])\^\{?([-\u2212+]?\d+)\}?|(?<=\))\^\{?([-\u2212+]?\d+)\}?", self.raised, "^"),
            rule(rf"{START}({NUMBER})[eE]([-+]?\d+)(?!\w)", self.scientific),
            rule(
                r"[₀-₉]+", lambda match: f" {self.language.cardinal(int(match[0].translate(_RAISED)))} ", "₀₁₂₃₄₅₆₇₈₉"
            ),
        ]

    def vulgar(self, match: re.Match[str]) -> str:
        """Return a fraction that is one character, perhaps behind a whole number."""
        return self.apart(match, self.fraction_words(match[1], *_VULGAR[match[2]]))

    def fraction(self, match: re.Match[str]) -> str:
        """Return a fraction; around the clock is none, and ten of ten points is not one."""
        upper, lower = int(match[2]), int(match[3])
        if match[0] in {"24/7", "9/11", "50/50", "20/20"}:
            return self.language.join(self.language.cardinal(upper), self.language.cardinal(lower))
        if self.is_("en") and upper == lower > 4 and not match[1]:
            return f"{self.language.cardinal(upper)} out of {self.language.cardinal(lower)}"
        return self.fraction_words(match[1], upper, lower)

    def season(self, match: re.Match[str]) -> str:
        """Return two years such as ``2020/21``."""
        return self.language.join(self.language.year(int(match[1])), self.language.cardinal(int(match[2])))

    def over(self, match: re.Match[str]) -> str | None:
        """Return two numbers over each other that are no fraction, such as those of a blood pressure."""
        if self.is_("zh", "ja", "ko"):
            return None
        word = self.words.ratio if self.is_("de") else self.words.over
        return self.language.join(self.language.cardinal(int(match[1])), word, self.language.cardinal(int(match[2])))

    def fraction_words(self, whole: str | None, upper: int, lower: int) -> str:
        """Return a fraction in words."""
        say, words = self.language.cardinal, self.words
        if self.is_("zh", "ja", "ko"):
            part = self.language.join(say(lower), words.over, say(upper))
            between = {"zh": "又", "ja": "と"}.get(self.language.name, "")
            return self.language.join(say(int(whole)), between, part) if whole else part
        if (upper, lower) in {(1, 2), (1, 4)}:
            part = words.half if lower == 2 else words.quarter
            if whole and self.is_("en"):
                part = part.replace("one ", "a ")
        elif self.is_("en") and 1 < lower <= 100:
            name = {2: "half", 4: "quarter"}.get(lower) or self.language.ordinal(lower)
            part = f"{say(upper)} {name}" + ("" if upper == 1 else "s" if name != "half" else "")
        elif (named := part_words(self.language.name, upper, lower)) is not None:
            part = self.language.join(named[0] or say(upper), named[1])
        else:
            part = self.language.join(say(upper), words.over, say(lower))
        return self.language.join(say(int(whole)), self.language.and_word, part) if whole else part

    def power(self, match: re.Match[str]) -> str:
        """Return a number and its exponent."""
        return self.power_words(self.language.number(match[1]), match[2])

    def raised(self, match: re.Match[str]) -> str:
        """Return a raised exponent behind a letter or number."""
        exponent = next(group for group in match.groups() if group)
        return f" {self.power_words('', exponent.translate(_RAISED))}"

    def power_words(self, base: str, exponent: str) -> str:
        """Return base and exponent in words."""
        if self.is_("en") and exponent in {"2", "3"}:
            return self.language.join(base, "squared" if exponent == "2" else "cubed")
        said = self.language.number(exponent.replace("+", ""))
        if self.is_("zh", "ja", "ko"):
            return self.language.join(base, {"zh": "的", "ja": "の", "ko": "의"}[self.language.name], said,
                                      {"zh": "次方", "ja": "乗", "ko": "제곱"}[self.language.name])  # fmt: skip
        return self.language.join(base, self.words.power, said)

    def scientific(self, match: re.Match[str]) -> str:
        """Return a number with a power of ten."""
        ten = self.power_words(self.language.cardinal(10), match[2])
        return self.language.join(self.language.number(match[1]), self.words.multiplied, ten)


class Ranges(Kind):
    """Ratios, scores and ranges."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        return [
            rule(r"(?<![\w.,:])(\d{1,5})\s?:\s?(\d{1,5})(?![\w:])", self.ratio),
            rule(rf"(?<![\w.,/-])({NUMBER})(?:{TO})({NUMBER})(?![\w/-])", self.range),
        ]

    def range(self, match: re.Match[str]) -> str:
        """Return a range of numbers, or of years; before an equals sign it is a difference."""
        if match.string[match.end() :].lstrip().startswith("="):
            return self.language.join(self.language.number(match[1]), self.words.minus, self.language.number(match[2]))
        first, last = self.maybe_year(match[1]), self.maybe_year(match[2])
        return f"{first}{self.words.to} {last}" if self.is_("ko") else self.language.join(first, self.words.to, last)

    def maybe_year(self, text: str) -> str:
        """Return a number, as a year if it looks like one."""
        is_year = len(text) == 4 and text.isdigit() and 1100 <= int(text) <= 2099 and not self.is_("ru", "zh")
        return self.language.year(int(text)) if is_year else self.language.number(text)

    def ratio(self, match: re.Match[str]) -> str:
        """Return a score or a ratio."""
        return self.language.join(
            self.language.cardinal(int(match[1])), self.words.ratio, self.language.cardinal(int(match[2]))
        )


class Numbers(Kind):
    """Numbers that nothing else has read; behind these rules no digit is left."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        years = rule(r"(?<![\w.,/:$-])(1[1-9]\d\d|20\d\d)(?![\w/:]|[.,]\d)", self.year)
        return [
            rule(rf"{START}\d+(?:,\d+){{2,}}(?![\w.]|,\d)", self.listed, ","),
            *([years] if self.is_("en", "de", "nl", "sv", "da", "no") else []),
            fixed(r"(?<=\d)\s?[xX]\s?(?=\d)", "by" if self.is_("en") else self.words.multiplied),
            rule(r"(?<![\w.,])\.(\d+)", self.decimals),
            rule(rf"(?<![\d.,])({SIGN}{NUMBER})", self.number),
            rule(r"\d+", lambda match: self.apart(match, self.language.digits(match[0]))),
        ]

    def listed(self, match: re.Match[str]) -> str | None:
        """Return numbers with commas and no spaces between them; None for the groups of one number."""
        groups = match[0].split(",")
        grouped = len(groups[-1]) == 3 and all(len(group) in {2, 3} for group in groups[1:-1]) and len(groups[0]) <= 3
        if grouped and groups[0] != "0":
            return None
        return (", " if self.language.space else "、").join(self.language.number(group) for group in groups)

    def decimals(self, match: re.Match[str]) -> str:
        """Return decimals without a whole number."""
        return self.language.join(self.words.point, self.language.digits(match[1]))

    def year(self, match: re.Match[str]) -> str:
        """Return a year in words."""
        return self.language.year(int(match[1]))

    def number(self, match: re.Match[str]) -> str:
        """Return a number in words, apart from letters beside it."""
        text = match[0]
        if text.lstrip("-\u2212\u2013").count(".") > 1 and not re.fullmatch(r"\D?\d{1,3}(?:\.\d{3})+(?:,\d+)?", text):
            return self.apart(
                match,
                self.language.join(
                    *(
                        part if part == self.words.point else self.language.number(part)
                        for part in re.split(r"\.", text.lstrip("-\u2212\u2013"))
                        if part
                    )
                ),
            )
        if re.search(r",.*\.,|\.,|,,", text):
            return self.apart(match, self.language.digits(text))
        return self.apart(match, self.spoken(text))
