"""What is out of proportion to its text, and how it is spoken again: once, with a seed derived from its own.

The core does so with pieces. A provider that speaks a piece in parts, such as its sentences, does it with the part
alone, by these functions, and says so in `Chunk.retries`; the core then lets the piece stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.kit.seeds import derive_seed

if TYPE_CHECKING:
    from realtts.contract.types import FinishReason

__all__ = ["retry_seed", "shown", "told", "wrong_length"]


def wrong_length(text: str, seconds: float, finish: FinishReason, *, least: float, speed: float = 1.0) -> str:
    """What is wrong with the length of audio, in words that follow its text; nothing if it may stand.

    Args:
        text: What was spoken.
        seconds: Length of the audio.
        finish: How it ended.
        least: The spec's ``min_seconds_per_char``.
        speed: The request's.
    """
    if finish == "length":
        return "ran into its length cap"
    spoken = sum(char.isalnum() for char in text)
    early = finish == "stop" and seconds < least * spoken / speed
    return f"ended too early ({seconds:.2f} s)" if early else ""


def retry_seed(seed: int) -> int:
    """The seed of the second try."""
    return derive_seed(seed, "runaway")


def told(text: str, fault: str) -> str:
    """The warning for what is spoken again."""
    return f"{shown(text)} {fault} and was spoken again with another seed"


def shown(text: str) -> str:
    """The beginning of a text, for messages."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
