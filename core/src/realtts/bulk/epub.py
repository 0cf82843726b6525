"""The words of an EPUB, document by document in reading order (EPUB 3.3, https://www.w3.org/TR/epub-33/)."""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote
from xml.etree import ElementTree

from realtts.documents import MALFORMED, reason_of
from realtts.errors import InvalidText

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["read_documents"]

_MOST_BYTES = 32 << 20
"""Largest file that is unpacked; a whole novel has about 1 MB."""

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_HTML = {"application/xhtml+xml", "text/html"}
_BLOCKS = {
    "address", "article", "blockquote", "br", "dd", "div", "dt", "figcaption", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
    "li", "p", "pre", "section", "td", "th", "tr",
}  # fmt: skip
_HEADINGS = {"h1", "h2", "h3"}
_SILENT = {"head", "script", "style", "nav", "rt", "rp", "svg", "math", "audio", "video"}
_SPACES = re.compile(r"[ \t\r\n]+")


def read_documents(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the title and the words of every document of the book's spine.

    Raises:
        InvalidText: It is no EPUB, is encrypted, or holds a file that is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for name in _spine(archive, path):
                words = _Words()
                words.feed(_unpack(archive, name, path).decode("utf-8-sig", "replace"))
                words.close()
                yield words.title, words.text()
    except InvalidText:
        raise
    except (*MALFORMED, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _unreadable(path, reason_of(error)) from error


def _spine(archive: zipfile.ZipFile, path: Path) -> list[str]:
    """Return the names of the documents in reading order."""
    encrypted = _xml(archive, _ENCRYPTION, path) if _ENCRYPTION in archive.namelist() else None
    container = _xml(archive, _CONTAINER, path)
    root = next((element.get("full-path") for element in container.iter() if _tag(element) == "rootfile"), None)
    if not root:
        raise _unreadable(path, "its container names no package")
    package = _xml(archive, root, path)
    folder = posixpath.dirname(root)
    items = {
        element.get("id"): posixpath.normpath(posixpath.join(folder, unquote(element.get("href", ""))))
        for element in package.iter()
        if _tag(element) == "item" and element.get("media-type") in _HTML and "nav" not in element.get("properties", "")
    }
    references = [element for element in package.iter() if _tag(element) == "itemref"]
    names = [items[element.get("idref")] for element in references if element.get("idref") in items]
    locked = {unquote(e.get("URI", "")) for e in encrypted.iter()} if encrypted is not None else set()
    if locked & set(names):
        raise InvalidText("it is encrypted", who=str(path), fix="give a book without DRM")
    return names


def _xml(archive: zipfile.ZipFile, name: str, path: Path) -> ElementTree.Element:
    content = _unpack(archive, name, path)
    if b"<!ENTITY" in content.replace(b"\0", b""):  # in UTF-16 too
        raise _unreadable(path, f"{name} declares entities")
    try:
        return ElementTree.fromstring(content)  # noqa: S314 - entities were refused, so nothing can grow
    except ElementTree.ParseError as error:
        raise _unreadable(path, f"{name}: {error}") from error


def _unpack(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    try:
        with archive.open(name) as file:
            content = file.read(_MOST_BYTES + 1)  # what the archive says of the size may be a lie
    except KeyError:
        raise _unreadable(path, f"it lacks {name!r:.100}") from None
    if len(content) > _MOST_BYTES:
        raise _unreadable(path, f"{name!r:.100} has over {_MOST_BYTES >> 20} MiB")
    return content


def _tag(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _unreadable(path: Path, reason: str) -> InvalidText:
    return InvalidText(f"it cannot be read as EPUB: {reason}", who=str(path), fix="give a sound .epub file")


class _Words(HTMLParser):
    """The words of an XHTML document, a paragraph for each block, and its first heading."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._paragraphs: list[str] = []
        self._words: list[str] = []
        self._silent: list[str] = []
        self._heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._silent or tag in _SILENT:
            self._silent.append(tag)
        elif tag in _BLOCKS:
            self._end_paragraph()
            self._heading = tag in _HEADINGS
        elif tag == "img":
            self._words.append(dict(attrs).get("alt") or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _SILENT and not self._silent:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            if tag in self._silent:
                del self._silent[self._silent.index(tag) :]
        elif tag in _BLOCKS:
            self._end_paragraph()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._words.append(data)

    def text(self) -> str:
        """Return the paragraphs, with empty lines between them."""
        self._end_paragraph()
        return "\n\n".join(self._paragraphs)

    def _end_paragraph(self) -> None:
        words = _SPACES.sub(" ", "".join(self._words)).strip()
        self._words.clear()
        if words:
            if self._heading:
                self.title = self.title or words
                words = words if words[-1] in ".!?…:。！？" else f"{words}."
            self._paragraphs.append(words)
        self._heading = False
