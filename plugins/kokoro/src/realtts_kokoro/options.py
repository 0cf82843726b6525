"""The options of a request."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from realtts.contract.options import Options

__all__ = ["KokoroOptions"]


class KokoroOptions(Options):
    """How Kokoro reads and streams."""

    phonemizer: Literal["misaki", "espeak"] | None = Field(
        None, description="What turns the text into phonemes; None: the usual one of the language."
    )
    split: Literal["sentence", "clause"] = Field(
        "sentence", description="What is spoken at once: shorter parts are heard sooner, and sound less connected."
    )
