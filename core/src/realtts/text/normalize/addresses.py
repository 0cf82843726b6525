"""Addresses of the internet, telephone numbers and versions."""

from __future__ import annotations

import re

from realtts.text.normalize.kind import START, Kind, Rule, rule

__all__ = ["Addresses", "Phones", "Versions"]

_WIDE = "\u3000-\u9fff\uac00-\ud7a3\uff00-\uffef"
_END = rf"[^\s<>\"'.,;:!?)\]{_WIDE}]"
_ANY = rf"[^\s<>\"'{_WIDE}]"
"""Of an address: in Chinese, Japanese and Korean words follow it without a space."""

_DOMAINS = "com|org|net|io|edu|gov|info|dev|de|fr|es|it|nl|pl|ru|jp|cn|kr|uk|br|eu"
_PHONES = (
    r"(?<![\w.,/-])\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){1,5}(?![\w/])",
    r"(?<![\w.,/-])\(\d{2,5}\)\s?\d{3,5}(?:[ .-]\d{2,4}){0,4}(?![\w/])",
    r"(?<![\w.,/-])\d{3}[-.]\d{3}[-.]\d{4}(?![\w/-])",
    r"(?<![\w.,/-])0\d{1,4}(?:[ /-]\d{2,8}){1,5}(?![\w/-])",
    r"(?<![\w.,/-])1\d\d[ -]?\d{4}[ -]?\d{4}(?![\w/-])",
    r"(?<![\w.,/-])0\d(?:[. -]\d\d){4}(?![\w/-]|\.\d)",
    r"(?<![\w.,/-])\d+(?:-\d+){3,}(?![\w/-])",
    r"(?<![\w.,/-])\d{4}(?:[ -]\d{4}){2,}(?![\w/-])",
    (
        r"(?<![\w.,/-])(?<!\d )(?=\d{2,3}(?: \d\d)* \d{3}(?!\d)|\d{3} )(?=\d+(?: \d{3})* \d\d(?!\d))"
        r"\d{2,3}(?: \d{2,3}){3,}(?![\w/%€$£-]|[.,]\d| \d)"
    ),
)
"""With a country's code, an area's in brackets, American, an area's with zero, Chinese, French in pairs,
numbers of books and cards; and four groups or more of two and of three digits, which no quantity has."""

_LOCAL = r"(?<![\w.,/-])(\d{3})-(\d{4})(?![\w/-])"
"""An American number without its area, or a range."""

_GROUPED = r"(?<![\w.,/-])\d{3}(?:[ .-]\d{2,4}){2,3}(?![\w/%€$£-]|[.,]\d)"
"""Nine digits, which may be a quantity too."""

_CALL = re.compile(
    r"(?i:(?<![^\W_])(?:call|dial|phone|telephone|tel|number|fax|text|ring|mobile|cell|whatsapp|hotline|line|reach|contact|telefon"
    r"|téléphone|teléfono|telefono|telefone|móvil|movil|cellulare|celular|numéro|número|numero|numer|nummer|handy|rufnummer"
    r"|llama|llame|llamar|chiama|ligue|dzwoń|zadzwoń|komórka|kom|тел|телефон|telefonnummer|durchwahl|anrufen|bel|telefoon)"
    r"(?:\s(?:me|us|at|on|is|number|no|al|a|au|le|el|il|the|him|her|them|now|op|nr|para|es|est|è|é))*[.:]{0,2}\s?)$"
)
"""What stands before a telephone number."""

_COUNTED_BEHIND = re.compile(r"\s?(?:[%‰°€$£¥]|[^\W\d_])")


class Addresses(Kind):
    """Addresses of the internet."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        return [
            rule(rf"(?:https?://|ftp://|www\.){_ANY}*{_END}", self.address, "."),
            rule(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+", self.address, "@"),
            rule(rf"(?<![\w@.-])(?:[a-z0-9-]+\.)+(?:{_DOMAINS})(?:/{_ANY}*{_END})?(?!\w)", self.address, "."),
        ]

    def address(self, match: re.Match[str]) -> str:
        """Return an address of the internet: words, numbers, and the names of what stands between them."""
        text = re.sub(r"^(?:https?|ftp)://", "", match[0])
        words = self.words
        named = {".": words.dot, "@": words.at, "/": words.slash, "-": words.dash, "_": words.underscore, ":": ":",
                 "+": words.plus, "=": words.equals, "&": self.language.and_word, "?": "?", "#": words.number,
                 "%": "%", "~": words.about}  # fmt: skip
        text = text.replace("www.", "w w w .", 1) if text.startswith("www.") else text
        parts = re.findall(r"\d+|[^\W\d_]+|[^\s]", text.rstrip("/"))
        said = [self.language.number(p) if p.isdigit() else named.get(p, p) for p in parts]
        return " ".join(word for word in said if word not in {":", "?", "%"})


class Phones(Kind):
    """Telephone numbers."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        called = [rule(_GROUPED, self.called)] if self.language.name in {"es", "it", "pt", "pl", "fr", "de"} else []
        return [rule("|".join(_PHONES), self.phone), rule(_LOCAL, self.local), *called]

    def called(self, match: re.Match[str]) -> str | None:
        """Return a telephone number in groups, which is one behind the word for it only."""
        return self.phone(match) if _CALL.search(match.string[: match.start()]) else None

    def local(self, match: re.Match[str]) -> str | None:
        """Return a telephone number in two groups; None for a range: *500-1000 people*."""
        if _CALL.search(match.string[: match.start()]):
            return self.phone(match)
        rest = match.string[match.end() :]
        grows = int(match[1]) < int(match[2])
        is_range = grows and (_COUNTED_BEHIND.match(rest) or not int(match[2]) % 50)
        return None if is_range else self.phone(match)

    def phone(self, match: re.Match[str]) -> str:
        """Return a telephone number digit by digit, with a pause between its groups."""
        groups = re.findall(r"\d+", match[0])
        said = (", " if self.language.space else "、").join(self.language.digits(group) for group in groups)
        return self.language.join(self.words.plus, said) if match[0].startswith("+") else said


class Versions(Kind):
    """Versions of programs, and addresses of machines."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        return [
            rule(rf"{START}([vV])?(\d+(?:\.\d+){{2,}})(?!\w)", self.version),
            rule(r"(?<!\w)(v)\.?\s?(\d+(?:\.\d+)?)(?!\w)|(?<!\w)(V)(\d+\.\d+)(?!\w)", self.short_version),
        ]

    def version(self, match: re.Match[str]) -> str | None:
        """Return a version, or the address of a machine; None for a number in groups of three digits."""
        groups = match[2].split(".")
        is_address = len(groups) == 4 and all(int(group) < 256 for group in groups)
        if not match[1] and all(len(group) == 3 for group in groups[1:]) and not is_address:
            return None
        letter = f"{'version' if self.is_('en', 'fr') else 'v'} " if match[1] else ""
        return letter + self.version_words(match[2])

    def short_version(self, match: re.Match[str]) -> str:
        """Return a version of one or two numbers; a capital letter before a whole number is an engine."""
        letter = f"{'version' if self.is_('en', 'fr') else 'v'} "
        return letter + self.version_words(match[2] or match[4])

    def version_words(self, text: str) -> str:
        """Return numbers between points."""
        word = self.words.dot if self.language.space else self.words.point
        return self.language.join(*f" {word} ".join(self.language.number(part) for part in text.split(".")).split(" "))
