"""Sentences with numbers, signs and units, for the account that a provider's reading gives of them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["number_sentences"]

_UNITS = (
    "km", "kg", "%", "°C", "°F", "mph", "ml", "GB", "GHz", "kWh", "m²", "lb", "oz", "ft", "s", "h", "min", "¢", "'",
)  # fmt: skip
_SIGNS = (
    "+", "-", "\u2212", "±", "~", "≈", "<", ">", "≤", "#", "$", "€", "£", "¥", "§", "(", "[", '"', "No. ", "@", "=",
    "*",
)  # fmt: skip
_JOINTS = ("-", "–", "/", ":", ".", ",", " x ", " × ", " + ", " - ", " = ", "^", "..", " ÷ ", "%-", "&", "_", "|")
_FRAMES = (
    "We counted {} of them.", "{} came back.", "Is it {}?", "From {} to {}, all went well.", "They said {}, then {}!",
    "Room {} ({}) is closed.", "The value, {}, was wrong", "Send {} to {}; keep {}.", '"{}" was printed.',
    "a{}b and c{}", "Version {} of part {}", "On {} she paid {}.", "{}", "{}.", "Why {}?! Because {}...",
)  # fmt: skip


def number_sentences(count: int, seed: int = 0) -> Iterator[str]:
    """Yield sentences with numbers in many shapes: signs before, units behind, joints between, letters beside them."""
    dice = random.Random(seed)
    for _ in range(count):
        frame = dice.choice(_FRAMES)
        yield frame.format(*(_number(dice) for _ in range(frame.count("{}"))))


def _number(dice: random.Random) -> str:
    shape = dice.randrange(8)
    digits = "".join(dice.choice("0123456789") for _ in range(dice.choice((1, 1, 2, 2, 3, 4, 4, 5, 7, 10, 16, 24))))
    if shape == 0:
        digits = f"{int(digits):,}"
    elif shape == 1:
        digits = f"{digits}.{dice.randrange(1000)}"
    elif shape == 2:
        digits = digits + dice.choice(_JOINTS) + str(dice.randrange(3000))
    elif shape == 3:
        digits = f"{dice.randrange(1, 13)}{dice.choice('/-.:')}{dice.randrange(60):02}"
    before = dice.choice(_SIGNS) if dice.random() < 0.5 else ""
    behind = dice.choice((*_UNITS, "st", "th", "s", "k", "x", "B", " am", "!", ")")) if dice.random() < 0.5 else ""
    return before + digits + (" " if behind in _UNITS and dice.random() < 0.5 else "") + behind
