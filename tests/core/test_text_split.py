"""Sentences, pieces for a model, and blocks of a book."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, strategies as st
from tiers import by_default

from realtts.text import Piece, blocks, is_speakable, pieces, sentences

SENTENCES = {
    "plain": (None, ["One here.", "Two here!", "Three?"]),
    "one without a mark": (None, ["just some words"]),
    "titles": ("en", ["Dr. Smith met Mr. Jones.", "They left."]),
    "abbreviations": ("en", ["See e.g. this one.", "It is 5 p.m. now.", "The U.S. won."]),
    "initials": ("en", ["J. R. R. Tolkien wrote it.", "We read it."]),
    "decimals": ("en", ["It costs $5.50 or 3.14.", "Fine."]),
    "versions": ("en", ["Version v1.2.3 is out.", "Get it."]),
    "addresses": ("en", ["See https://a.b/c.d?x=1 for more.", "Mail John.Doe@Ex.Com now.", "Go to www.Foo.Bar today."]),
    "names with a dot": ("en", ["ASP.NET and Node.JS are old.", "So be it."]),
    "number": ("en", ["See No. 5 and Fig. 3 on p. 7.", "Done."]),
    "volume": ("en", ["See vol. 2. It is good."[:11], "It is good."]),
    "list": ("en", ["1. First item.", "2. Second item.", "a) Third."]),
    "letters": ("en", ["A. One.", "B. Two."]),
    "double quotes": ("en", ['He said "Hello there."', "Then he left."]),
    "curly quotes": ("en", ["“Really?” she asked.", "“No.”", "He left."]),
    "brackets": ("en", ["It was late (at night).", "We left."]),
    "ellipsis": ("en", ["Wait... Really?"[:7], "Really?", "Yes… no."]),
    "several marks": ("en", ["What?!", "No!!", "Well."]),
    "spanish": ("es", ["¿Qué?", "¡Sí!", "Vale."]),
    "chinese": ("zh", ["你好。", "世界！", "真的吗？"]),
    "japanese": ("ja", ["「行こう。」と彼は言った。", "そして。"]),
    "hindi": ("hi", ["नमस्ते।", "आप कैसे हैं?"]),
    "arabic": ("ar", ["كيف حالك؟", "أنا بخير."]),
    "thai": ("th", ["สวัสดีครับ วันนี้"]),
    "german ordinals": ("de-DE", ["Die 3. Auflage ist da.", "Am 5. Mai.", "Nr. 5 lebt."]),
    "french": ("fr_FR", ["M. Dupont est là.", "Voilà."]),
    "unknown language": ("zz-Qqqq", ["Mr. X is here.", "You too."]),
    "single line breaks": ("en", ["One\nline.", "Two."]),
    "forgotten space": ("en", ["This is the end."]),
}


def parts(text, spans):
    """The texts of spans."""
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(("language", "expected"), SENTENCES.values(), ids=SENTENCES)
def test_sentences(language, expected):
    """Every sentence in one span, abbreviations and quotes kept."""
    text = " ".join(expected)
    assert parts(text, sentences(text, language)) == expected


def test_sentences_without_space_between():
    """A forgotten space still ends a sentence between plain words; Chinese never has one."""
    assert parts("the end.Next one.", sentences("the end.Next one.")) == ["the end.", "Next one."]
    assert parts("你好。世界。", sentences("你好。世界。")) == ["你好。", "世界。"]


@pytest.mark.parametrize("gap", ["\n\n", "\r\n\r\n", "\n \t\n", "\n\n\n", "\u2029\u2029"], ids=repr)
def test_a_blank_line_always_ends_a_sentence(gap):
    """With or without a mark, whatever the line ends are."""
    text = f"A title{gap}and a text"
    assert parts(text, sentences(text)) == ["A title", "and a text"]


def test_marks_alone_go_with_their_neighbour():
    """Nothing that has no word is a sentence beside one that has."""
    text = "Done. *** ... Next."
    assert all(is_speakable(part) for part in parts(text, sentences(text)))


def test_closing_marks_go_back_to_what_they_close():
    """A quote or bracket that was left at the start of the next sentence."""
    assert parts("He left.) Then more.", sentences("He left.) Then more.")) == ["He left.)", "Then more."]
    assert parts("Ja. »", sentences("Ja. »")) == ["Ja. »"]


@pytest.mark.parametrize("mark", ["x" * 2500, "word " * 600, "好" * 2500], ids=["one word", "words", "chinese"])
def test_a_sentence_longer_than_the_window_stays_whole(mark):
    """Long texts are looked at in parts, which shows nowhere."""
    text = f"Start here. And {mark} ends. The last one."
    assert parts(text, sentences(text)) == ["Start here.", f"And {mark} ends.", "The last one."]


def test_long_texts_are_cut_like_short_ones():
    """The same sentences a thousand times over."""
    once = ["Dr. Smith came at 3 p.m. today.", "He saw it!", "“Really?” she asked."]
    assert parts(" ".join(once * 1000), sentences(" ".join(once * 1000))) == once * 1000


TEXT = st.text(
    st.one_of(
        st.sampled_from(list("aB1 .!?\n\r\t\"')”(“,;:。，！「」…-।؟ก\u0301\u200d😀🇫")),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=200,
)


@given(TEXT, st.sampled_from([None, "en", "de", "ja", "hi"]))
def test_every_visible_character_lies_in_exactly_one_sentence(text, language):
    """In order, without white space at the ends."""
    spans = sentences(text, language)
    assert all(part and part == part.strip() for part in parts(text, spans))
    edges = [0, *[edge for span in spans for edge in span], len(text)]
    assert edges == sorted(edges)
    gaps = [text[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2)]
    assert not "".join(gaps).strip()


@given(TEXT, st.integers(1, 60))
def test_pieces_fit_and_lose_nothing_that_can_be_said(text, max_chars):
    """In order, never over the limit, never unspeakable, and every word is in one."""
    found = pieces(text, max_chars)
    at = 0
    for piece in found:
        assert not is_speakable(text[at : piece.start])
        assert 0 < piece.end - piece.start <= max_chars
        part = text[piece.start : piece.end]
        assert is_speakable(part)
        assert part == part.strip()
        at = piece.end
    assert not is_speakable(text[at:])


def test_a_text_that_fits_is_one_piece():
    """Without white space at its ends."""
    assert pieces("  One. Two.\n", 100) == [Piece(2, 11, paragraph_end=True, sentence_end=True)]


def test_whole_sentences_are_packed_together():
    """As many as fit."""
    text = "One two. Three four. Five six seven. Eight."
    found = pieces(text, 20)
    assert [text[p.start : p.end] for p in found] == ["One two. Three four.", "Five six seven.", "Eight."]
    assert [p.paragraph_end for p in found] == [False, False, True]
    assert all(p.sentence_end for p in found)


def test_pieces_never_cross_a_blank_line():
    """However short the paragraphs are."""
    text = "One.\n\nTwo.\nThree."
    assert pieces(text, 100) == [Piece(0, 4, True, True), Piece(6, 17, True, True)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("The quick brown fox, as we know, jumps over the lazy dog.", "The quick brown fox, as we know,"),
        ("It costs 1,000,000 dollars in the whole wide world.", "It costs 1,000,000 dollars in the"),
        ("one two three four five six seven eight nine ten", "one two three four five six seven"),
        ("x" * 50, "x" * 35),
        (
            "天地玄黄，宇宙洪荒，日月盈昃，辰宿列张，寒来暑往，秋收冬藏，闰余成岁，律吕调阳。",
            "天地玄黄，宇宙洪荒，日月盈昃，辰宿列张，寒来暑往，秋收冬藏，",
        ),
        ("We came — all of us — and saw what nobody had seen.", "We came — all of us —"),
    ],
    ids=["clause", "number", "space", "hard", "chinese", "dash"],
)
def test_a_sentence_that_is_too_long_is_cut_at_the_best_place(text, first):
    """After a clause, else between words, else anywhere."""
    found = pieces(text, 35)
    assert text[found[0].start : found[0].end] == first
    assert [p.sentence_end for p in found] == [False] * (len(found) - 1) + [True]


def test_the_rest_of_a_cut_sentence_is_not_tiny():
    """One word over the limit does not leave that word alone."""
    text = " ".join(["word"] * 9)
    assert [p.end - p.start for p in pieces(text, 40)] == [34, 9]


@pytest.mark.parametrize(
    "cluster",
    ["e\u0301", "👨‍👩‍👧‍👦", "👍🏽", "🇫🇷", "❤️", "क्ष", "ำ", "\u1112\u1161\u11ab", "\u1100\u1161"],
    ids=["accent", "family", "skin tone", "flag", "variation", "conjunct", "sara am", "hangul", "hangul of two"],
)
@pytest.mark.parametrize("shift", range(4))
def test_no_cut_lies_inside_a_grapheme(cluster, shift):
    """The piece holds whole clusters, at whatever offset they begin."""
    cluster = "a" + cluster if cluster == "ำ" else cluster
    text = "x" * shift + cluster * 30 + "x"
    for piece in pieces(text, 25):
        assert (piece.start - shift) % len(cluster) == 0 or piece.start == 0


def test_a_grapheme_longer_than_the_limit_is_cut():
    """The model's limit wins."""
    found = pieces("a" + "\u0301" * 500, 20)
    assert found[0].end == 20


