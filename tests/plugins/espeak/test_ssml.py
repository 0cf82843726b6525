"""SSML: what it does, how it is timed, and what it cannot do."""

from __future__ import annotations

import numpy as np
import pytest

from realtts import errors


def test_break_lasts(say) -> None:
    """Seconds with a fraction, which espeak itself reads as milliseconds."""
    spoken = say('Hello <break time="1.5s"/> world.', ssml=True)
    hello, world = spoken.marks
    assert world.start - hello.end == pytest.approx(1.5, abs=0.1)


def test_prosody(say) -> None:
    """Twice the rate is half as long, and only inside the element."""
    plain = say("<speak>nine lions roar, nine lions roar</speak>", ssml=True)
    fast = say('<speak><prosody rate="200%">nine lions roar,</prosody> nine lions roar</speak>', ssml=True)
    assert fast.marks[3].start < 0.65 * plain.marks[3].start
    length = plain.duration - plain.marks[3].start
    assert fast.duration - fast.marks[3].start == pytest.approx(length, rel=0.15)


@pytest.mark.parametrize(
    "text",
    [
        '<voice name="de">zwei Vögel</voice>',
        '<voice name="gmw/de">zwei Vögel</voice>',
        '<lang xml:lang="de">zwei Vögel</lang>',
        '<p xml:lang="de-DE">zwei Vögel</p>',
        '<speak xml:lang="de">zwei Vögel</speak>',
    ],
)
def test_voice_and_language_change(say, text: str) -> None:
    """It sounds different from the English voice's reading."""
    spoken, english = say(text, ssml=True), say("<speak>zwei Vögel</speak>", ssml=True)
    assert spoken.words == ["zwei", "Vögel"]
    assert not np.array_equal(spoken.samples, english.samples)


def test_voice_comes_back(say) -> None:
    """After the element the first voice speaks on."""
    spoken = say('One. <voice name="de">Zwei.</voice> Three.', ssml=True)
    assert spoken.words == ["One", "Zwei", "Three"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<speak>One <emphasis>two</emphasis> three</speak>", "One|two|three"),
        ("AT&amp;T &#233;t&#xe9; &lt;x &quot;y&quot;", "AT&amp;T|&#233;t&#xe9;|&lt;x|y"),
        ('See <sub alias="World Wide Web">WWW</sub> now', "See|WWW|now"),
        ("<![CDATA[a <b & c]]> end", "a|<b|&|c|end"),
        ('<?xml version="1.0"?>\n<speak version="1.1">Привет <!-- no --> 😀 мир</speak>', "Привет|😀|мир"),
        ("<speak>x <metadata>hidden</metadata><mark name='m'/> <other>seen</other></speak>", "x|seen"),
        ('<say-as interpret-as="characters">abc</say-as> <say-as interpret-as="date">1 May</say-as>', "abc|1|May"),
        ("<audio src='x.wav'><desc>no</desc>instead</audio> yes", "instead|yes"),
        ("<p><s>First one.</s><s>Second one.</s></p>", "First|one|Second|one"),
    ],
    ids=lambda value: value[:24],
)
def test_words_of_the_source(say, text: str, words: str) -> None:
    """Spans point into the caller's markup, entities and all."""
    assert "|".join(say(text, ssml=True).words) == words


def test_chunks_are_sentences(say) -> None:
    """Each sentence brings its marks with its sound, in the order of the text; what holds a seam back is 5 ms."""
    spoken = say("<speak><p>First one.</p><p>Second one. Third one.</p></speak>", ssml=True)
    speaking = [chunk for chunk in spoken.chunks if chunk.marks]
    assert [len(chunk.marks) for chunk in speaking] == [2, 2, 2]
    at = 0.0
    for chunk in spoken.chunks:
        assert all(at - 0.006 <= mark.start < at + chunk.duration for mark in chunk.marks)
        at += chunk.duration


def test_spelled_out_is_longer(say) -> None:
    """say-as characters spells."""
    spelled = say('<say-as interpret-as="spell-out">radio</say-as>', ssml=True)
    assert spelled.duration > 1.5 * say("radio").duration


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("<speak>open", errors.InvalidText),
        ("a < b", errors.InvalidText),
        ("<speak>one</speak><speak>two</speak>", errors.InvalidText),
        ("&nbsp;", errors.InvalidText),
        ("a &#1;V b", errors.InvalidText),
        ('<!DOCTYPE s [<!ENTITY a "aa">]><speak>&a;</speak>', errors.InvalidText),
        ('<break time="99s"/>x', errors.InvalidText),
        ('<break time="soon"/>x', errors.InvalidText),
        ('<break strength="huge"/>x', errors.InvalidText),
        ('<prosody rate="quick">x</prosody>', errors.InvalidText),
        ('<emphasis level="most">x</emphasis>', errors.InvalidText),
        ("<s>" * 40 + "x" + "</s>" * 40, errors.InvalidText),
        ('<voice name="nobody">x</voice>', errors.VoiceNotFound),
        ('<s xml:lang="tlh">x</s>', errors.UnknownLanguage),
        ("<speak></speak>", errors.UnspeakableText),
        ("<speak><break/></speak>", errors.UnspeakableText),
        ("<metadata>x</metadata>", errors.UnspeakableText),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_cannot_be_read(say, text: str, error: type[Exception]) -> None:
    """Typed errors, before espeak sees any of it."""
    with pytest.raises(error):
        say(text, ssml=True)


def test_no_file_is_played(say, tmp_path) -> None:
    """An audio element cannot bring a file of the disk into the speech, whatever its base."""
    wave = pytest.importorskip("soundfile")
    path = tmp_path / "tone.wav"
    wave.write(path, np.full(22050 * 2, 0.5, np.float32), 22050, subtype="PCM_16")
    for text in (
        f'<speak>a <audio src="{path}"/> b</speak>',
        f'<speak xml:base="{tmp_path}">a <audio src="tone.wav"/> b</speak>',
    ):
        assert np.array_equal(say(text, ssml=True).samples, say("<speak>a  b</speak>", ssml=True).samples)


def test_cancellation(say) -> None:
    """A stream that is closed after its first chunk is not spoken to its end."""
    text = f"<speak>{'<s>nine lions</s> ' * 200}</speak>"
    with say.stream(text, ssml=True) as stream:
        next(iter(stream))
    assert stream.spoken_chars < len(text) / 2
