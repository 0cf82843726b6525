"""Where the sentences of a paragraph end: which marks can end one, and what they close.

`realtts.text.fullstop` is about the hard one, the full stop.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realtts.text.fullstop import stop_ends
from realtts.text.words import (
    FILE_SUFFIXES,
    TOKEN_EDGE,
    begins_small,
    following,
    is_abbreviation,
    is_small,
    starts,
    token,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realtts.text.words import Following, Paragraph

__all__ = ["sentence_ends"]

_SCRIPT_MARKS = (
    "\u0589\u06d4\u0700-\u0702\u0964\u0965\u104b\u1362\u1367\u1368\u166e\u17d4\u17d5\u1803\u1809\ua60e\uaaf2"
)
_WIDE_MARKS = "。．｡！？\u061f\ua60f\ua6f3\ua6f7"
_MARKS = f".!?…‥\u203c\u2047-\u2049\u203d{_SCRIPT_MARKS}{_WIDE_MARKS}"
_CERTAIN = re.compile(f"[{_SCRIPT_MARKS}{_WIDE_MARKS}]")
"""Marks that end a sentence with and without white space behind them."""

_CLOSERS = r"[”’»›)\]}」』）】》〉]|[\"'“‘«](?!\w)"
_FOOTNOTE = r"\[\d{1,3}\]|[¹²³⁰-⁹]+|[*†‡](?!\w)"
_END = re.compile(
    rf"(?P<mark>(?:\.(?:[ \u00a0]\.){{2,}}|[{_MARKS}])[{_MARKS}]*)"
    rf"(?P<close>(?:{_FOOTNOTE}|{_CLOSERS})*(?:[ \u00a0\u202f](?:[”’»›)\]}}」』）】》〉]|[\"']+)(?=\s|$))*)"
)
_GREEK_END = re.compile(r"(?P<mark>[;\u037e])(?P<close>[»”\"')]*)(?=\s|$)")
_ARMENIAN_END = re.compile(r"(?<=[\u0561-\u0587])(?P<mark>:)(?P<close>[»”\"')]*)(?=\s|$)")
_OWN_ENDS = {"el": _GREEK_END, "grc": _GREEK_END, "hy": _ARMENIAN_END, "hyw": _ARMENIAN_END}

_SAID = re.compile(
    r"\s+(?:I|(?!(?:He|She|It|We|You|They)\b)[A-Z]\w+(?: [A-Z]\w+)?) (?:said|says|asked|asks|replied|cried|shouted|"
    r"whispered|added|answered|exclaimed|yelled|murmured|muttered|called|wondered|demanded|insisted|screamed|told|"
    r"thought)\b(?![,:]?\s[\"“'‘])"
)
"""Who spoke the words in quotes before it; with a small letter it needs no rule."""

_SAID_IN_CHINESE = re.compile(r"\w{0,4}[说說问問道喊叫答笑話话](?:道|着|著)?(?![：:，,]?[\s]?[“「『\"：:])")
_SAID_IN_JAPANESE = re.compile(r"[とっ]")
_SAID_IN_KOREAN = re.compile(r"라고|하고|라는|라며|이라|고 ")
_PARTICLES = frozenset("のをへ")
"""Behind them the mark belongs to a name (モーニング娘。の)."""


def sentence_ends(paragraph: Paragraph) -> Iterator[int]:
    """Yield where sentences end, each behind the mark and the quotes and brackets that it closes."""
    last = paragraph.start
    for match in _marks(paragraph):
        if match.end() < paragraph.end and _ends(paragraph, match, last):
            last = match.end()
            yield last


def _marks(paragraph: Paragraph) -> Iterator[re.Match[str]]:
    span = paragraph.start, paragraph.end
    own = _OWN_ENDS.get(paragraph.language)
    if own is None:
        return _END.finditer(paragraph.text, *span)
    both = [*_END.finditer(paragraph.text, *span), *own.finditer(paragraph.text, *span)]
    return iter(sorted(both, key=re.Match.start))


def _ends(paragraph: Paragraph, match: re.Match[str], last: int) -> bool:
    text, mark, at = paragraph.text, match["mark"], match.end()
    if _CERTAIN.search(mark):
        return _ends_certainly(text, match, paragraph.end)
    if not text[at].isspace():
        return _ends_unspaced(text, match, paragraph)
    if match.re is not _END:
        return True
    after = following(text, at, paragraph.end)
    if not after.char:
        return False
    if is_small(after.char) and paragraph.capitals and not begins_small(text, at, after):
        return False
    if match["close"] and match["close"][-1] in "\"”'’" and _SAID.match(text, at, paragraph.end):
        return False
    if mark == ".":
        return stop_ends(paragraph, match.start(), last, match["close"], after)
    if "." in mark or "…" in mark or "‥" in mark:
        return _ends_at_ellipsis(paragraph, match, after)
    if text[match.start() - 1 : match.start()] in "([" and match["close"][:1] in {")", "]"}:
        return False  # "(!)"
    return text[max(0, match.start() - 5) : match.start()] != "Yahoo" or starts(paragraph.language, after)


def _ends_certainly(text: str, match: re.Match[str], end: int) -> bool:
    at, before = match.end(), text[match.start() - 1 : match.start()]
    after = text[at : at + 1]
    if after in "，、；：,;:" or after in _PARTICLES or (before.isdigit() and after.isdigit()):
        return False
    if match["close"] and match["close"][-1] in "”’」』\"'":
        rest = text[at : min(end, at + 12)].lstrip()
        if any(said.match(rest) for said in (_SAID_IN_JAPANESE, _SAID_IN_KOREAN, _SAID_IN_CHINESE)):
            return False
    behind = following(text, at, end)
    return not (behind.char and is_small(behind.char) and after.isspace())


def _ends_unspaced(text: str, match: re.Match[str], paragraph: Paragraph) -> bool:
    """Tell whether white space is missing behind a mark ("end.Next"), unlike in a name ("ASP.NET")."""
    start, at, mark = match.start(), match.end(), match["mark"]
    before, after = text[start - 1 : start], text[at : at + 1]
    if mark != "." and not set(mark) <= {"!", "?"}:
        return False
    if "\u3041" <= before <= "\u9fff":
        return "\u3041" <= after <= "\u9fff"
    if match["close"]:
        return False
    word = token(text, paragraph.start, start, paragraph.language)
    if len(word) < 2 or not word.isalpha() or not word[-2:].islower() or word == "www":
        return False
    if mark == "." and is_abbreviation(word, paragraph.language):
        return False
    rest = TOKEN_EDGE.split(text[at : at + 80], maxsplit=1)[0].rstrip(".'’)]}*")
    return rest.isalpha() and rest.istitle() and rest.lower() not in FILE_SUFFIXES


def _ends_at_ellipsis(paragraph: Paragraph, match: re.Match[str], after: Following) -> bool:
    text, start, mark = paragraph.text, match.start(), match["mark"]
    before = text[start - 1 : start] if start > paragraph.start else " "
    if before in "([{" and match["close"][:1] in {")", "]", "}"}:
        return False  # "[...]"
    if after.char.isdigit():
        return not before.isdigit()
    if before.isspace() and not ("!" in mark or "?" in mark):
        return mark.count(".") > 3 or (mark != ". . ." and starts(paragraph.language, after))
    return True