def test_nothing_to_say_gives_no_pieces():
    """Neither white space nor punctuation."""
    assert pieces(" \n\n ... \n\n *** ", 20) == []
    assert pieces("", 20) == []


def test_marks_that_fit_nowhere_are_left_out():
    """But the piece before them still ends a sentence."""
    text = "x" * 20 + " " + "." * 15 + " " + "y" * 20
    found = pieces(text, 20)
    assert [text[p.start : p.end] for p in found] == ["x" * 20, "y" * 20]


@pytest.mark.parametrize("call", [pieces, lambda text, size: list(blocks([text], size))], ids=["pieces", "blocks"])
def test_a_limit_below_one_is_refused(call):
    """It would never come to an end."""
    with pytest.raises(ValueError, match="at least 1"):
        call("text", 0)


PATHOLOGICAL = {
    "one word": "a" * 100_000,
    "stops": ". " * 50_000,
    "newlines": "\n" * 100_000,
    "paragraphs": "a\n\n" * 25_000,
    "spaces": "a" + " " * 100_000 + "b",
    "straight quotes": "'" * 50_000 + " a. " * 1000,
    "opening quotes": "“a. " * 25_000,
    "closing quotes": "a. ” " * 25_000,
    "chinese": "好。" * 50_000,
    "accents": "a" + "\u0301" * 100_000,
    "flags": "🇫🇷" * 50_000,
}


