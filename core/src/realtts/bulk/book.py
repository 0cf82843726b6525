"""Chapters of a book: plain text, Markdown or EPUB, as rows of a job."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.bulk.rows import SpeechRow
from realtts.documents import DocumentError, read_text
from realtts.errors import InvalidOption, InvalidText, closest
from realtts.text import is_speakable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from markdown_it.token import Token

__all__ = ["SUFFIXES", "Chapter", "chapter_rows", "read_chapters"]

# A line of its own behind an empty one: "Chapter 12", "KAPITEL III. Der Brief", "Глава 2"; or a Roman numeral alone.
_HEADING = re.compile(
    r"(?:\A|(?<=\n\n))[ \t]*("
    r"(?:chapter|part|book|prologue|epilogue|preface|introduction|kapitel|teil|prolog|epilog|vorwort|chapitre|partie"
    r"|capítulo|capitulo|parte|capitolo|hoofdstuk|chương|глава|часть|第[〇一二三四五六七八九十百\d]+[章回]|제\s?\d+\s?장)\b[^\n]{0,80}"
    r"|[IVXLC]{1,7}\.?"
    r")[ \t]*(?=\n\n|\n?\Z)",
    re.IGNORECASE,
)
# Facts about a Markdown file at its beginning, which are not part of its text.
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?=\s*[\w-]+[ \t]*:)(?:.*\S.*\n)*?(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_SLUG = re.compile(r"[^a-z0-9]+")
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Chapter:
    """A chapter.

    Attributes:
        title: Its heading, also the first words of the text; empty where it has none.
        text: What is spoken.
    """

    title: str
    text: str


def read_chapters(path: str | os.PathLike[str]) -> list[Chapter]:
    """Read a book.

    Args:
        path: ``.txt`` (chapters begin with lines such as "Chapter 3"), ``.md`` (with a heading of the highest level
            that stands there more than once), or ``.epub``.

    Returns:
        The chapters that can be said, at least one.

    Raises:
        InputError: It is no such file, cannot be read, or holds nothing that can be said.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    reader = _READERS.get(suffix)
    if reader is None:
        what = f"unknown kind of book {suffix!r}{closest(suffix, SUFFIXES)}"
        raise InvalidOption(what, who=str(path), fix=f"choose one of {', '.join(SUFFIXES)}")
    chapters = [chapter for chapter in reader(path) if is_speakable(chapter.text)]
    if not chapters:
        raise InvalidText("it holds nothing that can be said", who=str(path), fix="give a book with words")
    return chapters


def chapter_rows(chapters: Iterable[Chapter]) -> list[SpeechRow]:
    """Return a row for each chapter, named after its place and title."""
    rows = []
    for number, chapter in enumerate(chapters, start=1):
        slug = _SLUG.sub("-", chapter.title.lower()).strip("-")[:40].strip("-")
        name = f"{number:03d}-{slug}" if slug else f"{number:03d}"
        title = chapter.title or f"Chapter {number}"
        rows.append(SpeechRow(number, name, chapter.text, extra={"title": title}))
    return rows


def _plain(path: Path) -> Iterator[Chapter]:
    text = re.sub(r"\n[ \t]*(?:\n[ \t]*)+", "\n\n", _read(path)).replace("\f", "\n\n").strip()
    places = [match.start(1) for match in _HEADING.finditer(text)]
    if not places or text[: places[0]].strip():
        places.insert(0, 0)
    for start, end in zip(places, [*places[1:], len(text)], strict=True):
        part = text[start:end].strip()
        heading = _HEADING.match(part)
        yield Chapter(heading[1].strip() if heading else "", part)


def _markdown(path: Path) -> Iterator[Chapter]:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(_FRONT_MATTER.sub("", _read(path)))
    level = _chapter_level(tokens)
    title, parts = "", list[str]()
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type in _LITERAL:
            parts.append(_LITERAL[token.type](token.content))
        if token.type != "inline":
            continue
        text = _inline(token)
        if before is not None and before.type == "heading_open" and before.tag == level:
            yield Chapter(title, "\n\n".join(parts))
            title, parts = text, []
        parts.append(_ended(text) if before is not None and before.type == "heading_open" else text)
    yield Chapter(title, "\n\n".join(parts))


def _html_words(markup: str) -> str:
    from realtts.bulk.epub import read_page

    return read_page(markup)[1]


_LITERAL: dict[str, Callable[[str], str]] = {"fence": str.strip, "code_block": str.strip, "html_block": _html_words}
"""Blocks of Markdown without markup of their own: their words are read too."""


def _chapter_level(tokens: Sequence[Token]) -> str:
    """Return the tag of the headings that begin chapters: the highest level that stands there more than once."""
    tags = [token.tag for token in tokens if token.type == "heading_open"]
    return next((tag for tag in sorted(set(tags)) if tags.count(tag) > 1), min(tags, default="h1"))


def _inline(token: Token) -> str:
    """Return the words of a paragraph without its markup; of a picture its description."""
    words = []
    for child in token.children or ():
        if child.type in ("text", "code_inline", "image"):
            words.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            words.append(" " if child.type == "softbreak" else "\n")
    return "".join(words).strip()


def _ended(heading: str) -> str:
    """Return a heading as a sentence, so that there is a pause behind it."""
    return heading if not heading or heading[-1] in ".!?…:。！？" else f"{heading}."


def _read(path: Path) -> str:
    try:
        return read_text(path, most_bytes=_MOST_BYTES).replace("\r\n", "\n").replace("\r", "\n")
    except (DocumentError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidText(f"it cannot be read: {reason}", who=str(path), fix="save it as UTF-8") from error


def _epub(path: Path) -> Iterator[Chapter]:
    from realtts.bulk.epub import read_documents

    for title, text in read_documents(path):
        yield Chapter(title, text)


_READERS: dict[str, Callable[[Path], Iterator[Chapter]]] = {
    ".txt": _plain,
    ".md": _markdown,
    ".markdown": _markdown,
    ".epub": _epub,
}
SUFFIXES = tuple(_READERS)
"""Kinds of books."""
