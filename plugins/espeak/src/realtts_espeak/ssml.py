"""SSML made safe for espeak, with a way back to the caller's text.

espeak's own reader of SSML takes anything: it never complains, opens files that ``<audio>`` names, keeps
stacks of 20 entries without a check, reads ``1.5s`` as one millisecond and lets ``&#1;`` start its internal
commands. So the text is read with expat and written anew, known elements and checked attributes only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from realtts.errors import InvalidText
from realtts_espeak.synthesis import plain_text

if TYPE_CHECKING:
    from realtts_espeak.catalogue import Catalogue

__all__ = ["Markup", "read_ssml"]

_MAX_DEPTH = 15
"""espeak keeps 20 voices and 20 parameter sets, unchecked."""

_MAX_BREAK_MS = 60_000

_CLAUSE_END = '<break time="1ms"/>'
"""Rounded to no pause at all."""

_SILENT = frozenset({"metadata", "meta", "lexicon", "desc", "script", "style"})
_STRENGTH = "none|x-weak|weak|medium|strong|x-strong"
_PROSODY = {
    "rate": r"default|x-slow|slow|medium|fast|x-fast|[+-]?\d{1,3}(\.\d{1,3})?%?",
    "pitch": r"default|x-low|low|medium|high|x-high|[+-]?\d{1,3}(\.\d{1,3})?(%|st|Hz)?",
    "range": r"default|x-low|low|medium|high|x-high|[+-]?\d{1,3}(\.\d{1,3})?(%|st|Hz)?",
    "volume": r"default|silent|x-soft|soft|medium|loud|x-loud|[+-]?\d{1,3}(\.\d{1,3})?(%|dB)?",
}
_ATTRIBUTES: dict[str, dict[str, str]] = {
    "p": {},
    "s": {},
    "prosody": _PROSODY,
    "emphasis": {"level": "none|reduced|moderate|strong|x-strong"},
}
_SAY_AS = {
    "characters": "characters",
    "spell-out": "characters",
    "verbatim": "characters",
    "digits": "tts:digits",
    "telephone": "telephone",
}


@dataclass
class Markup:
    """SSML in the form that espeak reads.

    Attributes:
        ssml: What is given to espeak.
        spoken: The caller's text with everything that is not spoken replaced by spaces; of the same length.
    """

    ssml: str
    spoken: str
    _origins: list[int] = field(repr=False)

    def origin(self, index: int) -> int:
        """Return the character of the caller's text that a character of ``ssml`` comes from."""
        return self._origins[min(index, len(self._origins) - 1)]

    def broken(self, places: list[int]) -> Markup:
        """Return the markup with the end of a clause, without a pause, before some characters of ``ssml``."""
        parts: list[str] = []
        origins: list[int] = []
        for start, end in pairwise([0, *places, len(self.ssml)]):
            parts += [_CLAUSE_END if start else "", self.ssml[start:end]]
            origins += [self._origins[start]] * len(parts[-2]) + self._origins[start:end]
        return Markup("".join(parts), self.spoken, origins)


def read_ssml(text: str, catalogue: Catalogue) -> Markup:
    """Check SSML and rewrite it for espeak.

    Args:
        text: A document, or a fragment without ``<speak>`` around it.
        catalogue: For the voices and languages that it names.

    Raises:
        InvalidText: Not well-formed, nested too deeply, or an attribute has a value that espeak cannot take.
        VoiceNotFound: ``<voice name>`` names no voice.
        UnknownLanguage: No voice speaks an ``xml:lang``.
    """
    reader = _Reader(text, catalogue)
    reader.read()
    return Markup("".join(reader.out), "".join(reader.spoken), reader.origins)


