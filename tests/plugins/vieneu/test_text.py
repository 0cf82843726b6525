"""From text to sentences and phonemes: nothing is lost, nothing takes long, and what has no sound is refused."""

from __future__ import annotations

import pytest

from realtts.errors import UnspeakableText
from realtts_vieneu.text import LONGEST_WORD, phonemes_of, sentences_of, spoken_length, unread, words_of


def texts_of(text, max_chars=256):
    """Of the sentences alone."""
    return [sentence.text for sentence in sentences_of(text, max_chars)]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Hôm nay là ngày 21/11/2026.", "hai mươi mốt tháng mười một"),
        ("Giá 4.200,5 điểm.", "bốn nghìn hai trăm phẩy năm"),
        ("UBND TP.HCM", "uỷ ban nhân dân thành phố hồ chí minh"),
        ("Tăng 10% so với 5kg.", "mười phần trăm so với năm ki lô gam"),
        ("Tôi học machine learning.", "machine learning"),
    ],
)
def test_numbers_and_abbreviations_become_words(written, said) -> None:
    """As sea-g2p reads them."""
    assert said in texts_of(written)[0]


def test_phonemes_are_upstreams() -> None:
    """Of a text of one sentence: upstream's functions give the same phonemes, and of the recording's words."""
    theirs = pytest.importorskip("vieneu_utils.phonemize_text")
    for text in ("Xin chào các bạn!", "Rồi sao nữa?", "Năm 2026, giá $5 và 100 USD.", "OK", "Chào"):
        (chunk,) = theirs.normalize_to_chunks(text)
        expected = theirs.phonemize_with_dict(chunk, skip_normalize=True)
        assert [sentence.phonemes for sentence in sentences_of(text, 256)] == [expected]
        assert words_of(text) == theirs.phonemize_with_dict(text)


def test_sentences_are_put_together_as_far_as_they_fit() -> None:
    """Up to `max_chars`, counted after numbers became words; none is lost, and paragraphs stay apart."""
    text = "Một câu ngắn thôi nhé. " * 20
    found = texts_of(text, 100)
    assert 1 < len(found) < 20
    assert all(len(sentence) <= 121 for sentence in found)
    assert sum(sentence.count("câu") for sentence in found) == 20
    assert len(texts_of("Một câu.\n\nHai câu.")) == 2
    assert len(texts_of("Trứng\nSữa\r\nBánh mì")) == 3
    assert len(texts_of("Một câu. Hai câu.")) == 1
    assert len(texts_of("1234567890. " * 4, 100)) > 1


def test_long_sentences_are_cut_in_clauses_or_words() -> None:
    """No word is cut, and what is English together stays so."""
    clauses = texts_of("một hai ba bốn năm sáu, " * 30, 100)
    assert all(len(clause) <= 121 for clause in clauses)
    assert sum(clause.count("sáu") for clause in clauses) == 30
    english = texts_of("giá 100 USD và 200 USD với " * 20, 60)
    assert all(sentence.count("<en>") == sentence.count("</en>") for sentence in english)
    assert sum(sentence.count("u s d") for sentence in english) == 40


def test_quotes_do_not_end_sentences() -> None:
    """A question that is quoted inside a sentence belongs to it."""
    found = texts_of("Ông nói: “Rồi sao nữa? Mình phải làm gì đây?”, đúng không anh?", 60)
    assert not any(sentence.startswith(",") for sentence in found)


def test_a_sentence_ends_with_punctuation() -> None:
    """Whatever was written: the model learned to end there."""
    for text in ("Xin chào", "Xin chào các bạn thân mến nhé", "Rồi sao nữa?", "một,"):
        assert sentences_of(text, 256)[0].phonemes[-1] in ".,!?"


def test_a_long_word_is_cut_before_the_phonemizer() -> None:
    """Of 2,000 characters, which it would take 16 s for; none of them is lost."""
    found = sentences_of("a" * 2000, 256)
    assert sum(sentence.text.count("a") for sentence in found) == 2000
    assert all(len(word) <= LONGEST_WORD + 1 for sentence in found for word in sentence.text.split())
    assert words_of("b" * 2000)


@pytest.mark.parametrize("text", ["😀🎉", "你好世界", "Привет мир", "...", "？", "نعم"])
def test_what_has_no_sound_is_refused(text) -> None:
    """Emoji, other scripts, punctuation alone; upstream hands out empty audio."""
    with pytest.raises(UnspeakableText, match="Vietnamese or English"):
        sentences_of(text, 256)


def test_what_is_left_out_is_known() -> None:
    """Letters and pictures without a sound, each once; punctuation is no loss."""
    assert unread("Xin chào 你好你 😀, “bạn” (nhé) – 5%!") == ("你", "好", "😀")
    assert unread("Năm 2026, giá $5 và 100 €, 25-30°C, 20 m²?") == ()
    assert len(sentences_of("Xin chào 你好 bạn.", 256)) == 1


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("I'm fine, thanks. ー Brazilian 100 kWh", ("ー",)),
        ("We went there. Ж American 20 km", ("Ж",)),
        ("fine, thanks. 你 Brazilian 100", ("你",)),
        ("good morning, friends. ѣ Canadian 1990", ("ѣ",)),
        ("fine, thanks. 5 µg Brazilian 100", ()),
        ("fine, thanks. ® Brazilian 100", ()),
    ],
)
def test_what_changes_its_neighbours_alone_is_left_out_too(text, lost) -> None:
    """A letter without a sound makes an English number a Vietnamese one; that is no sound of its own."""
    assert unread(text) == lost


def test_special_tokens_in_a_text_are_read() -> None:
    """Sign by sign, as any other."""
    (sentence,) = sentences_of("Chào <|SPEECH_GENERATION_END|> bạn", 256)
    assert "<|" not in sentence.phonemes
    assert spoken_length(sentence.phonemes) > 40


def test_markup_is_not_counted() -> None:
    """The tags around English that the normaliser sets."""
    assert spoken_length("a <en>b c</en> d") == len("a b c d")
    assert phonemes_of("năm <en>u s d</en>.") == phonemes_of("năm <en>u s d</en>")
