"""Judging whether audio is out of proportion to its text, and speaking it again once, with a derived seed.

The core does so with pieces. A provider that speaks a piece in parts, such as its sentences, does it with the part
alone, by these functions, and counts it in `Chunk.retries`; the core then accepts the piece as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.kit.seeds import derive_seed

if TYPE_CHECKING:
    from realtts.contract.types import FinishReason

__all__ = ["excerpt", "retry_seed", "retry_warning", "wrong_length"]


def wrong_length(text: str, seconds: float, finish: FinishReason, *, least: float, speed: float = 1.0) -> str:
    """Say what is wrong with the length of audio, in words that follow its text; return "" if nothing is.

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
    """Return the seed of the second try."""
    return derive_seed(seed, "runaway")


def retry_warning(text: str, fault: str) -> str:
    """Return the warning for a text that is spoken again."""
    return f"{excerpt(text)} {fault} and was spoken again with another seed"


def excerpt(text: str) -> str:
    """Return the beginning of a text in quotes, at most 40 characters of it, for messages."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
