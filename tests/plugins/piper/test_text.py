"""What a voice reads: no number, sign or word is lost without a word, in any language."""

from __future__ import annotations

import pytest

from realtts import errors
from realtts.kit.placing import place_words
from realtts.testing.numbers import number_sentences
from realtts.testing.texts import PLAIN, texts_of
from realtts_piper import spec
from realtts_piper.languages import unread_in
from realtts_piper.testing import lost_characters, write_random_checkpoint

JOE = spec.checkpoints[0]
ESPEAK = {"en": "en-us", "zh": "cmn"}


@pytest.mark.parametrize("normalize", ["auto", "off"])
def test_no_number_is_lost(reading, normalize) -> None:
    """Of sentences with numbers, signs and units."""
    phrases = reading("en_US", "en-us")
    for text in number_sentences(25, seed=17):
        assert not lost_characters(text, phrases, JOE, normalize=normalize), text


@pytest.mark.parametrize("language", ["en", "fr", "vi", "de", "ru", "zh"])
def test_every_character_is_accounted_for(reading, language) -> None:
    """Spoken, silent or named, whatever language a text is in."""
    phrases = reading("en_US", "en-us")
    for text in texts_of(language, 8):
        try:
            assert not lost_characters(text, phrases, JOE), text
        except errors.UnspeakableText:
            assert language == "zh"


@pytest.mark.parametrize("language", sorted(PLAIN.keys() - {"ja", "ko", "th", "zh", "ms", "ta"}))
def test_plain_sentences_are_read_whole(reading, language) -> None:
    """Each word of a voice's own language has a place, in order, and nothing is named as unread."""
    phrases = reading(language, ESPEAK.get(language, ""))
    for text in PLAIN[language]:
        spoken = list(phrases.of(text))
        assert not [each for phrase in spoken for each in phrase.unread]
        spans = [word.span for phrase in spoken for word in phrase.words]
        words = [word for word in text.split() if any(map(str.isalnum, word))]
        assert len(spans) == len(words)
        assert spans == sorted(spans)


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("Hello 東京 there", "東京"),
        ("Thumbs ₫ down", "₫"),
        ("This is ไทย now", "ไทย"),
        ("Say ꝣ now", "ꝣ"),
        ("Odd ⟁ sign", "⟁"),
    ],
)
def test_what_has_no_sound_is_named(reading, text, unread) -> None:
    """Each character with its place; espeak-ng would say "Chinese letter", or nothing."""
    phrases = list(reading("en_US", "en-us").of(text))
    assert "".join(text[slice(*each.span)] for phrase in phrases for each in phrase.unread) == unread


def test_letters_with_other_marks_are_read_without(reading) -> None:
    """Instead of as "letter one e a one"."""
    (phrase,) = reading("en_US", "en-us").of("Say Viạt now")
    assert [each.instead for each in phrase.unread] == ["a"]


@pytest.mark.parametrize("text", ["日本語", "ไทย", "⟁⟁", "₫"])
def test_nothing_to_say(text) -> None:
    """A typed error before any work, from the files alone."""
    with pytest.raises(errors.UnspeakableText):
        unread_in(JOE, text, None)


@pytest.mark.parametrize(
    "word",
    ["supercalifragilisticexpialidocious" * 5, "x" * 500, "-".join("ab" * 100), "a.b.c.d", "[[h@loU]]", "<b>bold</b>"],
)
def test_odd_words_keep_what_follows(reading, word) -> None:
    """Long ones in parts, for espeak-ng drops the end of a word; upstream's markup is text."""
    text = f"say {word} now"
    phrases = list(reading("en_US", "en-us").of(text))
    spans = [each.span for phrase in phrases for each in phrase.words]
    assert text[slice(*spans[0])] == "say"
    assert text[slice(*spans[-1])] == "now"
    heard = sum(len(phrase.ids) for phrase in phrases)
    assert heard > len(word) / 2


def test_long_sentences_are_cut(reading) -> None:
    """All words are in one of the parts, in order."""
    for text in (("and then we went on " * 80) + "home.", "over the hill, " * 60, "word " * 300):
        phrases = list(reading("en_US", "en-us").of(text))
        assert len(phrases) > 1
        spans = [word.span for phrase in phrases for word in phrase.words]
        assert spans == sorted(spans)
        assert [text[slice(*span)] for span in spans] == [word.strip(",.") for word in text.split()]


def test_sounds_that_a_voice_lacks_are_named(tmp_path) -> None:
    """Upstream drops them with a line in its log."""
    from realtts.contract.spec import Checkpoint
    from realtts_piper.files import files_at_hand
    from realtts_piper.phrases import Phrases
    from realtts_piper.voice import read_voice

    files = files_at_hand(Checkpoint("voice", path=write_random_checkpoint(tmp_path)))
    voice = read_voice(files)
    without = {symbol: ids for symbol, ids in voice.phoneme_id_map.items() if symbol not in "wʌn"}
    (phrase,) = Phrases(voice.model_copy(update={"phoneme_id_map": without})).of("one tall one")
    assert phrase.missing == {"w", "ʌ", "n"}
    assert [word.span for word in phrase.words] == [(4, 8)]
    assert [each.span for each in phrase.unread] == [(0, 3), (9, 12)]


def test_voices_of_letters(tmp_path) -> None:
    """Whose symbols are the letters themselves."""
    from realtts.contract.spec import Checkpoint
    from realtts_piper.files import files_at_hand
    from realtts_piper.phrases import Phrases
    from realtts_piper.voice import read_voice

    files = files_at_hand(Checkpoint("voice", path=write_random_checkpoint(tmp_path, phoneme_type="text")))
    (phrase,) = Phrases(read_voice(files)).of("abc Ж def")
    assert [each.span for each in phrase.words] == [(0, 3), (6, 9)]
    assert [each.span for each in phrase.unread] == [(4, 5)]


def test_hebrew_by_upstreams_network(reading) -> None:
    """Not by espeak-ng."""
    phrases = reading("he_IL", "en-us")
    voice = phrases._voice.model_copy(update={"phoneme_type": "hebrew"})
    (phrase,) = type(phrases)(voice).of("שלום עולם.")
    assert len(phrase.words) == 2


@pytest.mark.parametrize(
    ("phonemes", "words", "places"),
    [
        ("ab cd", ["ab", "cd"], [(0, 2), (3, 5)]),
        ("abcd", ["ab", "cd"], [(0, 2), (2, 4)]),
        ("ab xy cd", ["ab", "", "cd"], [(0, 5), None, (6, 8)]),
        ("ab xy cd", ["ab", "zz", "cd"], [(0, 2), (3, 5), (6, 8)]),
        ("ˈab, cd.", ["ˈab", "cd"], [(1, 3), (5, 7)]),
        ("ab cd", ["ab", "q", "cd"], [(0, 2), (2, 2), (3, 5)]),
        ("", ["ab"], [None]),
        ("ab", [], []),
    ],
)
def test_places_of_words(phonemes, words, places) -> None:
    """Joined, expanded, changed, silent and swallowed words."""
    assert place_words(list(phonemes), [list(word) for word in words]) == places


def test_spec_is_light() -> None:
    """Listing the providers costs neither numpy nor pydantic nor ONNX Runtime nor piper-tts."""
    import subprocess
    import sys

    heavy = ("numpy", "pydantic", "onnxruntime", "piper", "torch", "importlib.metadata")
    code = f"import sys, realtts_piper; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() in {"[]", "['importlib.metadata']"}