class _Reader:
    """A writer of the sanitised text while expat reads the caller's."""

    def __init__(self, text: str, catalogue: Catalogue) -> None:
        self.out: list[str] = []
        self.origins: list[int] = []
        self.spoken = [char if char.isspace() else " " for char in text]
        self._text = text
        self._catalogue = catalogue
        self._closing: list[str] = []
        self._silent = 0
        self._alias: str | None = None
        self._spelling = ""

    def read(self) -> None:
        text, head = self._text, ""
        if not re.match(r"\s*<(\?xml\s|!DOCTYPE|!--|speak[\s/>])", text):
            head = "<speak>"
            text = f"{head}{text}</speak>"
        # expat tells bytes; one entry per byte gives the character.
        self._chars = [index - len(head) for index, char in enumerate(text) for _ in char.encode()]
        parser = self._parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(text.encode(), True)
        except expat.ExpatError as error:
            column = error.offset - (len(head) if error.lineno == 1 else 0)
            raise _invalid(
                f"bad SSML at line {error.lineno}, column {column}: {expat.ErrorString(error.code)}",
                "mend it, or leave out ssml=True to have the text read as it is",
            ) from None

    def _at(self) -> int:
        index = self._parser.CurrentByteIndex
        return max(0, self._chars[index]) if index < len(self._chars) else len(self._text)

    def _doctype(self, *_declaration: object) -> None:
        raise _invalid("the SSML has a document type declaration", "remove it; entities of its own are not supported")

    def _write(self, text: str, origin: int) -> None:
        self.out.append(text)
        self.origins.extend([min(origin, len(self._text) - 1)] * len(text))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._closing) >= _MAX_DEPTH:
            raise _invalid(f"the SSML is nested more than {_MAX_DEPTH} elements deep", "nest it less")
        self._silent += name in _SILENT or self._silent > 0
        opening, closing = ("", "") if self._silent else self._tags(name, attributes)
        self._closing.append(closing)
        self._write(opening, self._at())

    def _end(self, _name: str) -> None:
        closing = self._closing.pop()
        self._write(closing, self._at())
        if closing == "</say-as>":
            self._spelling = ""
        self._silent -= self._silent > 0
        self._alias = None

    def _data(self, data: str) -> None:
        if self._silent:
            return
        start = self._at()
        if self._text[start : start + 1] == "&" and len(data) <= 1:  # a reference: expat gives each one by itself
            end = self._text.index(";", start) + 1
            # As often as it is long, so that a word is found around all of the reference, or none of it.
            self.spoken[start:end] = data * (end - start)
            if self._alias is None:
                self._say(data, start)
        else:
            self.spoken[start : start + len(data)] = self._text[start : start + len(data)]
            if self._alias is None:
                for index, char in enumerate(data):
                    self._say(char, start + index)
        if self._alias:
            self._write(_safe(self._alias), start)
            self._alias = ""

    def _say(self, text: str, origin: int) -> None:
        """Write what is spoken; symbols are not spelled out: their names are longer than espeak's room for one."""
        spelled = bool(self._spelling) and not (text.isascii() or text.isalnum() or text.isspace())
        self._write(f"</say-as>{_safe(text)}{self._spelling}" if spelled else _safe(text), origin)

    def _tags(self, name: str, attributes: dict[str, str]) -> tuple[str, str]:
        """Return the opening and closing tag to write; none for elements that espeak does not know."""
        if name == "break":
            return _break(attributes), ""
        if name == "sub":
            self._alias = attributes.get("alias")
            return "", ""
        if name == "say-as":
            kind = _SAY_AS.get(attributes.get("interpret-as", ""))
            self._spelling = f'<say-as interpret-as="{kind}">' if kind else ""
            return self._spelling, "</say-as>" if kind else ""
        opening = closing = ""
        if name in _ATTRIBUTES:
            opening, closing = _element(name, attributes, _ATTRIBUTES[name]), f"</{name}>"
        voice = self._voice(name, attributes)
        return (f"{opening}{voice}", f"</voice>{closing}") if voice else (opening, closing)

    def _voice(self, name: str, attributes: dict[str, str]) -> str:
        """Return the tag that changes the voice: for ``<voice>``, and wherever ``xml:lang`` changes the language."""
        named, language = attributes.get("name") if name == "voice" else None, attributes.get("xml:lang")
        if named:
            return f"<voice name={quoteattr(self._catalogue.voice(named).identifier)}>"
        voice_attributes = f" name={quoteattr(self._catalogue.speaker(language).identifier)}" if language else ""
        if name == "voice":
            gender = attributes.get("gender", "")
            if gender in {"male", "female", "neutral"}:
                voice_attributes += f' gender="{gender}"'
        return f"<voice{voice_attributes}>" if voice_attributes else ""


def _break(attributes: dict[str, str]) -> str:
    if "time" not in attributes:
        return _element("break", attributes, {"strength": _STRENGTH}, end="/>")
    time = attributes["time"].strip()
    match = re.fullmatch(r"\+?(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})(s|ms)", time)
    if match is None:
        raise _invalid(f"<break> has the time {time!r}", 'give it like time="500ms" or time="1.5s"')
    milliseconds = round(float(match[1]) * (1000 if match[2] == "s" else 1))
    if milliseconds > _MAX_BREAK_MS:
        raise _invalid(f"<break> is {milliseconds / 1000:g} s long", f"pause for at most {_MAX_BREAK_MS // 1000} s")
    return f'<break time="{milliseconds}ms"/>'


def _element(name: str, attributes: dict[str, str], allowed: dict[str, str], *, end: str = ">") -> str:
    parts = [name]
    for attribute, pattern in allowed.items():
        value = attributes.get(attribute)
        if value is None:
            continue
        if not re.fullmatch(pattern, value.strip()):
            raise _invalid(f"<{name}> has {attribute}={value!r}", f"see the values of {attribute} in SSML 1.1")
        parts.append(f"{attribute}={quoteattr(value.strip())}")
    return f"<{' '.join(parts)}{end}"


def _safe(text: str) -> str:
    return escape(plain_text(text))


def _invalid(what: str, fix: str) -> InvalidText:
    return InvalidText(what, who="espeak", fix=fix)
