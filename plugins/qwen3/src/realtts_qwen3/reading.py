"""What of a text Qwen3-TTS can say: its vocabulary has every byte, so that it says nothing of it.

A picture has no words of its own, in any vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.text import is_picture, readable_text

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint
    from realtts.contract.types import Unread
    from realtts.text import ReadableText

__all__ = ["readable", "unread_in"]


def readable(text: str) -> ReadableText:
    """Return a text without pictures.

    Raises:
        UnspeakableText: There is nothing else in it.
    """
    return readable_text(text, lambda char: not is_picture(char), who="qwen3", nothing="there are only pictures in it")


def unread_in(checkpoint: Checkpoint | None, text: str, language: str | None) -> tuple[Unread, ...]:  # noqa: ARG001
    """Return what of a text is left out, the same in every checkpoint and language.

    Raises:
        UnspeakableText: All of it.
    """
    return readable(text).unread
