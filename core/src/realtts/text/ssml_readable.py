"""SSML as people read it: its text without tags, and timings moved into that text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from realtts.text.ssml import read_ssml
from realtts.text.ssml_document import Boundary, Pause, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.types import Mark
    from realtts.text.edited import Edit, EditedText
    from realtts.text.ssml_document import Document

__all__ = ["readable_marks"]


def readable_marks(marks: Sequence[Mark], text: str) -> tuple[list[Mark], str]:
    """Return the timings of a text in SSML as timings of what is read of it.

    Args:
        marks: Timings whose spans lie in ``text``.
        text: SSML that was spoken.
    """
    readable = _apart(read_ssml(text, who="captions"))
    moved = [replace(mark, span=_span(readable, mark.span)) for mark in marks]
    return moved, readable.text


def _apart(document: Document) -> EditedText:
    """Return the spoken text with white space where paragraphs, sentences and pauses divide it."""
    edits: list[Edit] = []
    at, space = 0, ""
    for item in document.items:
        if isinstance(item, Run):
            if space and at:
                edits.append((at, at, space))
            at, space = item.end, ""
        elif isinstance(item, Boundary):
            space = "\n\n" if item.kind == "paragraph" else space or " "
        elif isinstance(item, Pause):
            space = space or " "
    return document.edited.replaced(edits)


def _span(readable: EditedText, span: tuple[int, int]) -> tuple[int, int]:
    """Return the stretch of the readable text that comes from a stretch of the SSML."""
    start = readable.first_from(span[0])
    return start, max(start, readable.first_from(span[1]))
