"""Whether a mark in a text ends a sentence.

A full stop is the hard one. It ends a sentence unless a small letter follows, or what stands before it is an
abbreviation, an initial or an ordinal. These can end a sentence too ("in the U.S. He left"): they do if the next word is
one that begins sentences and names do not contain.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.text.abbreviations import ORDINAL_STOP, SYLLABIC, abbreviations, script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts.text.abbreviations import Abbreviations

__all__ = ["CLOSERS", "Paragraph", "sentence_ends"]

_SCRIPT_MARKS = "\u0589\u06d4\u0700-\u0702\u0964\u0965\u104b\u1362\u1367\u1368\u166e\u17d4\u17d5\u1803\u1809\ua60e\uaaf2"
_WIDE_MARKS = "。．｡！？\u061f\ua60f\ua6f3\ua6f7"
_MARKS = f".!?…‥\u203c\u2047-\u2049\u203d{_SCRIPT_MARKS}{_WIDE_MARKS}"
_CERTAIN = re.compile(f"[{_SCRIPT_MARKS}{_WIDE_MARKS}]")
"""Marks that end a sentence with and without white space behind them."""

CLOSERS = r"[”’»›)\]}」』）】》〉]|[\"'“‘«](?!\w)"
_FOOTNOTE = r"\[\d{1,3}\]|[¹²³⁰-⁹]+|[*†‡](?!\w)"
_END = re.compile(
    rf"(?P<mark>(?:\.(?:[ \u00a0]\.){{2,}}|[{_MARKS}])[{_MARKS}]*)"
    rf"(?P<close>(?:{_FOOTNOTE}|{CLOSERS})*(?:[ \u00a0\u202f](?:[”’»›)\]}}」』）】》〉]|[\"']+)(?=\s|$))*)"
)
_GREEK_END = re.compile(r"(?P<mark>[;\u037e])(?P<close>[»”\"')]*)(?=\s|$)")
_ARMENIAN_END = re.compile(r"(?<=[\u0561-\u0587])(?P<mark>:)(?P<close>[»”\"')]*)(?=\s|$)")

_OPENERS = frozenset("\"'“”‘’„‚«»‹›([{「『（【《〈¿¡*_#~—–-•·…ʻʼ†‡")
_TOKEN_EDGE = re.compile(r"(?<![\u05d0-\u05ea])\"|[\s“”„«»‹›(\[{<>—–,;:!?…/]")
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d+")
_DATE = re.compile(r"\d\. \d{1,2}$")
_ROMAN = re.compile(r"[IVXLCDM]{1,7}")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,4}[.-]+)+[^\W\d_]{1,5}")
_INDIC_DOTTED = re.compile(r"(?:[^\s.\d]{1,6}\.)+[^\s.\d]{1,6}")
_BEGINNING = re.compile(r"[a-z]{1,2}[A-Z]|['’][a-z]{1,2}\s|[a-zа-я]\)\s")
_ELIDING = frozenset(("ca", "fr", "ga", "ht", "it", "lb", "mt"))
_ELISION = re.compile(r"[^\W\d_]{1,5}['’](?=\w{2})")
_NUMBER_PREFIX = re.compile(r"\d+[-‐‑](?=[^\W\d_])")
_UNITS = frozenset(("кг", "км", "мм", "мл", "кВт", "Гц", "km", "cm", "mm", "kg", "mg", "ml", "cl", "dl", "kW", "kWh", "Hz", "kHz", "MHz", "GHz", "dB", "GB", "MB"))
_ENDINGS = ("str", "nr")
"""Of compounds: "Goethestr.", "Hausnr."."""

_SOUNDS = re.compile(r"(?i)(?:h+m+|m+h*m*|s+h+|p+s+t+|b+r+|g+r+|t+s+k+|z+|p+f+t*)")
_VOWELS = frozenset("aeiouyøæœəıαεηιουωаеёиоуыэюяіїєүұөәӑӗ")
_TIMES = frozenset(("a.m", "p.m", "A.M", "P.M", "am", "pm"))
_AFTER_TIME = frozenset(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september "
    "october november december est edt pst pdt cst cdt mst gmt utc cet bst eastern pacific central mountain".split()
)
_PARTICLES = frozenset("de del la le les los las da do dos das di du el van von der den ter".split())
_SUFFIXES = frozenset(
    "com org net edu gov de uk io ai js ts py rs go cpp java txt pdf doc docx html htm xml json yaml toml csv zip gz exe png "
    "jpg mp3 wav flac ogg md cfg ini log sh sql css php asp aspx".split()
)
_NUMBERED = frozenset(
    "No no NO Nos nos Nr nr Núm núm Num num N.º n.º Vol vol Vols vols Fig fig Figs figs P p Pp pp Ch ch Chap chap Cap cap "
    "Sec sec Art art Arts arts Eq eq Eqs eqs Pt pt Op op Bd bd Abb abb Kap kap S s Ca ca Tab tab Ver ver v St st Approx approx "
    "Min min Max max Ex ex App app Str str Č č Št št Br br Fn n nn Abs Ziff Par par Para para Col col lin ll l".split()
)
_LONGEST_WORD = 48
_LOOK_AHEAD = 80


@dataclass(frozen=True)
class Paragraph:
    """A paragraph in which ends are looked for.

    Attributes:
        text: The whole text.
        start: First character.
        end: One past the last one.
        language: Primary language.
        capitals: Whether it has any; where it has none, small letters begin sentences.
    """

    text: str
    start: int
    end: int
    language: str
    capitals: bool

    @classmethod
    def of(cls, text: str, start: int, end: int, language: str) -> Paragraph:
        """Look at a stretch of a text."""
        part = text[start:end]
        return cls(text, start, end, language, part.lower() != part)


@dataclass(frozen=True)
class _Next:
    """What stands behind a mark.

    Attributes:
        char: The first letter, digit or sign behind white space, quotes and brackets; empty at the end.
        word: The word that begins with it.
        initial: The word is one letter with a full stop or hyphen behind it.
        opened: An inverted mark, which only begins sentences, stands before it.
    """

    char: str
    word: str
    initial: bool
    opened: bool


def sentence_ends(paragraph: Paragraph) -> Iterator[int]:
    """Yield where sentences end, each behind the mark and the quotes and brackets that it closes."""
    last = paragraph.start
    for match in _marks(paragraph):
        if match.end() < paragraph.end and _ends(paragraph, match, last):
            last = match.end()
            yield last


def _marks(paragraph: Paragraph) -> Iterator[re.Match[str]]:
    patterns = [_END]
    if paragraph.language in {"el", "grc"}:
        patterns.append(_GREEK_END)
    if paragraph.language in {"hy", "hyw"}:
        patterns.append(_ARMENIAN_END)
    span = paragraph.start, paragraph.end
    if len(patterns) == 1:
        return _END.finditer(paragraph.text, *span)
    found = [match for pattern in patterns for match in pattern.finditer(paragraph.text, *span)]
    return iter(sorted(found, key=re.Match.start))


def _ends(paragraph: Paragraph, match: re.Match[str], last: int) -> bool:
    text, mark, at = paragraph.text, match["mark"], match.end()
    if _CERTAIN.search(mark):
        return _certain_end(text, match, paragraph.end)
    if not text[at].isspace():
        return _ends_unspaced(text, match, paragraph)
    if match.re is not _END:
        return True
    following = _next(text, at, paragraph.end)
    if not following.char:
        return False
    if _is_small(following.char) and not _begins_small(text, at, following) and paragraph.capitals:
        return False
    if mark == ".":
        return _ends_at_stop(paragraph, match, last, following)
    if "." in mark or "…" in mark or "‥" in mark:
        return _ends_at_ellipsis(paragraph, match, following)
    if text[match.start() - 1 : match.start()] in "([" and match["close"][:1] in {")", "]"}:
        return False
    return text[max(0, match.start() - 5) : match.start()] != "Yahoo" or _starts(paragraph, following)


def _certain_end(text: str, match: re.Match[str], end: int) -> bool:
    at, before = match.end(), text[match.start() - 1 : match.start()]
    after = text[at : at + 1]
    if after in "のをへ" and after:  # a particle: the mark belongs to a name
        return False
    if after in "，、；：,;:" or (before.isdigit() and after.isdigit()):
        return False
    if match["close"] and match["close"][-1] in "”’」』\"'":
        rest = text[at : min(end, at + 12)].lstrip()
        if rest[:1] in "とっ" or re.match(r"라고|하고|라는|고 ", rest):
            return False
        if re.match(r"\w{1,5}?[说說问問道喊叫答笑話话]", rest) and not re.match(r"\w{0,4}[。，]", rest[:1]):
            return False
    following = _next(text, at, end)
    return not (following.char and _is_small(following.char) and after.isspace())


def _ends_unspaced(text: str, match: re.Match[str], paragraph: Paragraph) -> bool:
    """Tell whether white space is missing behind a mark ("end.Next"), unlike in a name ("ASP.NET")."""
    start, at = match.start(), match.end()
    before, after = text[start - 1 : start], text[at : at + 1]
    if match["mark"] not in {".", "!", "?"} and not set(match["mark"]) <= {"!", "?"}:
        return False
    if "\u3041" <= before <= "\u9fff":
        return "\u3041" <= after <= "\u9fff"
    if match["close"] and match["mark"] != "." and re.match(r"라고|하고", text[at : at + 2]):
        return False
    word = _token(text, paragraph.start, start)
    rest = _TOKEN_EDGE.split(text[at : at + _LOOK_AHEAD], maxsplit=1)[0].rstrip(".'’)]}*")
    if match["close"]:
        return False
    plain = len(word) > 1 and word.isalpha() and word[-2:].islower() and word != "www"
    return plain and rest.isalpha() and rest.istitle() and rest.lower() not in _SUFFIXES


def _ends_at_ellipsis(paragraph: Paragraph, match: re.Match[str], following: _Next) -> bool:
    text, start, mark = paragraph.text, match.start(), match["mark"]
    before = text[start - 1 : start] if start > paragraph.start else " "
    if before in "([{" and match["close"][:1] in {")", "]", "}"}:
        return False
    if following.char.isdigit():
        return not before.isdigit()
    if before.isspace():
        return mark.count(".") > 3 or ("!" in mark or "?" in mark) or (mark != ". . ." and _starts(paragraph, following))
    return True


def _ends_at_stop(paragraph: Paragraph, match: re.Match[str], last: int, following: _Next) -> bool:
    text, start = paragraph.text, match.start()
    word = _NUMBER_PREFIX.sub("", _token(text, last, start))
    if paragraph.language in _ELIDING:
        word = _ELISION.sub("", word)
    if not word or (match["close"][:1] not in {"", "'", "’"} and _closes_sentence(match["close"])):
        return True
    if _NUMBER.fullmatch(word):
        return _ends_at_number(paragraph, start, last, word, following)
    if not word[-1].isalpha() and not unicodedata.category(word[-1]).startswith("M"):
        return not (following.char.isdigit() and word in _NUMBERED) and word not in {"N°", "n°", "№", "N.º", "n.º", "Nº"}
    listed = abbreviations(paragraph.language, word[0])
    if following.char.isdigit():
        return not (word in _NUMBERED or _is_abbreviation(word, listed, paragraph.language) or word in listed.words)
    if not following.char.isalpha():
        return not (_is_abbreviation(word, listed, paragraph.language) and word not in listed.last)
    if _is_small(following.char):  # a text without capitals, or a name such as iPhone
        return not _is_abbreviation(word, listed, paragraph.language) and (paragraph.capitals or word not in listed.words)
    return _ends_before_capital(paragraph, word, listed, last, following)


def _ends_before_capital(
    paragraph: Paragraph, word: str, listed: Abbreviations, last: int, following: _Next
) -> bool:
    cased = following.char.isupper()
    particle = following.word.lower() in _PARTICLES
    if word in listed.titles and (len(word) == 1 or word[0].isupper() or particle or not _starts(paragraph, following)):
        return False
    if word in _NUMBERED and _ROMAN.fullmatch(following.word) and following.word != "I":
        return False
    if not _is_abbreviation(word, listed, paragraph.language):
        if paragraph.language in ORDINAL_STOP and _ROMAN.fullmatch(word) and cased:
            return _starts(paragraph, following)
        return word not in listed.words or word[0].islower() or _starts(paragraph, following)
    if word in listed.last or (cased and word.lower() in {"a.m", "p.m"}):
        return _ends_what_goes_on(paragraph, word, last, following)
    if not cased:
        return False
    if len(word) == 1 and word.isupper() and particle:
        return False
    return _starts(paragraph, following)


def _ends_what_goes_on(paragraph: Paragraph, word: str, last: int, following: _Next) -> bool:
    """Tell whether "etc." or a time of day ends a sentence: mostly, but not one of two words."""
    if _starts(paragraph, following):
        return True
    if word.lower() in _TIMES and following.word.lower() in _AFTER_TIME:
        return False
    return len(paragraph.text[last : last + 60].split(word)[0].split()) > 2


def _ends_at_number(paragraph: Paragraph, start: int, last: int, number: str, following: _Next) -> bool:
    code = paragraph.language
    if following.char.isdigit():
        return code not in ORDINAL_STOP and code not in {"ko", "ja", "zh"}
    if code == "ko" and _DATE.search(paragraph.text, max(last, start - 8), start):
        return False
    if code not in ORDINAL_STOP or len(number) > (4 if code == "hu" else 2):
        return True
    if not following.char.isalpha():
        return True
    return _starts(paragraph, following)


def _is_abbreviation(word: str, listed: Abbreviations, language: str) -> bool:
    if word in listed.titles or word in listed.others or word in listed.last:
        return True
    if len(word) == 1:
        return _may_be_initial(word)
    if "." in word or "-" in word:
        return _is_dotted(word)
    if word.endswith(_ENDINGS):
        return True
    if language in SYLLABIC or not 2 <= len(word) <= 5 or not word[1:].islower() or word in _UNITS:
        return False
    letters = unicodedata.normalize("NFD", word.lower())
    if script(word[0]) not in {"en", "ru", "el"} or not _has_case(word[0]):
        return False
    return not any(char in _VOWELS for char in letters) and not _SOUNDS.fullmatch(word)


def _is_dotted(word: str) -> bool:
    parts = re.split(r"[.-]+", word)
    if parts[-1] in _SUFFIXES:
        return False
    if not _has_case(word[0]):
        return "." in word and _INDIC_DOTTED.fullmatch(word) is not None
    if not _DOTTED.fullmatch(word):
        return False
    return "." in word and (any(len(part) == 1 for part in parts) or all(part.isupper() for part in parts))


def _may_be_initial(char: str) -> bool:
    code = ord(char)
    return char.isalpha() and (_has_case(char) or 0x0590 <= code <= 0x077F or 0x10A0 <= code <= 0x139F)


def _closes_sentence(close: str) -> bool:
    return any(char in close for char in "\"”»“)」』")


def _starts(paragraph: Paragraph, following: _Next) -> bool:
    """Tell whether what follows begins a sentence and is no part of a name."""
    if following.opened:
        return True
    if not following.word or following.initial:
        return False
    listed = abbreviations(paragraph.language, following.word[0])
    word = following.word
    return word.lower() in listed.starters and (len(word) == 1 or word[1:].islower())


def _token(text: str, start: int, end: int) -> str:
    """Return what stands directly before a full stop, without the quotes and brackets that it begins with."""
    part = text[max(start, end - _LONGEST_WORD) : end]
    token = _TOKEN_EDGE.split(part)[-1]
    return token.lstrip("'‘’¿¡*_#~-.")


def _next(text: str, at: int, end: int) -> _Next:
    stop = min(end, at + _LOOK_AHEAD)
    opened = False
    while at < stop and (text[at].isspace() or text[at] in _OPENERS):
        opened |= text[at] in "¿¡"
        at += 1
    if at >= stop:
        return _Next("", "", initial=False, opened=opened)
    match = _WORD.match(text, at, stop)
    word = match[0] if match else ""
    initial = len(word) == 1 and text[at + 1 : at + 2] in {".", "-"}
    return _Next(text[at], word, initial, opened)


def _begins_small(text: str, at: int, following: _Next) -> bool:
    """Tell whether a name ("iPhone"), a clitic ("'s Avonds") or an item ("a) ...") begins with a small letter."""
    place = text.find(following.char, at)
    return _BEGINNING.match(text, place) is not None or (
        text[place - 1] in "'’" and _BEGINNING.match(text, place - 1) is not None
    )


def _is_small(char: str) -> bool:
    return char.islower() and _has_case(char)


def _has_case(char: str) -> bool:
    """Tell whether a script has capitals; Georgian letters count as small but begin sentences."""
    return char.lower() != char.upper() and not "\u10a0" <= char <= "\u10ff"
