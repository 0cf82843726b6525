"""Languages by code or name: which of a provider's tags is meant, and which one was probably meant.

Names and codes come from two tables of CLDR's, because the libraries that have them bring 20 to 40 MB.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.errors import closest, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["closest_language", "language_tag", "resolve_language"]

_TAG = re.compile(r"[a-z]{2,4}(-[a-z0-9]{1,8})*")
_ENCODING = re.compile(r"[.@].*")
"""What stands behind a locale's tag: ``de_DE.UTF-8``, ``sr_RS@latin``."""

_SAME = (("no", "nb"), ("zh", "cmn"), ("sh", "hbs"), ("fil", "tl"), ("cmn", "zh-cmn"), ("yue", "zh-yue"))
"""Codes beside those of the table that mean one language to those who give them."""

_EXTENDED = re.compile(r"zh-(cmn|yue)(?=-|$)")
"""Tags of the old form, in which Chinese stands before one of its languages."""

_WORD = re.compile(r"[^\W_]+")
_FILLER = frozenset({"language", "the", "spoken"})


def resolve_language(language: str, tags: Iterable[str], names: Iterable[tuple[str, str]] = ()) -> str | None:
    """Return the one of a provider's tags that a caller means; None: it does not speak that language.

    A language is given by a BCP 47 tag, a code of ISO 639, a locale (``de_DE.UTF-8``) or a name, in English or its own
    words, with a region or without. What the provider lacks of a tag's end, such as its region, is dropped.

    Args:
        language: What was asked for.
        tags: The provider's, as it spells them.
        names: Upstream's own names, as pairs: a name and the tag.
    """
    listed = {tag.lower(): tag for tag in reversed(tuple(tags))}
    if _plain(language) in listed:
        return listed[_plain(language)]
    own = {_folded(name): tag for name, tag in names}.get(_folded(language))
    if own is not None:
        return own
    wanted = _tag_of(language)
    if wanted is None:
        return None
    for tag in _readings(wanted):
        if tag in listed:
            return listed[tag]
    if "-" in wanted or _plain(language) in _tables().codes:
        return None
    # A code is taken by its word; a name means any region: the only one that there is will do.
    regional = {listed[tag] for tag in listed if tag.partition("-")[0] in _same(wanted)}
    return regional.pop() if len(regional) == 1 else None


def language_tag(language: str) -> str:
    """Return the BCP 47 tag of a language by code or name, in lower case; what is not known stays as it is.

    Args:
        language: ``"English"``, ``"eng"``, ``"en_US.UTF-8"``.
    """
    tag = _tag_of(language)
    return language if tag is None else tag


def closest_language(language: str, tags: Iterable[str], names: Iterable[tuple[str, str]] = ()) -> str:
    """Return ``" (did you mean 'pt-br'?)"`` for a language, or an empty string.

    A code of two or three letters is a language of its own, not a misspelling of another one: only the same language
    with another region is offered for it. For a misspelt name the tag is offered whose name is nearest.

    Args:
        language: What was asked for.
        tags: What there is.
        names: Upstream's own names, as pairs: a name and the tag.
    """
    tags = list(tags)
    tag = _tag_of(language)
    if tag is None and not re.match(r"[a-z]{2,3}($|[-_])", language.strip().lower()):
        offered = {name: each for each in tags for name in _names_of(each)} | dict(names)
        near = nearest(language, offered)
        return f" (did you mean {offered[near]!r}, {near}?)" if near is not None else closest(language, tags)
    primary = (tag or _plain(language)).partition("-")[0]
    same = [each for each in tags if each.lower().partition("-")[0] in _same(primary)]
    return closest(tag or language, same) if same else ""


def _readings(tag: str) -> Iterator[str]:
    """Yield a tag, and what is left of it when its script, its end and then more is dropped, by every code."""
    while tag:
        primary, hyphen, rest = tag.partition("-")
        scriptless = re.sub(r"^[a-z]{4}(-|$)", "", rest)
        for code in _same(primary):
            yield f"{code}{hyphen}{rest}"
            if scriptless != rest:
                yield f"{code}-{scriptless}".rstrip("-")
        tag = tag.rpartition("-")[0]


