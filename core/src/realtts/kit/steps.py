"""Solver steps for the option ``quality``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["chosen_steps"]


def chosen_steps(number: int | None, quality: str, presets: Mapping[str, int]) -> tuple[int, tuple[str, ...]]:
    """Return how many steps a solver takes, and a warning if these are fewer than full quality's.

    Args:
        number: Number that the caller asked for, which overrides the quality; None: as the quality says.
        quality: One of the presets.
        presets: Steps of each quality, ``"full"`` among them.
    """
    if number is not None:
        return number, ()
    steps, full = presets[quality], presets["full"]
    if steps == full:
        return full, ()
    return steps, (f"Spoken in the quality {quality!r}: {steps} solver steps instead of {full}.",)
