"""Numbers before what they count: gender, short forms, times, and digits that are said one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.text.normalize.kind import START, Kind, Rule, fixed, rule

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from realtts.text.normalize.language import Language

__all__ = ["NOT_COUNTED", "Counting"]

_TIMES = {"en": "times", "fr": "fois", "es": "veces", "it": "volte", "pt": "vezes", "nl": "keer", "sv": "gånger"}
"""What ``x`` behind a number means before a word: ``2x daily``."""

_NO_NOUNS = {
    "es": "de del al a y e o u en por con sin para que es son se no más menos hasta desde entre como el la los las un",
    "pt": "de do da dos das a e o u em por com sem para que é são se não mais menos até desde entre como os as um",
    "fr": "de du des à au et ou en par avec sans pour que est sont ne plus moins sur dans le la les un une",
    "it": "di del al a e o in per con senza che è sono si non più meno fino da tra come il lo la i gli le un",
}  # fmt: skip
NOT_COUNTED = {language: frozenset(words.split()) for language, words in _NO_NOUNS.items()}
"""Words that no number counts."""

_MEASURES = "只隻个個位本张張条條件次天家块塊匹头頭辆輛台座杯瓶碗双雙对對种種岁歲点點倍斤人周小分公米年"
"""Chinese words behind a number of things, before which two has a form of its own."""


class Counting(Kind):
    """Numbers whose words depend on what they count."""

    def __init__(self, language: Language) -> None:
        super().__init__(language)
        self._no_nouns = NOT_COUNTED.get(language.name, frozenset())

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        several = fixed(r"(?<=\d)\s?[-\u2013]\s?(?=\d+(?:x|\s?mal)(?!\w))", self.words.to)
        return [several, *self._of_language(), *self._times()]

    def _of_language(self) -> list[Rule]:
        if self.is_("en"):
            return [
                rule(rf"{START}(\d{{3,}})s(?!\w)|(?<=\w-)(\d+)s(?!\w)", self._english_plural),
                rule(r"(?i:\b(call|dial|ring|phone|text))\s(\d{3})(?![\w-]|[.,]\d|\s\d)", self._digits),
                rule(r"(?i:\b(zip|zip code|postcode|pin|code))\s(\d{4,6})(?![\w-]|[.,]\d)", self._digits),
            ]
        if self.is_("de"):
            return [
                rule(rf"{START}(\d+)er(?!\w)", lambda match: f"{self.language.cardinal(int(match[1]))}er"),
                rule(rf"{START}(\d+)\s?(?:x|[×-]?mal)(?=[\s.,;:!?]|\Z)", self._german_times),
                rule(rf"{START}1(?=\s([A-ZÄÖÜ][a-zäöüß]+))", self._german_one),
            ]
        if self.is_("zh"):
            return [rule(rf"(?<![\d.,第年月日/:-])2(?=[{_MEASURES}](?!月|级|級))", lambda _: "两")]
        if self.is_("pl"):
            return [rule(rf"{START}1(?=\s([a-ząćęłńóśźż]{{3,}}))", self._polish_one)]
        if self.is_("ru"):
            return [rule(rf"{START}(\d+)(?=\s([а-яё]+))", self._russian)]
        if self.is_(*NOT_COUNTED):
            return self._romance()
        return []

    def _romance(self) -> list[Rule]:
        counted = rule(rf"{START}(\d+)(?=\s([^\W\d_]{{2,}}))", self._counted)
        if self.is_("es"):
            return [rule(rf"{START}(\d+)\.?(?:[ºo]|er)(?=\s[^\W\d_])", self._adjective), counted]
        return [counted]

    def _adjective(self, match: re.Match[str]) -> str:
        return self.language.ordinal(int(match[1]), "masculine-adjective")

    def _counted(self, match: re.Match[str]) -> str | None:
        """Return a number in the gender of the noun behind it, as far as its ending tells."""
        noun = match[2].lower()
        if noun in self._no_nouns or self._agreeing(match[1], noun) not in ({1, 2} if self.is_("pt") else {1}):
            return None
        return self.language.cardinal(int(match[1]), self._gender(noun))

    def _agreeing(self, written: str, noun: str) -> int:
        """Return the last digit of a number that agrees with a noun if it is 1 or 2; 0: it never does."""
        if len(written) > 6 or written[0] == "0" or noun in self.language.months:
            return 0
        number = int(written)
        return number % 10 if number % 100 not in {11, 12} else 0

    def _gender(self, noun: str) -> str:
        if self.is_("fr"):  # endings tell little; what has one of these is feminine almost always
            feminine = noun.rstrip("s").endswith(("tion", "sion", "té", "ette", "elle", "ance", "ence", "ure", "euse"))
            feminine = feminine or not _FRENCH_FEMININE.isdisjoint((noun, noun.rstrip("s")))
        else:
            feminine = noun.rstrip("s").endswith(("a", "ción", "sión", "dad", "ção", "são", "dade"))
            feminine = feminine and noun.rstrip("s") not in _MASCULINE
            feminine = feminine or noun in _FEMININE
        return "feminine" if feminine else "masculine"

    def _russian(self, match: re.Match[str]) -> str | None:
        number, noun = int(match[1]), match[2]
        ones = self._agreeing(match[1], noun)
        if ones not in {1, 2}:
            return None
        if ones == 2:  # the noun is in the genitive singular
            return self.language.cardinal(number, "feminine") if noun.endswith(("ы", "и")) else None
        endings = {"а": "feminine", "я": "feminine", "о": "neuter", "е": "neuter"}
        return self.language.cardinal(number, endings.get(noun[-1], "masculine"))

    def _german_one(self, match: re.Match[str]) -> str | None:
        """Return *ein* or *eine* before a noun, as far as its ending tells; *Seite 1 Absatz* has a number."""
        before = match.string[: match.start()].split()
        if before and before[-1].rstrip(".").lower() in _GERMAN_NUMBERED:
            return None
        noun = match[1]
        feminine = noun.endswith(_GERMAN_FEMININE_ENDINGS) or noun.lower() in _GERMAN_FEMININE
        return "eine" if feminine and noun.lower() not in _GERMAN_NOT_FEMININE else "ein"

    def _polish_one(self, match: re.Match[str]) -> str | None:
        noun = match[1]
        if noun in self.language.months or not noun.endswith(("a", "o", "e", "ę")):
            return None
        return "jedna" if noun.endswith("a") else "jedno"

    def _english_plural(self, match: re.Match[str]) -> str:
        said = self.language.cardinal(int(match[1] or match[2]))
        return f"{said.removesuffix('y')}ies" if said.endswith("y") else f"{said}s"

    def _digits(self, match: re.Match[str]) -> str:
        return f"{match[1]} {self.language.digits(match[2])}"

    def _german_times(self, match: re.Match[str]) -> str:
        number = int(match[1])
        return f"{'ein' if number == 1 else self.language.cardinal(number)}mal"

    def _times(self) -> list[Rule]:
        if self.language.name not in _TIMES:
            return []
        return [rule(rf"{START}(\d+(?:[.,]\d+)?)x(?=[\s.,;:!?]|\Z)", self._so_often(_TIMES[self.language.name]))]

    def _so_often(self, word: str) -> Callable[[re.Match[str]], str]:
        return lambda match: f"{self.language.number(match[1])} {word}"


_MASCULINE_WORDS = (
    "día dia problema sistema programa mapa tema idioma clima planeta poeta cometa grama quilograma kilograma"
    " drama telegrama diagrama esquema lema dilema poema síntoma sintoma fantasma turista artista cura cinema"
)
_FEMININE_WORDS = (
    "vez veces mujer mujeres noche noches tarde tardes clase clases llave llaves calle calles parte partes luz"
    " luces flor flores voz voces mano manos mão mãos foto fotos serie series frase frases noite noites vezes"
    " mulher mulheres série séries chave chaves luzes notte chiave classe"
)
_FRENCH_FEMININE_WORDS = (
    "fois heure minute seconde journée année semaine personne femme fille maison voiture page ligne chose ville"
    " rue table chaise porte pomme bouteille tasse livre tonne histoire langue lettre photo main place route école"
    " famille partie carte chambre classe question réponse image vidéo île nuit mer fleur vache chatte tête jambe"
)
_MASCULINE = frozenset(_MASCULINE_WORDS.split())
_FEMININE = frozenset(_FEMININE_WORDS.split())
_FRENCH_FEMININE = frozenset(_FRENCH_FEMININE_WORDS.split())
_GERMAN_FEMININE_ENDINGS = ("ung", "heit", "keit", "schaft", "ion", "tät", "ik", "ur", "e", "in")
_GERMAN_FEMININE_WORDS = (
    "frau person stadt nacht hand tür mark mutter tochter schwester zeit art zahl wand bank kuh maus gabel insel regel"
    " tafel kartoffel schüssel feder nummer leiter mauer butter feier schulter zwiebel nadel wurzel firma"
)
_GERMAN_NOT_FEMININE_WORDS = (
    "name junge kunde kollege käse hase löwe ende auge gebäude interesse buchstabe gedanke affe bote erbe franzose"
    " russe zeuge neffe experte kaffee tee see café komitee verein kind termin benzin berlin wein stein bein schein"
    " magazin medizin gewinn beginn sinn zoll abitur uhr jahre tage stück"
)
_GERMAN_NUMBERED_WORDS = (
    "kapitel seite platz teil band nummer nr klasse liga rang stufe level phase runde zimmer raum punkt artikel absatz"
    " paragraf paragraph formel typ version"
    " gleis linie zone bezirk gruppe abbildung tabelle szene akt staffel folge aufgabe"
    " übung lektion frage schritt option variante position saison abs art s zu gegen bis und oder mal plus minus komma"
)
_GERMAN_FEMININE = frozenset(_GERMAN_FEMININE_WORDS.split())
_GERMAN_NOT_FEMININE = frozenset(_GERMAN_NOT_FEMININE_WORDS.split())
_GERMAN_NUMBERED = frozenset(_GERMAN_NUMBERED_WORDS.split())
