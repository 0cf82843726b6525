"""Times of day, as every language writes them."""

from __future__ import annotations

import re

from realtts.text.normalize.clock import clock
from realtts.text.normalize.kind import Kind, Rule, fixed, rule

__all__ = ["Times"]

_BEFORE_POINT = {
    "it": r"(?:alle|dalle|ore|le|delle)", "pl": r"(?:o|godz\.|godzina|godzinie|od|do|po|przed)", "fi": r"(?:klo|kello)",
    "da": r"(?:kl\.|klokken)", "no": r"(?:kl\.|klokken|klokka)", "sv": r"(?:kl\.|klockan)", "tr": r"saat",
    "ms": r"pukul", "es": r"a las", "de": r"(?:um|ab|bis|gegen|von)", "nl": r"(?:om|vanaf|tot)", "ru": r"(?:в|к|до|с)",
    "en": "at",
}  # fmt: skip
"""Words before a time of day with a full stop between hours and minutes."""

_OWN_WORD = {"it": r"\bor[ae]\s$", "da": r"\bklokken\s$", "sv": r"\bklockan\s$", "no": r"\bklokk(?:en|a)\s$"}
"""What is said before the hour, if it is written there already."""

_UNITS_BEHIND = {
    "es": r"(?:\s?(?:h|hs|hrs|horas?)(?!\w)\.?)?", "pt": r"(?:\s?(?:h|hs|horas?)(?!\w)\.?)?", "it": r"(?:\s?h(?!\w))?",
    "fr": r"(?:\s?(?:h|heures?)(?!\w))?", "de": r"(?:\s?(?:Uhr|h)(?!\w))?", "nl": r"(?:\s?(?:uur|u)(?!\w)\.?)?",
    "vi": r"(?:\s?giờ)?", "tr": "", "ms": "", "en": r"(?:\s?(?:hrs|hours|h)(?!\w))?",
}  # fmt: skip
"""What stands behind a time and is said within it."""

_HOUR_LETTERS = {"fr": "[hH]", "pt": "[hH]", "es": "[hH]", "it": "[hH]", "vi": "[hHgG]", "nl": "[uU]"}