@pytest.mark.parametrize("text", by_default(PATHOLOGICAL, *(PATHOLOGICAL.keys() - {"chinese", "closing quotes"})))
def test_pathological_texts_are_cut_too(text):
    """Any quadratic step would make this test hang."""
    assert all(p.end - p.start <= 200 for p in pieces(text, 200))
    cut = list(blocks([text], 5000))
    assert "".join(cut) == text
    assert max(map(len, cut)) <= 5000


@given(TEXT, st.integers(1, 50), st.integers(1, 30))
def test_blocks_together_are_the_text(text, max_chars, step):
    """However it is handed over, and never over the limit."""
    handed = [text[at : at + step] for at in range(0, len(text), step)]
    found = list(blocks(handed, max_chars))
    assert "".join(found) == text
    assert all(0 < len(block) <= max_chars for block in found)
    assert found == list(blocks([text], max_chars))


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One.\n\nTwo.\nThree four. Five", "One.\n\n"),
        ("One two.\nThree. Four five six seven", "One two.\n"),
        ("One two. Three four five six seven", "One two. "),
        ("abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrst"),
    ],
    ids=["paragraph", "line", "sentence", "hard"],
)
def test_a_block_ends_at_the_best_place(text, first):
    """Paragraph before line before sentence."""
    assert next(blocks([text], 20)) == first


def test_a_file_is_read_in_parts():
    """A book in one line is not read at once."""
    file = io.StringIO("word " * 100_000)
    first = next(blocks(file, 1000))
    assert len(first) <= 1000
    assert file.tell() < 200_000


def test_a_short_stream_is_one_block():
    """And an empty one is none."""
    assert list(blocks(io.StringIO("One.\n\nTwo."), 1000)) == ["One.\n\nTwo."]
    assert list(blocks([], 1000)) == []


def test_block_without_any_end_is_cut_between_words():
    """A transcript without punctuation or line breaks: no word is torn."""
    text = "one two three four five six seven eight nine ten " * 20
    found = list(blocks(io.StringIO(text), 23))
    assert "".join(found) == text
    assert all(block[-1].isspace() for block in found)
