"""Text into symbols and chunks: upstream's own, for every script, and parts where it has none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from realtts.errors import CheckpointCorrupt
from realtts_f5.text import Vocabulary, chunks, divided, symbols
from realtts_f5.upstream import module

TEXTS = (
    "Hello there, my friend; “quoted” — it’s 3 o'clock.",
    "mañana señor, ¿qué tal está? ¡Muy bien, gracias! El niño comió piñas.",
    "你好，世界。今天天气怎么样？我们一起去银行行长家吧！",
    "We say 你好 and 再见 in Chinese; “学习” is study.",
    "日本語のテスト、カタカナもあります。",
    "한국어 문장도 있습니다.",
    "Ünïcödé straße, naïve façade. Łódź!",
    "𝄞 emoji 😀 text ａｂｃ",
    "  spaces   here \n\t and there  ",
    "1,234.56 at 10:30; e.g. a-b_c/d",
)

scripts = st.text(
    st.one_of(
        st.sampled_from(list("abc xyz .,;:!?'\"“”‘’；：，。！？\n")),
        st.sampled_from(list("你好世界银行长乐重庆的了一")),
        st.sampled_from(list("áéíóúñü¿¡ßłж")),
        st.sampled_from(list("のテスト가나")),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=40,
)


def upstreams(text):
    """Upstream's symbols; None where it fails."""
    try:
        return module("f5_tts.model.utils").convert_char_to_pinyin([text])[0]
    except IndexError:
        return None


@pytest.mark.parametrize("text", TEXTS)
def test_symbols_are_upstreams(text) -> None:
    """English, Spanish with accents, Chinese, mixed, and what the models do not speak."""
    assert symbols(text) == upstreams(text)


def test_spanish_is_taken_apart_as_in_training() -> None:
    """Accents end a word for the segmenter; the models know no other Spanish."""
    assert "".join(symbols("mañana señor")) == "mañ ana señ or"


@settings(max_examples=150, deadline=None)
@given(scripts)
def test_symbols_of_any_text_are_upstreams(text) -> None:
    """Whatever the text; where upstream fails with an IndexError there are symbols nevertheless."""
    expected = upstreams(text)
    assert symbols(text) == expected if expected is not None else symbols(text)


@settings(max_examples=150, deadline=None)
@given(scripts, st.integers(-5, 60))
def test_chunks_are_upstreams(upstream_infer, text, most) -> None:
    """At the same places, of the same length."""
    assert chunks(text, most) == upstream_infer.chunk_text(text, max_chars=most)


@settings(max_examples=150, deadline=None)
@given(scripts, st.integers(4, 60))
def test_parts_are_short_and_complete(text, most) -> None:
    """No part is longer than asked for, and nothing but white space between them is lost."""
    parts = divided(text, most)
    assert all(len(part.encode()) <= most for part in parts) or parts == [text]
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_parts_are_about_equal() -> None:
    """A short rest would be spoken at another speed; words stay whole."""
    parts = divided("word " * 41, 50)
    assert all(part.replace("word", "").strip() == "" for part in parts)
    assert min(map(len, parts)) > 20


def test_vocabulary_is_upstreams(tmp_path) -> None:
    """The numbers of upstream's tokenizer, for its own vocabulary and for odd files."""
    utils = module("f5_tts.model.utils")
    row = symbols(TEXTS[3])
    path = tmp_path / "vocab.txt"
    path.write_text(" \na\nb\na\nñ", encoding="utf-8")  # a symbol twice, and no end of the last line
    for place in (None, path):
        vocabulary = Vocabulary(place)
        file = place or module("importlib.resources").files("f5_tts").joinpath("infer/examples/vocab.txt")
        ids, size = utils.get_tokenizer(str(file), "custom")
        assert len(vocabulary) == size
        assert list(vocabulary.ids(row)) == utils.list_str_to_idx([row], ids)[0].tolist()


def test_unknown_symbols_are_named() -> None:
    """Each once; white space is none."""
    assert Vocabulary(None).unknown(["a", "☃", "\n", "☃"]) == ("☃",)


def test_unreadable_vocabulary(tmp_path) -> None:
    """A folder, and bytes that are no text."""
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "vocab.txt"):
        with pytest.raises(CheckpointCorrupt):
            Vocabulary(path)
