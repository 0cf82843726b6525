"""The words of an EPUB, document by document in reading order (EPUB 3.3, https://www.w3.org/TR/epub-33/)."""

from __future__ import annotations

import codecs
import posixpath
import re
import unicodedata
import zipfile
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote
from xml.etree import ElementTree

from realtts.documents import reason_of
from realtts.errors import InvalidText

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["read_documents", "read_page"]

_MOST_BYTES = 32 << 20
"""Largest file that is unpacked; a whole novel has about 1 MB."""

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_HTML = {"application/xhtml+xml", "text/html"}
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr",
    "legend", "li", "main", "ol", "option", "p", "pre", "section", "summary", "table", "td", "th", "tr", "ul",
}  # fmt: skip
_HEADINGS = {"h1", "h2", "h3"}
_SILENT = {"head", "script", "style", "nav", "rt", "rp", "svg", "math", "audio", "video"}
_SPACES = re.compile(r"[ \t\r\n]+")
_RUBY = {"rt", "rp"}
_VOID = {
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
}  # fmt: skip
_PAGES = {"pagebreak", "doc-pagebreak"}
# Of pages that say how they are encoded, in the codings of texts: some others of Python's take for ever.
_ENCODING = re.compile(
    rb"(?:encoding|charset)\s*=\s*[\"']?"
    rb"((?:utf|iso|latin|windows|cp|koi|mac|gb|hz|big5|shift|euc|us-ascii|ascii|tis)[A-Za-z0-9._:-]{0,20})",
    re.IGNORECASE,
)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_documents(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the title and the words of every document of the book's spine.

    Raises:
        InvalidText: It is no EPUB, is encrypted, or holds a file that is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for name in _spine(archive, path):
                yield read_page(_decoded(_unpack(archive, name, path)))
    except InvalidText:
        raise
    except Exception as error:  # whatever a damaged archive leads its readers to
        raise _unreadable(path, reason_of(error)) from error


def read_page(page: str) -> tuple[str, str]:
    """Return the first heading of an HTML page, and its words with an empty line between paragraphs."""
    words = _Words()
    words.feed(page)
    words.close()
    return words.title, words.text()


def _decoded(content: bytes) -> str:
    """Return the text of a page, which says itself how it is encoded."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    named = _ENCODING.search(content[:1024])
    for encoding in (named[1].decode() if named else "utf-8", "utf-8"):
        try:
            return content.decode(encoding)
        except (LookupError, ValueError):  # no such encoding, or it is another one
            continue
    return content.decode("utf-8", "replace")


def _spine(archive: zipfile.ZipFile, path: Path) -> list[str]:
    """Return the names of the documents in reading order."""
    encrypted = _xml(archive, _ENCRYPTION, path) if _ENCRYPTION in archive.namelist() else None
    container = _xml(archive, _CONTAINER, path)
    root = next((element.get("full-path") for element in container.iter() if _tag(element) == "rootfile"), None)
    if not root:
        raise _unreadable(path, "its container names no package")
    package = _xml(archive, root, path)
    folder = posixpath.dirname(root)
    items = {}
    for element in package.iter():
        if _tag(element) != "item" or element.get("media-type") not in _HTML:
            continue
        if "nav" not in element.get("properties", "").split():
            href = unquote(element.get("href", "").partition("#")[0])
            items[element.get("id")] = posixpath.normpath(posixpath.join(folder, href))
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
        with archive.open(_member(archive, name)) as file:
            content = file.read(_MOST_BYTES + 1)  # what the archive says of the size may be a lie
    except KeyError:
        raise _unreadable(path, f"it lacks {name!r:.100}") from None
    if len(content) > _MOST_BYTES:
        raise _unreadable(path, f"{name!r:.100} has over {_MOST_BYTES >> 20} MiB")
    return content


def _member(archive: zipfile.ZipFile, name: str) -> str:
    """Return the name of a file as the archive spells it: case and the form of accents may differ."""
    names = archive.namelist()
    if name in names:
        return name
    return next((each for each in names if _folded(each) == _folded(name)), name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


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
        if self._silent and self._silent[0] in _RUBY and tag in {*_BLOCKS, *_RUBY, "rb"}:
            self._silent.clear()  # HTML lets these end without saying so
        if self._silent or tag in _SILENT or _is_hidden(dict(attrs)):
            if tag not in _VOID:
                self._silent.append(tag)
        elif tag in _BLOCKS:
            self._end_paragraph()
            self._heading = tag in _HEADINGS
        elif tag == "img":
            self._words.append(dict(attrs).get("alt") or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _SILENT and not self._silent and not _is_hidden(dict(attrs)):
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            if tag in self._silent:
                del self._silent[len(self._silent) - 1 - self._silent[::-1].index(tag) :]
            elif self._silent[0] in _RUBY and (tag == "ruby" or tag in _BLOCKS):
                self._silent.clear()
        if not self._silent and tag in _BLOCKS:
            self._end_paragraph()

    def unknown_decl(self, data: str) -> None:
        """Read the text of a section that is marked as such."""
        if data.startswith("CDATA["):
            self.handle_data(data.removeprefix("CDATA["))

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


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    """Tell whether an element is not shown, or is the number of a printed page in the middle of the text."""
    kinds = f"{attributes.get('epub:type') or ''} {attributes.get('role') or ''}".split()
    return "hidden" in attributes or not _PAGES.isdisjoint(kinds)
