"""Text before it is spoken: checks, sentences, pieces of a size that a model takes, and spans mapped back.

May import errors, contract and kit.
"""

from __future__ import annotations

from realtts.text.align import align
from realtts.text.check import check_text, is_speakable
from realtts.text.duration import most_seconds
from realtts.text.edited import EditedText
from realtts.text.sentence import paragraphs, sentences
from realtts.text.split import Piece, blocks, pieces
from realtts.text.unread import ReadableText, is_picture, readable_text, unread_warnings

__all__ = [
    "EditedText",
    "Piece",
    "ReadableText",
    "align",
    "blocks",
    "check_text",
    "is_picture",
    "is_speakable",
    "most_seconds",
    "paragraphs",
    "pieces",
    "readable_text",
    "sentences",
    "unread_warnings",
]
