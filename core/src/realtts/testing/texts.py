"""Texts in many languages for tests of front ends, and the account of what becomes of each of their characters."""

from __future__ import annotations

import random
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.errors import UnspeakableText
from realtts.registry.extensions import Extensions
from realtts.settings import Settings
from realtts.synthesis.plan import Ask, make_plan
from realtts.synthesis.vocabulary import unread_before_load
from realtts.text.unread import is_silent, unread_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.spec import Checkpoint, ProviderSpec

__all__ = ["PLAIN", "TextAccount", "account_of", "texts_of"]

PLAIN: dict[str, tuple[str, ...]] = {
    "ar": ("ذهب الولد إلى المدرسة صباحا.", "كيف حالك اليوم؟"),
    "bg": ("Момчето отиде на училище рано.", "Как си днес?"),
    "cs": ("Příliš žluťoučký kůň pěl ďábelské ódy.", "Jak se dnes máš?"),
    "da": ("Drengen gik tidligt i skole.", "Hvordan har du det i dag?"),
    "de": ("Die Mädchen hören schöne Lieder.", "Wie geht es dir heute?"),
    "el": ("Το παιδί πήγε νωρίς στο σχολείο.", "Τι κάνεις σήμερα;"),
    "en": ("The boy went to school early.", "How are you today? I'm fine, thanks."),
    "es": ("El niño comió piñas por la mañana.", "¿Cómo estás hoy?"),
    "fa": ("پسر صبح زود به مدرسه رفت.", "امروز حالت چطور است؟"),
    "fi": ("Poika meni aikaisin kouluun.", "Mitä sinulle kuuluu tänään?"),
    "fr": ("L’été, un garçon naïf joue dehors.", "Comment ça va aujourd'hui ?"),
    "he": ("הילד הלך מוקדם לבית הספר.", "מה שלומך היום?"),
    "hi": ("लड़का सुबह जल्दी स्कूल गया।", "आज आप कैसे हैं?"),
    "hu": ("A fiú korán ment iskolába.", "Hogy vagy ma?"),
    "it": ("Il ragazzo è andato presto a scuola.", "Come stai oggi?"),
    "ja": ("少年は朝早く学校へ行きました。", "今日はお元気ですか？"),
    "ko": ("소년은 아침 일찍 학교에 갔습니다.", "오늘 어떻게 지내세요?"),
    "ms": ("Budak itu pergi ke sekolah awal.", "Apa khabar hari ini?"),
    "nb": ("Gutten gikk tidlig på skolen.", "Hvordan har du det i dag?"),
    "nl": ("De jongen ging vroeg naar school.", "Hoe gaat het vandaag met je?"),
    "pl": ("Zażółć gęślą jaźń.", "Jak się dzisiaj masz?"),
    "pt": ("A irmã não comeu o pão.", "Como você está hoje?"),
    "ro": ("Băiatul a mers devreme la școală.", "Ce mai faci astăzi?"),
    "ru": ("Мой ёж рано ушёл в школу.", "Как ты сегодня?"),
    "sk": ("Chlapec išiel skoro do školy.", "Ako sa dnes máš?"),
    "sv": ("Pojken gick tidigt till skolan.", "Hur mår du i dag?"),
    "sw": ("Mvulana alikwenda shuleni mapema.", "Habari ya leo?"),
    "ta": ("சிறுவன் காலையில் பள்ளிக்குச் சென்றான்.", "இன்று எப்படி இருக்கிறீர்கள்?"),
    "th": ("เด็กชายไปโรงเรียนแต่เช้า", "วันนี้สบายดีไหม"),
    "tr": ("Çocuk öğleden sonra güneşe çıktı.", "Bugün nasılsın?"),
    "uk": ("Хлопчик рано пішов до школи.", "Як ти сьогодні?"),
    "vi": ("Đường phố rất đông vào buổi sáng.", "Hôm nay bạn khỏe không?"),
    "zh": ("男孩一大早去了学校。", "你今天好吗？"),
}
"""Plain sentences by language: whatever speaks the language says them without a warning."""

