"""Names of the usual parts of a whole: thirds, quarters, fifths."""

from __future__ import annotations

import functools

__all__ = ["part_words"]

_DENOMINATORS = (3, 4, 5, 6, 8, 10)

_TABLE = {
    "es": "un|tercio cuarto quinto sexto octavo décimo|tercios cuartos quintos sextos octavos décimos",
    "it": "un|terzo quarto quinto sesto ottavo decimo|terzi quarti quinti sesti ottavi decimi",
    "fr": "un|tiers quart cinquième sixième huitième dixième|tiers quarts cinquièmes sixièmes huitièmes dixièmes",
    "pt": "um|terço quarto quinto sexto oitavo décimo|terços quartos quintos sextos oitavos décimos",
    "de": "ein|Drittel Viertel Fünftel Sechstel Achtel Zehntel|Drittel Viertel Fünftel Sechstel Achtel Zehntel",
    "nl": "een|derde kwart vijfde zesde achtste tiende|derde kwart vijfde zesde achtste tiende",
    "sv": "en|tredjedel fjärdedel femtedel sjättedel åttondel tiondel"
    "|tredjedelar fjärdedelar femtedelar sjättedelar åttondelar tiondelar",
    "da": "en|tredjedel fjerdedel femtedel sjettedel ottendedel tiendedel"
    "|tredjedele fjerdedele femtedele sjettedele ottendedele tiendedele",
    "no": "en|tredjedel fjerdedel femtedel sjettedel åttendedel tiendedel"
    "|tredjedeler fjerdedeler femtedeler sjettedeler åttendedeler tiendedeler",
    "pl": "jedna|trzecia czwarta piąta szósta ósma dziesiąta|trzecie czwarte piąte szóste ósme dziesiąte"
    "|trzecich czwartych piątych szóstych ósmych dziesiątych",
    "ru": "одна|треть четверть пятая шестая восьмая десятая|трети четверти пятых шестых восьмых десятых"
    "|третей четвертей пятых шестых восьмых десятых",
}
"""Language -> one, then the parts where there is one of them, a few, and many."""

_TWO = {"pl": "dwie", "ru": "две"}
"""Two of what is feminine, in languages in which that counts."""


def part_words(language: str, upper: int, lower: int) -> tuple[str | None, str] | None:
    """Return a fraction's number and the name of its parts; None where the language has no such name here.

    Args:
        language: Its code.
        upper: How many parts; the number is None where it is the usual word for it.
        lower: Of how many.
    """
    forms = _forms(language)
    if not forms or lower not in _DENOMINATORS or upper < 1:
        return None
    one, *names = forms
    # Polish and Russian count 2 to 4 otherwise than the rest, in each ten but the second.
    few = upper % 10 in {2, 3, 4} and upper % 100 not in {12, 13, 14}
    chosen = names[0] if upper == 1 else names[1] if few or len(names) == 2 else names[2]
    number = one if upper == 1 else _TWO.get(language) if upper == 2 else None
    return number, chosen.split()[_DENOMINATORS.index(lower)]


@functools.cache
def _forms(language: str) -> tuple[str, ...]:
    return tuple(_TABLE[language].split("|")) if language in _TABLE else ()
