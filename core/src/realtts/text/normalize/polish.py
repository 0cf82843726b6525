"""Polish ordinal numbers up to 99, which the Unicode locale data lacks: of days, hours, centuries and kings."""

from __future__ import annotations

__all__ = ["polish_ordinal"]

_STEMS = (
    "pierwsz drug trzec czwart piąt szóst siódm ósm dziewiąt dziesiąt jedenast dwunast trzynast czternast piętnast"
    " szesnast siedemnast osiemnast dziewiętnast"
)
_STEMS_OF_TENS = (
    "dwudziest trzydziest czterdziest pięćdziesiąt sześćdziesiąt siedemdziesiąt osiemdziesiąt dziewięćdziesiąt"
)
_ONES, _TENS = _STEMS.split(), _STEMS_OF_TENS.split()
_ENDINGS = {"masculine": "y", "genitive": "ego", "locative": "ym", "feminine": "a", "feminine-genitive": "ej",
            "neuter": "e"}  # fmt: skip


def polish_ordinal(number: int, form: str) -> str:
    """Return an ordinal number in words; empty for one that is not known.

    Args:
        number: From 1 to 99.
        form: A key of the endings: ``"masculine"``, ``"genitive"``, ``"locative"``, ``"feminine"``,
            ``"feminine-genitive"``, ``"neuter"``.
    """
    if not 0 < number < 100 or form not in _ENDINGS:
        return ""
    tens, ones = divmod(number, 10)
    stems = [_ONES[number - 1]] if number < 20 else [_TENS[tens - 2], *([_ONES[ones - 1]] if ones else [])]
    return " ".join(_inflected(stem, _ENDINGS[form]) for stem in stems)


def _inflected(stem: str, ending: str) -> str:
    if stem in {"trzec", "drug"}:
        ending = f"i{ending.removeprefix('y')}"
        return stem + ("a" if ending == "ia" and stem == "drug" else ending)
    return stem + ending
