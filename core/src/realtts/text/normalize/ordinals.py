"""Ordinal numbers, which every language writes in a way of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realtts.text.fullstop import stop_ends
from realtts.text.normalize.kind import START, Kind, Rule, any_of, rule
from realtts.text.words import Paragraph, following

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Ordinals", "english_months", "german_day_form"]

_NEXT = r"(?=\s[^\W\d])"
_COUNTED = (
    "시간|시(?=$|[^가-힣]|에|부터|까지|쯤|경|반|정각|이|은|는|가|의|도|와|과|로|예|였)|명|개(?![월국년])|살|마리|권|잔|병(?!원)|그루|켤레"
    "|달(?!러)|가지|곳|군데|배(?!럴)|쌍|사람|벌|송이|자루|통"
)
"""Words behind Korean numbers of things; months, countries and years are counted with Chinese ones."""
_GERMAN_NOUNS = r"(?:Jahrhundert|Weltkrieg|Auflage|Bundesliga|Liga|Klasse|Stock|Etage|Advent|Kapitel|Akt|Halbzeit)"
_NEUTER = re.compile(
    r"\s(?:\w*(?:chen|lein|um|ment|o)|Kind|Jahr|Mal|Haus|Buch|Spiel|Date|Treffen|Bild|Tor|Kapitel|Semester|Lied|Bier"
    r"|Album|Handy|Rennen|Drittel|Viertel|Opfer|Projekt|Gespräch)(?!\w)"
)
"""German nouns that have neuter numbers."""

_VERBS = ("may", "march")
"""Months in English that are other words too, unless they have a capital."""

_PRONOUN = r"(?:dies|jed|jen|welch|manch|solch|mein|dein|sein|ihr|unser|euer|eur|ein|kein)"
_WEAK = re.compile(
    rf"(?i)(?<!\w)(?:am|vom|zum|beim|im|bis|ab|seit|gegen|de[mns]|{_PRONOUN}(?:en|em|es)"
    r"|(?:kommend|nächst|letzt|vergangen|folgend|darauffolgend)en)\s$"
)
_WITH_ARTICLE = re.compile(
    r"(?i)(?<!\w)(?:der|(?:dies|jed|jen|welch|manch|solch)er|(?:kommend|nächst|letzt|vergangen)e)\s$"
)


def german_day_form(text: str, at: int) -> str:
    """Return the ending of the day of a month by the word before it, for `Language.day`: every month is masculine.

    Args:
        text: The text.
        at: Where the number begins.
    """
    before = text[max(0, at - 24) : at]
    return "n" if _WEAK.search(before) else "e" if _WITH_ARTICLE.search(before) else "r"


def english_months(months: Iterable[str]) -> str:
    """Return a pattern of the names of English months; those that are verbs too have a capital: *you may 3 times*."""
    others = any_of(month for month in months if month not in _VERBS)
    return rf"(?:(?i:{others})|{any_of(month.title() for month in _VERBS)})"


class Ordinals(Kind):
    """Ordinal numbers, and days before and behind the name of a month."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        make = {"en": self.english, "fr": self.french, "de": self.german, "ru": self.russian, "nl": self.dutch,
                "sv": self.swedish, "tr": self.turkish}.get(self.language.name)  # fmt: skip
        if make is not None:
            return make()
        if self.is_("es", "it", "pt"):
            return [
                rule(rf"{START}(\d+)\.?[ºo°](?!\w)", self.in_form("masculine")),
                rule(rf"{START}(\d+)\.?ª(?!\w)", self.in_form("feminine")),
                *([rule(rf"{START}(\d+)\.?er(?!\w)", self.in_form("masculine-adjective"))] if self.is_("es") else []),
            ]
        if self.is_("da", "no", "fi"):
            return [self.day_rule(r"\."), rule(rf"(?i:\b(den|det|de))\s(\d{{1,3}})\.{_NEXT}", self.behind("masculine"))]
        if self.is_("ko"):
            return [
                rule(rf"{START}(\d{{1,2}})\s?[-~\u2013]\s?(\d{{1,2}})\s?(?={_COUNTED})", self.counted_range),
                rule(rf"{START}(\d{{1,2}})\s?(?={_COUNTED})", self.counted),
            ]
        if self.is_("pl"):
            return [
                rule(rf"{START}(\d{{4}})(?=\s(rok\w*)(?!\w))", self.polish_year),
                rule(rf"{START}(\d{{1,2}})(?=\s?(?i:{self.months})(?!\w))", self.day),
                rule(rf"{START}(\d{{1,2}})\.(?=\s([a-ząćęłńóśźż]{{2,}}))", self.polish_before_noun),
            ]
        if not self.is_("ja", "zh"):
            return []
        several = rule(r"第(\d+)\s?[-\u2013~\u301c\uff5e]\s?(\d+)", self.ordinal_range)
        return [several, rule(r"第(\d+)", self.in_form("masculine"))]

    def counted(self, match: re.Match[str]) -> str:
        """Return a Korean number of things, which is not the Chinese one that numbers have."""
        return f"{self.language.cardinal(int(match[1]), 'native-attributive')} "

    def counted_range(self, match: re.Match[str]) -> str:
        """Return a range of Korean numbers of things."""
        first, last = (self.language.cardinal(int(number), "native-attributive") for number in match.groups()[:2])
        return f"{first}{self.words.to} {last} "

    def ordinal_range(self, match: re.Match[str]) -> str:
        """Return a range of ordinal numbers, in Chinese and Japanese."""
        return f"{self.language.ordinal(int(match[1]))}{self.words.to}{self.language.cardinal(int(match[2]))}"

    def in_form(self, form: str) -> Callable[[re.Match[str]], str]:
        """Return what says a match's first group in a form."""
        return lambda match: self.language.ordinal(int(next(filter(None, match.groups()))), form)

    def behind(self, form: str) -> Callable[[re.Match[str]], str]:
        """Return what says a match's second group in a form, its first one before it."""
        return lambda match: f"{match[1]} {self.language.ordinal(int(match[2]), form)}"

    def day_rule(self, point: str = "") -> Rule:
        """Return the rule of a day before the name of a month."""
        return rule(rf"{START}(\d{{1,2}}){point}(?=\s?(?i:{self.months})(?!\w))", self.day)

    @property
    def months(self) -> str:
        """A pattern of the names of months."""
        return any_of(self.language.months)

    def day(self, match: re.Match[str]) -> str:
        """Return the day of a month."""
        form = {"ru": "neuter-genitive", "pl": "genitive"}.get(self.language.name, "")
        if self.is_("de"):
            form = german_day_form(match.string, match.start())
        return self.language.day(int(match[1]), form)

    def english(self) -> list[Rule]:
        """Return the rules of English."""
        months = english_months(self.language.months)
        return [
            rule(rf"{START}(\d+)(?:st|nd|rd|th)(?!\w)", self.in_form("masculine")),
            rule(rf"(?<!\w)({months})\.?\s(\d{{1,2}})(?![\w:]|[.,]\d)", self.behind("masculine")),
            rule(rf"{START}(\d{{1,2}})(?=\s(?:of\s)?{months}(?!\w))", self.in_form("masculine")),
        ]

    def french(self) -> list[Rule]:
        """Return the rules of French."""
        return [
            rule(rf"{START}(\d+)(?:ers?|es?|i?[èe]mes?|nd|(?<=2)d)(?!\w)", self.in_form("masculine")),
            rule(rf"{START}(\d+)(?:res?|ères?|nde)(?!\w)", self.in_form("feminine")),
        ]

    def german(self) -> list[Rule]:
        """Return the rules of German."""
        return [
            self.day_rule(r"\."),
            rule(rf"(?i:\b(am|vom|zum|beim|im|den|dem|des))\s(\d{{1,3}})\.{_NEXT}", self.behind("n")),
            rule(rf"(?i:\b((?:in|an|auf|mit|von|bei|nach|aus|seit|vor) der))\s(\d{{1,3}})\.{_NEXT}", self.behind("n")),
            rule(rf"(?i:\b(der|die|das|jede))\s(\d{{1,3}})\.{_NEXT}", self.german_behind_article),
            rule(
                rf"(?i:\b((?:jed|dies|jen|mein|dein|sein|ihr|unser|euer|eur|ein|kein)(?:e[nmrs]?)?))\s(\d{{1,3}})\.{_NEXT}",
                self.german_behind,
            ),
            rule(
                rf"(?<=\w )(\d{{1,3}})\.(?=\s[A-ZÄÖÜ][a-zäöüß])|{START}(\d{{1,3}})\.(?=\s{_GERMAN_NOUNS})",
                self.german_before_noun,
            ),
        ]

    def german_behind_article(self, match: re.Match[str]) -> str | None:
        """Return an ordinal number behind an article; None where the full stop ends a sentence: *die 1. Ich*."""
        if match.string[match.end() :].lstrip()[:1].isupper() and self.starts_sentence(match.string, match.end()):
            return None
        return f"{match[1]} {self.language.ordinal(int(match[2]))}"

    def german_behind(self, match: re.Match[str]) -> str:
        """Return an ordinal number behind a word whose ending tells its own."""
        word = match[1].lower()
        neuter = _NEUTER.match(match.string, match.end())
        bare = word in {"ein", "kein", "mein", "dein", "sein", "ihr", "unser", "euer"}
        form = ("s" if neuter else "r") if bare else "n"
        return f"{match[1]} {self.language.ordinal(int(match[2]), '' if word.endswith('e') else form)}"

    def german_before_noun(self, match: re.Match[str]) -> str | None:
        """Return an ordinal number before a noun; None where the full stop ends a sentence, as in *Seite 3. Der*."""
        text, at = match.string, match.end()
        paragraph = Paragraph.of(text, 0, len(text), "de")
        if stop_ends(paragraph, at - 1, 0, "", following(text, at, len(text))):
            return None
        return self.language.ordinal(int(match[1] or match[2]))

    def russian(self) -> list[Rule]:
        """Return the rules of Russian."""
        endings = {
            "й|ый|ий|ой": "masculine",
            "я|ая": "feminine",
            "е|ое": "neuter",
            "го|ого|его": "masculine-genitive",
            "м|ом|ем": "masculine-locative",
            "му|ому": "masculine-dative",
            "ю|ую|юю": "feminine-accusative",
        }
        cases = {"год": "masculine", "года": "masculine-genitive", "году": "masculine-locative",
                 "годом": "masculine-ablative"}  # fmt: skip
        return [
            rule(rf"{START}(\d+)-е(?=\s[а-яё]+(?:ы|и)(?!\w))|{START}(\d+0)-е(?!\w)", self.in_form("plural")),
            rule(rf"{START}(\d+0)-х(?!\w)", self.in_form("plural-genitive")),
            rule(r"(?i:(?<=с )|(?<=со ))(\d{4})(?=\sпо\s\d{4}\s)", self.in_form("masculine-genitive")),
            rule(rf"{START}(\d+)-(?:х|ти|и|ми)(?!\w)", self.russian_genitive),
            rule(rf"{START}(\d{{4}})\s?г(?!\w)", self.russian_year),
            *(rule(rf"{START}(\d+)-(?:{ending})(?!\w)", self.in_form(form)) for ending, form in endings.items()),
            *(rule(rf"{START}(\d{{4}})(?=\s{word}(?!\w))", self.in_form(form)) for word, form in cases.items()),
            rule(rf"{START}(\d{{1,3}})(?=\sгода\s(?:до\s)?нашей)", self.in_form("masculine-genitive")),
            self.day_rule(),
        ]

    def polish_year(self, match: re.Match[str]) -> str:
        """Return a year in the case of the word behind it."""
        inside = re.search(r"(?i:(?<!\w)w)\s$", match.string[: match.start()])
        form = "masculine" if match[2] == "rok" else "locative" if inside else "genitive"
        return self.language.ordinal(int(match[1]), form)

    def polish_before_noun(self, match: re.Match[str]) -> str:
        """Return an ordinal number before a noun, in the gender that its ending tells."""
        form = {"a": "feminine", "o": "neuter", "e": "neuter"}.get(match[2][-1], "masculine")
        return self.language.ordinal(int(match[1]), form)

    def russian_genitive(self, match: re.Match[str]) -> str:
        """Return a number of things in the genitive, whose ending is written at it."""
        return self.language.cardinal(int(match[1]), "masculine-genitive")

    def russian_year(self, match: re.Match[str]) -> str:
        """Return a year before the letter that stands for the word."""
        inside = re.search(r"(?i:(?<!\w)во?)\s$", match.string[: match.start()])
        form, word = ("masculine-locative", "году") if inside else ("masculine-genitive", "года")
        return f"{self.language.ordinal(int(match[1]), form)} {word}"

    def dutch(self) -> list[Rule]:
        """Return the rules of Dutch."""
        return [rule(rf"{START}(\d+)(?:e|de|ste)(?!\w)", self.in_form("masculine"))]

    def swedish(self) -> list[Rule]:
        """Return the rules of Swedish."""
        return [rule(rf"{START}(\d+):[ae](?!\w)", self.in_form("masculine")), self.day_rule()]

    def turkish(self) -> list[Rule]:
        """Return the rules of Turkish."""
        return [
            rule(rf"{START}(\d{{1,3}})\.{_NEXT}", self.turkish_before_noun),
            rule(rf"{START}(\d+)['’](?:inci|ıncı|üncü|uncu)(?!\w)", self.in_form("masculine")),
        ]

    def turkish_before_noun(self, match: re.Match[str]) -> str | None:
        """Return an ordinal number before a noun; None where the full stop ends a sentence."""
        return None if self.starts_sentence(match.string, match.end()) else self.language.ordinal(int(match[1]))
