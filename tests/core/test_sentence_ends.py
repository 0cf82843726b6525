"""Where sentences end: sentences of all languages that providers speak, joined and taken apart again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from realtts.text import blocks, pieces, sentences

DATA = Path(__file__).parent / "data"
UNSPACED = {"zh", "yue", "ja"}


def cases() -> dict[str, list[list[str]]]:
    """Return lists of sentences, per language, from all files."""
    listed: dict[str, list[list[str]]] = {}
    for path in sorted(DATA.glob("sentence_ends_*.json")):
        for language, entries in json.loads(path.read_text(encoding="utf-8")).items():
            listed.setdefault(language, []).extend(entry[1:] for entry in entries)
    return listed


CASES = cases()

ABBREVIATED = {
    "ranks": ("en", "Adm. Byrd, Brig. Holt, Cpl. Frost and Maj. Gen. Ames met in Ft. Worth."),
    "Latin": ("en", "They ate fruit, viz. Apples, cf. Smith, ibid. p. 9, and so on."),
    "initials": ("en", "The poems of T. S. Eliot and e. e. cummings are short."),
    "months": ("de", "Vom 3. Jan. bis 24. Dez. und am 2. Febr. ist zu."),
    "ordinals": ("de", "Am 3. Mai, dem 2. Sonntag, spielt die 1. Mannschaft."),
    "Spanish hours": ("es", "Salió a las 9 a. m. del martes y volvió a las 5 p. m. del jueves."),
    "Vietnamese titles": ("vi", "PGS.TS. Nguyễn Văn Bình, ThS. Lan và BS. Hoa ở TP. Đà Nẵng."),
    "Russian": ("ru", "Т.е. акад. Павлов жил на ул. Мира, д. 5, кв. 7, напр. Летом."),
    "Hindi": ("hi", "डॉ. शर्मा, प्रो. वर्मा और एम. एस. धोनी मिले।"),
    "Polish": ("pl", "Por. Kowalski, ul. Długa 5, np. Jutro, tzn. Jan."),
    "addresses": ("en", "Write to Ann.B@Mail.Example.Org or see https://Docs.Example.Org/A.B?c=D.E now."),
    "files": ("en", "Rename Report.Final.Docx to notes.txt and run setup.Py today."),
    "brackets": ("en", "The ship (cf. The Log, vol. 2) sank."),
}
"""Texts that are one sentence each."""


@pytest.mark.parametrize("language", CASES)
def test_sentences_come_back(language: str) -> None:
    """Joined by a space, or by nothing where the language writes none."""
    for expected in CASES[language]:
        text = ("" if language in UNSPACED else " ").join(expected)
        assert [text[start:end] for start, end in sentences(text, language)] == expected


@pytest.mark.parametrize(("language", "text"), ABBREVIATED.values(), ids=ABBREVIATED)
def test_abbreviations_end_no_sentence(language: str, text: str) -> None:
    """However many stand in it."""
    assert sentences(text, language) == [(0, len(text))]


@pytest.mark.parametrize("language", [None, "en", "en-GB", "zz", "ja"])
def test_words_in_another_script_follow_its_rules(language: str | None) -> None:
    """Without a language, too."""
    text = "Т.е. А. С. Пушкин жил на ул. Мира. Он писал."
    assert [text[start:end] for start, end in sentences(text, language)] == [
        "Т.е. А. С. Пушкин жил на ул. Мира.",
        "Он писал.",
    ]


@pytest.mark.parametrize("join", ["\n", "\r\n", " \n ", "\u00a0", "\u2009", "  "], ids=repr)
def test_any_white_space_parts_sentences(join: str) -> None:
    """A line's end is white space like any other."""
    text = join.join(["He met Dr. Lee.", "They left.", "Why?"])
    assert [text[start:end] for start, end in sentences(text)] == ["He met Dr. Lee.", "They left.", "Why?"]


def test_the_language_reaches_pieces_and_blocks() -> None:
    """Both cut where the sentences of that language end."""
    text = "Er kam am 3. Mai an. Sie kam am 4. Juni an."
    found = pieces(text, 25, "de")
    assert [text[piece.start : piece.end] for piece in found] == ["Er kam am 3. Mai an.", "Sie kam am 4. Juni an."]
    assert next(blocks(["Das war am 3. Mai. Und dann kam sie"], 30, "de")) == "Das war am 3. Mai. "


@given(st.lists(st.sampled_from([entry for entries in CASES.values() for entry in entries]), min_size=1, max_size=6))
def test_paragraphs_do_not_change_each_other(chosen: list[list[str]]) -> None:
    """The sentences of a text are those of its paragraphs."""
    texts = [" ".join(entry) for entry in chosen]
    whole = "\n\n".join(texts)
    apart = [text[start:end] for text in texts for start, end in sentences(text)]
    assert [whole[start:end] for start, end in sentences(whole)] == apart