_NUMBERS = (
    "10{s}000",
    "3.14",
    "1,234.5",
    "{m}5",
    "25 %",
    "１２３",
    "½",
    "x²",
    "H₂O",
    "①",
    "Ⅳ",
    "1ˢᵗ",
    "10⁻³",
    "٣٤",
    "१२",
)
_DATES = ("2026-11-30", "30.11.2026", "11/30/26", "08:15", "24:00", "1990s")
_PRICES = ("€5", "$10.99", "5 €", "£3", "￥１００", "₹50", "₫", "₿2", "5¢")
_UNITS = ("5 km/h", "20 °C", "20 ℃", "3 ㎏", "5 m²", "10 µm", "5‰", "7″", "100 kWh", "2 × 3", "5 − 3", "a ± b")
_NAMES = (
    "https://example.org/a?b=c#d",
    "me@example.org",
    "C:\\temp",
    "O'Neil",
    "Łódź",
    "São Paulo",
    "AT&T",
    "#tag",
    "@me",
)
_MIXED = (
    *("Привет", "你好", "مرحبا", "γειά", "नमस्ते", "さようなら", "안녕", "ﬁn", "𝐁𝐨𝐥𝐝", "Ｗide", "ⓐⓑ", "h̶i̶"),
    *("😀", "👨\u200d👩\u200d👧", "❤️", "🇩🇪", "1️⃣", "™", "→", "\ue000"),
)
_SPACES = (
    "\u0020\u00a0\u1680\u2000\u2002\u2003\u2007\u2009\u200a\u202f\u205f\u3000\u200b\u2060\ufeff\u00ad\u200e\u200f\t\n"
)
_DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u30fc\uff0d"
_QUOTES = ("“{}”", "„{}“", "«{}»", "‘{}’", "({})", "「{}」", '"{}"', "[{}]", "{}…", "¿{}?", "{}！")


@dataclass(frozen=True)
class TextAccount:
    """The fate of every character of a text.

    Attributes:
        text: The caller's text.
        given: What the provider's model gets of it, piece by piece, before its own vocabulary leaves anything out.
        said: Places in the caller's text of which the model gets something.
        unread: Places that are warned of.
        lost: Places that are neither, and not silent: there must be none.
    """

    text: str
    given: tuple[str, ...]
    said: frozenset[int]
    unread: frozenset[int]
    lost: tuple[int, ...]


def texts_of(language: str, count: int, words: Sequence[str] = ()) -> Iterator[str]:
    """Yield texts of a language with everything that people write in them; the same ones for the same arguments.

    Args:
        language: Code of a language, one of `PLAIN`'s or another.
        count: How many.
        words: More words of the language.
    """
    dice = random.Random(f"texts of {language}")
    sentences = PLAIN.get(language, PLAIN["en"])
    kinds = (_NUMBERS, _DATES, _PRICES, _UNITS, _NAMES, _MIXED)
    for number in range(count):
        said = [*dice.choice(sentences).split(" "), *dice.sample(words, min(len(words), 4))]
        for _ in range(dice.randint(1, 4)):
            item = (
                dice.choice(dice.choice(kinds))
                .replace("{s}", dice.choice(_SPACES[:12]))
                .replace("{m}", dice.choice(_DASHES))
            )
            said.insert(dice.randint(0, len(said)), item)
        at = dice.randrange(len(said))
        said[at] = dice.choice(_QUOTES).replace("{}", said[at])
        text = "".join(f"{word}{_between(dice)}" for word in said)
        yield unicodedata.normalize("NFD", text) if number % 3 == 2 else text


def account_of(
    spec: ProviderSpec, checkpoint: Checkpoint | None, text: str, language: str | None
) -> TextAccount | None:
    """Return what becomes of each character of a text before a model; no model is loaded.

    Args:
        spec: The provider.
        checkpoint: Its weights, for the vocabulary.
        text: Any text.
        language: A tag of the spec's languages, or None.

    Returns:
        None: The provider does not tell what it cannot say.

    Raises:
        UnspeakableText: Nothing of it can be said.
    """
    ask = Ask(voice=None, language=language, seed=1, speed=1.0, options={})
    plan = make_plan(text, ask, spec=spec, settings=Settings(), extensions=Extensions())
    said: set[int] = set()
    unread: set[int] = set()
    for piece in plan.pieces:
        given = piece.request.text
        try:
            found = unread_before_load(spec, checkpoint, given, language)
        except UnspeakableText:
            if len(plan.pieces) == 1:
                raise
            found = unread_words(given)
        if found is None:
            return None
        gone = {at for each in found for at in range(*each.span)}
        for at in range(len(given)):
            places = range(*plan.to_original((piece.start + at, piece.start + at + 1)))
            (unread if at in gone else said).update(places)
    lost = (at for at in range(len(text)) if at not in said | unread and not _has_no_sound(text, at))
    given_texts = tuple(piece.request.text for piece in plan.pieces)
    return TextAccount(text, given_texts, frozenset(said), frozenset(unread), tuple(lost))


def _between(dice: random.Random) -> str:
    if dice.random() < 0.75:
        return " "
    if dice.random() < 0.5:
        return dice.choice(_SPACES)
    return f" {dice.choice(_DASHES)} "


def _has_no_sound(text: str, at: int) -> bool:
    """Tell whether a character is of a class that is silent wherever it stands: see the documentation's list."""
    char = text[at]
    # Selectors of a form, lines over letters, and fillers.
    return is_silent(char) or unicodedata.category(char) in {"Mn", "Me"} or char in "\u115f\u1160\u3164\uffa0"
