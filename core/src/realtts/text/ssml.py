"""SSML read by a tree of our own: what is spoken and how, with every character's place in the caller's text.

expat reads the text. Declarations of document types are refused, so that there are no entities but the five of XML;
nothing is opened or fetched; depth, pauses and numbers are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from xml.parsers import expat

from realtts.errors import InvalidMarkup
from realtts.text.edited import EditedText
from realtts.text.ssml_document import Bookmark, Boundary, Document, Pause, Run, Style, Wish, place_of
from realtts.text.ssml_elements import NEW_UNIT, SILENT, SPOKEN, ElementError, styled

if TYPE_CHECKING:
    from realtts.text.edited import Edit
    from realtts.text.ssml_document import Item

__all__ = ["read_ssml"]

MAX_DEPTH = 32
"""Elements inside one another; what people and programs write has fewer than ten."""

LONGEST_SILENCE_S = 3600.0
"""All pauses of a document together."""

_DOCUMENT = re.compile(r"\s*<(!DOCTYPE|!--|(?:[\w.-]+:)?speak[\s/>])")
_DECLARATION = re.compile(r"[\s\ufeff]*<\?xml\s[^<>]*\?>|\ufeff")
"""Read by nobody here: the text is decoded already, and people put lines and byte-order marks before it."""

_NAMESPACE = "http://www.w3.org/2001/10/synthesis"
_LONGEST_SHOWN = 40
_BOUNDARIES = {"p": Boundary("paragraph"), "s": Boundary("sentence")}
_WITHOUT_NOTICE = frozenset({"speak", "p", "s", "lang", "w", "token", "lookup", "sub", "break", "mark"})


def read_ssml(text: str, *, who: str) -> Document:
    """Read SSML.

    Args:
        text: A document, or a fragment without ``<speak>`` around it.
        who: Provider that was asked, for messages.

    Raises:
        InvalidMarkup: Not well-formed, nested too deeply, too many pauses, or a wrong value of an attribute; says line
            and column.
    """
    reader = _Reader(text, who)
    reader.read()
    return reader.document()


@dataclass
class _Open:
    """An element that is not closed yet: the style around it, and for ``<sub>`` what is said instead of its content.

    Attributes:
        name: Its name.
        style: The style around it.
        alias: What is said instead of what is in it; None: what is in it.
        content: Where that begins.
    """

    name: str
    style: Style
    alias: str | None = None
    content: int = 0


class _Reader:
    """A maker of a document out of what expat tells."""

    def __init__(self, text: str, who: str) -> None:
        self._text = text
        self._who = who
        declaration = _DECLARATION.match(text)
        self._markup = f"{' ' * declaration.end()}{text[declaration.end() :]}" if declaration else text
        self._head = "" if _DOCUMENT.match(self._markup) else "<speak>"
        self._prefixes: set[str] = set()  # that stand for the namespace of SSML, with their colons
        self._style = Style()
        self._open: list[_Open] = []
        self._mute = 0  # open elements of which nothing is said, those inside them included
        self._units = 0
        self._literal = False  # inside <![CDATA[...]]>
        self._silence_s = 0.0
        self._items: list[Item] = []
        self._wishes: list[Wish] = []
        self._edits: list[Edit] = []
        self._read = 0  # characters of the text that were kept or replaced
        self._size = 0  # characters of the spoken text
        self._places: list[int] | None = None

    def read(self) -> None:
        text = f"{self._head}{self._markup}</speak>" if self._head else self._markup
        if not text.isascii():  # expat tells bytes; one entry per byte gives the character
            self._places = [index for index, char in enumerate(text) for _ in range(len(char.encode()))]
        parser = self._parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.StartCdataSectionHandler = lambda: self._set_literal(literal=True)
        parser.EndCdataSectionHandler = lambda: self._set_literal(literal=False)
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(text.encode(), True)
        except expat.ExpatError as error:
            raise self._invalid(
                f"bad SSML: {expat.ErrorString(error.code)}",
                "mend it, or leave out ssml=True to have the text read as it is",
                self._character(parser.ErrorByteIndex),
            ) from None

    def document(self) -> Document:
        """Return what was read."""
        self._keep(len(self._text), len(self._text), None)
        return Document(EditedText(self._text).replaced(self._edits), tuple(self._items), tuple(self._wishes))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        at = self._here()
        if len(self._open) >= MAX_DEPTH + bool(self._head):
            raise self._invalid(f"the SSML is nested more than {MAX_DEPTH} elements deep", "nest it less", at)
        self._prefixes |= {
            f"{key[6:]}:" for key, value in attributes.items() if key.startswith("xmlns:") and value == _NAMESPACE
        }
        name = self._plain(name)
        self._open.append(_Open(name, self._style))
        if self._mute or name in SILENT:
            if name == "lexicon" and not self._mute:
                self._wish("lexicon", at)
            self._mute += 1
            return
        try:
            self._apply(name, {key: value.strip() for key, value in attributes.items()}, at)
        except ElementError as error:
            raise self._invalid(error.what, error.fix, at) from None

    def _apply(self, name: str, attributes: dict[str, str], at: int) -> None:
        if name in _BOUNDARIES:
            self._add(_BOUNDARIES[name])
        wishes: list[str] = []
        outcome = styled(name, attributes, self._style, wishes)
        if isinstance(outcome, Pause):
            self._pause(outcome, at)
        elif outcome.unit == NEW_UNIT:
            self._units += 1
            self._style = replace(outcome, unit=self._units)
        else:
            self._style = outcome
        if name == "mark":
            self._add(Bookmark(attributes.get("name", ""), (at, self._tag_end(at))))
        elif name == "sub" and "alias" in attributes:
            self._open[-1].alias, self._open[-1].content = attributes["alias"], self._tag_end(at)
            self._mute += 1
        elif name not in _WITHOUT_NOTICE and name not in SPOKEN:
            wishes.append("element")
        for wish in wishes:
            self._wish(wish, at)

    def _wish(self, wish: str, at: int) -> None:
        tag = self._text[at : self._tag_end(at)]
        shown = " ".join((tag if len(tag) <= _LONGEST_SHOWN else f"{tag[:_LONGEST_SHOWN]}...").split())
        self._wishes.append(Wish(wish, shown, at, self._style.language))

    def _plain(self, name: str) -> str:
        """Return the name of an element without a prefix that stands for SSML itself."""
        prefix = next((prefix for prefix in self._prefixes if name.startswith(prefix)), "")
        return name.removeprefix(prefix)

    def _end(self, _name: str) -> None:
        opened = self._open.pop()
        name = opened.name
        self._style = opened.style
        if self._mute:
            self._mute -= 1
        if opened.alias is not None and not self._mute:
            end = self._here()
            # An alias without content stands for its tag.
            start = opened.content if opened.content < end else self._text.rfind("<", 0, opened.content)
            self._say(start, max(end, opened.content), opened.alias)
        elif name in _BOUNDARIES and not self._mute:
            self._add(_BOUNDARIES[name])

    def _data(self, data: str) -> None:
        if self._mute:
            return
        start = self._here()
        first = self._text[start : start + 1]
        if first == "&" and not self._literal:
            self._say(start, self._text.index(";", start) + 1, data)
        elif first == "\r":  # expat makes "\n" of any end of a line
            self._say(start, start + (2 if self._text.startswith("\r\n", start) else 1), None)
        else:
            self._say(start, start + len(data), None)

    def _set_literal(self, *, literal: bool) -> None:
        self._literal = literal

    def _doctype(self, *_declaration: object) -> None:
        at = max(0, self._text.find("<!DOCTYPE"))
        what = "the SSML has a document type declaration"
        raise self._invalid(what, "remove it; entities of its own are not supported", at)

    def _say(self, start: int, end: int, instead: str | None) -> None:
        """Take a stretch of the caller's text, or what is said instead of it, into the spoken text."""
        size = self._size
        self._keep(start, end, instead)
        if self._size == size:
            return
        last = self._items[-1] if self._items else None
        if isinstance(last, Run) and last.style == self._style:
            self._items[-1] = Run(last.start, self._size, self._style)
        else:
            self._items.append(Run(size, self._size, self._style))

    def _keep(self, start: int, end: int, instead: str | None) -> None:
        if start > self._read:
            self._edits.append((self._read, start, ""))
        if instead is not None:
            self._edits.append((start, end, instead))
        self._read = end
        self._size += end - start if instead is None else len(instead)

    def _pause(self, pause: Pause, at: int) -> None:
        self._silence_s += pause.seconds
        if self._silence_s > LONGEST_SILENCE_S:
            raise self._invalid(
                f"the pauses of the SSML are longer than {LONGEST_SILENCE_S / 3600:g} h", "speak it in parts", at
            )
        self._add(pause)

    def _add(self, item: Item) -> None:
        self._items.append(item)

    def _tag_end(self, at: int) -> int:
        """Return one past the tag that begins at a character; ``>`` may stand inside quotes."""
        quote = ""
        for index in range(at, len(self._text)):
            char = self._text[index]
            if quote:
                quote = "" if char == quote else quote
            elif char in "\"'":
                quote = char
            elif char == ">":
                return index + 1
        return len(self._text)

    def _here(self) -> int:
        return self._character(self._parser.CurrentByteIndex)

    def _character(self, byte: int) -> int:
        """Return the character of the caller's text at a byte of what expat reads."""
        if self._places is None:
            index = byte
        else:
            index = self._places[byte] if byte < len(self._places) else len(self._text) + len(self._head)
        return min(max(0, index - len(self._head)), len(self._text))

    def _invalid(self, what: str, fix: str, at: int) -> InvalidMarkup:
        line, column = place_of(self._text, at)
        return InvalidMarkup(what, who=self._who, fix=fix, line=line, column=column)
