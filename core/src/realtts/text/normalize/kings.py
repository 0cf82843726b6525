"""Kings, queens and popes with their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.text.normalize.language import Language

__all__ = ["is_king", "king"]

_RULERS = (
    "luigi lodewijk luís ludvig "
    "henry louis elizabeth george edward charles william richard james philip pius paul benedict napoleon wilhelm"
    " friedrich ludwig alexander nicholas peter catherine carl karl gustav christian frederick frederik innocent leo"
    " gregory felipe carlos enrique luis juan otto heinrich alfonso fernando isabel pedro joão pio benedetto vittorio"
    " francis francois françois henri philippe clement urban boniface sixtus ramses ptolemy harald olav haakon john"
    " margrethe willem emanuele umberto giovanni leone paolo elisabetta elisabeth élisabeth katharina maria mary"
    " victoria beatrix jan karol zygmunt bolesław kazimierz władysław mieszko paweł aleksander piotr katarzyna elżbieta"
    " пётр петр николай екатерина александр иван павел елизавета василий фёдор анна людовик генрих карл"
)
_NAMES = frozenset(_RULERS.split())
_GERMAN = frozenset(("ludwig", "karl", "friedrich", "wilhelm", "heinrich", "otto", "gustav", "georg", "leopold"))
"""Rulers of whom German books tell, in whose genitive the number stands too: *Ludwigs XIV.*"""

_RUSSIAN_MEN = "петра николая александра ивана павла василия фёдора людовика генриха карла"
_RUSSIAN_GENITIVE = {
    **dict.fromkeys(_RUSSIAN_MEN.split(), "masculine-genitive"),
    **dict.fromkeys(("екатерины", "елизаветы", "анны"), "feminine-genitive"),
}
_QUEENS = "isabel elizabeth elisabeth élisabeth mary margrethe catherine beatrix"
_FEMININE = frozenset(_QUEENS.split())
_ORDINAL = frozenset({"en", "de", "it", "ru", "da", "sv", "no", "nl", "pl"})
"""Languages that count their kings with ordinal numbers."""

_ARTICLES = {"en": "the ", "da": "den ", "sv": "den ", "no": "den ", "nl": "de "}


def is_king(name: str) -> bool:
    """Tell whether a word is the name of many rulers."""
    lower = name.lower()
    return name[:1].isupper() and (lower in _NAMES or lower in _RUSSIAN_GENITIVE or lower.removesuffix("s") in _GERMAN)


def king(name: str, number: int, language: Language) -> str:
    """Return the number of a ruler in words."""
    lower = name.lower()
    feminine = lower in _FEMININE or lower.endswith(("a", "а"))
    form = _RUSSIAN_GENITIVE.get(lower, "feminine" if feminine else "masculine")
    if language.name == "de" and lower.removesuffix("s") in _GERMAN - {lower}:
        return f"des {language.ordinal(number, 'n')}"
    if language.name not in _ORDINAL:
        most = {"fr": 1, "es": 10, "pt": 10}.get(language.name, 0)
        return language.ordinal(number, form) if number <= most else language.cardinal(number)
    article = ("die " if feminine else "der ") if language.name == "de" else _ARTICLES.get(language.name, "")
    return article + language.ordinal(number, form)