def _tag_of(language: str) -> str | None:
    """Return the tag of a code or name, in lower case and by the shortest code; None: it is neither."""
    plain = _EXTENDED.sub(r"\1", _plain(language))
    if _TAG.fullmatch(plain):
        primary, hyphen, rest = plain.partition("-")
        if primary in _tables().codes:
            # A name with a region, such as "lao-la", reads as a tag too, and means the same.
            return f"{_tables().codes[primary][0]}{hyphen}{rest}"
    named = _by_name(language)
    # A code that the table lacks: a provider may have it.
    return named or (plain if _TAG.fullmatch(plain) and len(plain.partition("-")[0]) <= 3 else None)


def _plain(language: str) -> str:
    return _ENCODING.sub("", language.strip()).lower().replace("_", "-")


def _by_name(language: str) -> str | None:
    """Return the tag of a name, alone or with a region or another name beside it: ``Chinese (Mandarin)``."""
    tables, words = _tables(), [word for word in _folded(language).split() if word not in _FILLER]
    whole = tables.names.get(" ".join(words))
    if whole is not None:
        return whole
    for cut in range(len(words) - 1, 0, -1):
        for name, rest in ((words[:cut], words[cut:]), (words[-cut:], words[:-cut])):
            tag = tables.names.get(" ".join(name))
            if tag is not None and (more := _narrowed(tag, " ".join(rest))) is not None:
                return more
    return None


def _narrowed(tag: str, rest: str) -> str | None:
    """Return the tag with what stands beside the language's name: a region, a script or a language inside it."""
    tables = _tables()
    if rest in tables.regions:
        return f"{tag}-{tables.regions[rest]}"
    beside = tables.names.get(rest) or tables.names.get(f"{rest} {' '.join(_names_of(tag)[:1])}".lower())
    return beside if beside is not None and set(_same(tag)) & set(_same(beside.partition("-")[0])) else None


def _names_of(tag: str) -> Sequence[str]:
    """Return a language's names, the English one first; none where the table has none."""
    titles, code = _tables().titles, tag.lower()
    return titles.get(code) or titles.get(_tables().codes.get(code, [""])[0]) or ()


def _same(code: str) -> Sequence[str]:
    """Return a code, and the others of the same language."""
    others = [each for pair in _SAME if code in pair for each in pair]
    codes = [more for each in (code, *others) for more in _tables().codes.get(each, (each,))]
    return list(dict.fromkeys([code, *codes]))


class _Tables:
    """Languages and regions by code and name.

    Attributes:
        codes: Code -> all codes of that language, the usual one first.
        titles: Tag -> names.
        names: Folded name -> tag.
        regions: Folded name or code -> code.
    """

    def __init__(self) -> None:
        codes: dict[str, list[str]] = {}
        titles: dict[str, list[str]] = {}
        names: dict[str, str] = {}
        regions: dict[str, str] = {}
        for tag, others, called in _rows("languages.tsv", 3):
            if "-" not in tag:
                every = [tag, *others.split()]
                for code in every:
                    if code not in codes or code == tag:
                        codes[code] = every
            titles[tag] = called.split("; ")
            for name in titles[tag]:
                names.setdefault(_folded(name), tag)
        for code, called in _rows("regions.tsv", 2):
            for name in (code, *called.split("; ")):
                regions.setdefault(_folded(name), code)
        self.codes: Mapping[str, list[str]] = codes
        self.titles: Mapping[str, list[str]] = titles
        self.names: Mapping[str, str] = names
        self.regions: Mapping[str, str] = regions


@functools.cache
def _tables() -> _Tables:
    return _Tables()


def _rows(file: str, columns: int) -> Iterator[list[str]]:
    for line in (Path(__file__).with_name("data") / file).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield (line.split("\t") + [""] * columns)[:columns]


def _folded(name: str) -> str:
    """Return a name without case, marks over letters and punctuation."""
    plain = name.casefold()
    if not plain.isascii():
        plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    return " ".join(_WORD.findall(plain))