class Times(Kind):
    """Times of day."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        behind = _UNITS_BEHIND.get(self.language.name, "")
        half = r"(?:\s?([aApP])\.?\s?[mM](?!\w)\.?)?" if self.is_("en", "es", "ms", "hi") else "()"
        return [
            *self._of_language(),
            rule(rf"(?<![\d:.,])(\d{{1,2}}):(\d\d)(?::(\d\d))?(?![\d:]){half}{behind}", self.time),
        ]

    def _of_language(self) -> list[Rule]:
        name = self.language.name
        rules: list[Rule] = []
        if name == "en":
            rules += self._english()
        if name in {"de", "nl"}:
            rules.append(rule(r"(?<![\d:.,])(\d{1,2})[:.](\d\d)\s(?:Uhr|uur|u)(?!\w)", self.time))
        if name == "de":
            rules.append(rule(r"(?<![\w:.,])1\s(?=Uhr(?!\w))", lambda _: "ein "))
        if name in _BEFORE_POINT:
            before = rf"(?i:(?<!\w)({_BEFORE_POINT[name]}))\s(?:(ore|kl\.|godz\.)\s)?"
            times = r"(\d{1,2})\.([0-5]\d)(?![\d%€$]|[.,]\d|\s?(?:%|€|\$|km|kg|m|percent|Prozent|Euro|Grad)(?!\w))"
            rules.append(rule(before + times + _UNITS_BEHIND.get(name, ""), self.pointed))
        if name in {"es", "pt", "it"}:
            rules.append(rule(r"(?<![\d:.,])(\d{1,2})\.([0-5]\d)\s?h(?:oras)?(?!\w)", self.time))
        if name in {"de", "nl"}:
            before, hour = (r"um|ab|bis|gegen|seit|vor|nach", "h") if name == "de" else (r"om|vanaf|tot|rond", "u")
            rules.append(rule(rf"(?i:(?<!\w)((?:{before})\s))(\d{{1,2}})\s?{hour}(?!\w)", self.hour_behind))
        if name == "pl":
            before = r"(?i:(?<!\w)((?:o|od|do|po|około|przed)\s(?:godz\.|godzin(?:ie|y|ą))\s))"
            rules.append(rule(rf"{before}(\d{{1,2}})(?![\w:]|[.,]\d|\smin)", self.polish_hour))
        if name == "vi":
            rules.append(rule(r"(?<![\d:.,])(\d{1,2})[hg](?!\w)", self.full_hour))
        if name in _HOUR_LETTERS:
            rules.append(rule(rf"(?<![\d:.,])(\d{{1,2}})\s?{_HOUR_LETTERS[name]}\s?([0-5]\d)(?!\w)", self.time))
        return rules

    def _english(self) -> list[Rule]:
        half = r"\s?[aApP]\.?\s?[mM](?!\w)"
        return [
            fixed(rf"(?<=\d[aApP][mM])\s?[-\u2013]\s?(?=\d)|(?<=\d)\s?[-\u2013]\s?(?=\d{{1,2}}(?:[:.]\d\d)?{half})",
                  self.words.to),
            rule(r"(?<![\d:.,])(\d{1,2})\.(\d\d)()\s?([aApP])\.?\s?[mM](?!\w)\.?", self.time),
            rule(r"(?<![\d:.,])(\d{1,2})\s?([aApP])(\.?)\s?[mM](?!\w)\.?", self.hour),
        ]  # fmt: skip

    def pointed(self, match: re.Match[str]) -> str | None:
        """Return a time with a full stop behind a word that tells what it is."""
        hours, minutes = int(match[3]), int(match[4])
        if hours > 24 or (self.is_("en") and minutes % 5):
            return None
        before = f"{match[1]} {match[2]} " if match[2] else f"{match[1]} "
        return before + self._clock(before, hours, minutes)

    def time(self, match: re.Match[str]) -> str | None:
        """Return a time of day."""
        groups = (*match.groups(), None, None)
        hours, minutes, seconds = int(match[1]), int(match[2]), groups[2]
        if hours > 24 or minutes > 59:
            return None
        before = match.string[max(0, match.start() - 12) : match.start()]
        said = self._clock(before, hours, minutes, int(seconds) if seconds else None, half=bool(groups[3]))
        return f"{said} {groups[3].lower()} m{self._stop(match)}" if groups[3] else said

    def _clock(self, before: str, hours: int, minutes: int, seconds: int | None = None, *, half: bool = False) -> str:
        """Return a time in words, without the word that stands before it already."""
        said = clock(self.language, hours, minutes, seconds, half=half, before=before)
        own = _OWN_WORD.get(self.language.name)
        written = own is not None and re.search(own, before, re.IGNORECASE)
        return re.sub(r"^(?:ore|klokken|klockan) ", "", said) if written else said

    def hour_behind(self, match: re.Match[str]) -> str | None:
        """Return an hour with its letter, behind a word that tells it from a number of hours: *um 9 h*."""
        hours = int(match[2])
        return match[1] + clock(self.language, hours, 0, None) if hours <= 24 else None

    def polish_hour(self, match: re.Match[str]) -> str | None:
        """Return an hour behind the short word for it, which stays for the rules of abbreviations."""
        hours = int(match[2])
        return match[1] + self._clock(match[1], hours, 0) if hours <= 24 else None

    def full_hour(self, match: re.Match[str]) -> str | None:
        """Return a time without minutes."""
        return clock(self.language, int(match[1]), 0, None) if int(match[1]) <= 24 else None

    def hour(self, match: re.Match[str]) -> str:
        """Return an hour such as ``3 pm``."""
        return f"{self.language.cardinal(int(match[1]))} {match[2].lower()} m{self._stop(match)}"

    def _stop(self, match: re.Match[str]) -> str:
        """Return the full stop of ``p.m.`` where it ends a sentence that another one follows."""
        rest = match.string[match.end() :]
        goes_on = rest.lstrip()[:1].islower()
        ends = match[0].endswith(".") and not goes_on and self.starts_sentence(match.string, match.end())
        return "." if ends and rest[:1].isspace() else ""
