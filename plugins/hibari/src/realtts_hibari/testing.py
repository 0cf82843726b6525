"""For tests and benchmarks: sentences with numbers, signs and units, and the account of what becomes of them."""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from realtts.testing.texts import account_of
from realtts_hibari import spec
from realtts_hibari.reading import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts_hibari.phrases import Phrases

__all__ = ["load_phrases", "lost_digits", "number_sentences"]

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
    dice = random.Random(seed)  # noqa: S311 - the same texts each time
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


def load_phrases() -> Phrases:
    """Load what reads texts in American English, without the graph of a voice."""
    from realtts_hibari.phrases import Phrases
    from realtts_hibari.pronunciation import Pronunciation

    context: Any = SimpleNamespace(spec=spec, settings=SimpleNamespace(threads=1), rung=None)
    return Phrases(Pronunciation(context, british=False))


def lost_digits(text: str, phrases: Phrases, *, normalize: str = "auto") -> list[str]:
    """Return the characters of a text that are neither in a word with a sound, nor silent, nor named as unread.

    Args:
        text: As a caller gives it; it passes the core's front end.
        phrases: Of a loaded model.
        normalize: ``"auto"`` or ``"off"``, as of a call.
    """
    account = account_of(replace(spec, normalize=normalize), spec.checkpoints[0], text, None)
    if account is None:
        return list(text)
    lost = [text[at] for at in account.lost]
    for given in account.given:
        reading = read(given)
        spoken = {at for phrase in phrases.of(reading.text) for word in phrase.words for at in range(*word.span)}
        lost += [char for at, char in enumerate(reading.text) if char.isalnum() and at not in spoken]
    return lost
