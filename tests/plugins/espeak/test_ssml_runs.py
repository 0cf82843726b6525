"""Runs of SSML: each sounds as it does alone, and nothing of it reaches the next; pauses are silence to the sample."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray

RATE = 22050
FADE = round(0.005 * RATE) + 1
"""Samples at a seam that are faded."""


def silence_around(samples: NDArray[np.float32], at: float) -> float:
    """Return the seconds of zeros around a time."""
    middle = round(at * RATE)
    sound = np.flatnonzero(samples)
    before, after = sound[sound < middle], sound[sound >= middle]
    first = before[-1] + 1 if before.size else 0
    last = after[0] if after.size else len(samples)
    return float(last - first) / RATE


def pitch_of(samples: NDArray[np.float32]) -> float:
    """Return the median fundamental frequency of voiced frames, in Hz."""
    found = []
    for start in range(0, len(samples) - 2048, 1024):
        frame = samples[start : start + 2048]
        likeness = np.correlate(frame, frame, "full")[2047:]
        low, high = RATE // 400, RATE // 50
        period = low + int(np.argmax(likeness[low:high]))
        if np.abs(frame).max() > 0.1 and likeness[period] > 0.5 * likeness[0]:
            found.append(RATE / period)
    return float(np.median(found))


EMPHASISED = [
    ("en-us", ("Nine lions.", "Roar now.", "Nine lions.")),
    ("en-us", ("Really?", "Yes!", "No.")),
    ("de", ("Neun Löwen.", "Jetzt brüllen.", "Das ist alles.")),
    ("fr", ("Il pleut.", "Encore une fois.", "Merci.")),
    ("es", ("Buenos días.", "¿Qué tal?", "Muy bien.")),
    ("ru", ("Доброе утро.", "Как дела?", "Хорошо.")),
    ("cmn", ("你好。", "今天很热。", "再见。")),
    ("hi", ("नमस्ते।", "आप कैसे हैं?", "धन्यवाद।")),
    ("it", ("Sono le tre.", "Davvero!", "Andiamo…")),
]


@pytest.mark.parametrize("level", ["strong", "reduced"])
@pytest.mark.parametrize(("language", "sentences"), EMPHASISED, ids=lambda value: str(value)[:12])
def test_emphasis_stays_in_its_element(say, language: str, sentences: tuple[str, str, str], level: str) -> None:
    """Wherever a sentence ends: the words around it sound as they do alone, and its own do not."""
    one, two, three = sentences
    strong = f'<emphasis level="{level}">{two}</emphasis>'
    alone = [say(text, language=language, ssml=True).samples for text in (one, strong, three)]
    assert len(alone[1]) != len(say(two, language=language).samples)
    spoken = say(f"{one} {strong} {three}", language=language, ssml=True).samples
    at = 0
    for number, samples in enumerate(alone):
        inner = slice(FADE, len(samples) - FADE)
        assert np.array_equal(spoken[at : at + len(samples)][inner], samples[inner]), number
        at += len(samples) + round(0.15 * RATE)


@pytest.mark.parametrize("place", [0, 2])
def test_emphasis_at_the_ends(say, place: int) -> None:
    """The first sentence's ends with it, and the last one's does not begin before it."""
    texts = ["Nine lions.", "Roar now.", "Nine lions."]
    plain = [mark.end - mark.start for mark in say(" ".join(texts)).marks]
    texts[place] = f"<emphasis>{texts[place]}</emphasis>"
    lengths = [mark.end - mark.start for mark in say(" ".join(texts), ssml=True).marks]
    changed = [abs(length - usual) > 0.01 for length, usual in zip(lengths, plain, strict=True)]
    assert [any(changed[at : at + 2]) for at in (0, 2, 4)] == [number == place for number in range(3)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<emphasis>really</emphasis>", ", it is"),
        ("<emphasis>really</emphasis>", ". It is"),
        ('<emphasis level="reduced">really</emphasis>', "! It is"),
        ('<say-as interpret-as="characters">CIA</say-as>', ". It is"),
        ('<say-as interpret-as="characters">CIA</say-as>', ", it is"),
        ('<prosody volume="-6dB">really</prosody>', ": it is"),
        ('<prosody rate="150%">really</prosody>', "; it is"),
        ('<phoneme ph="ˈɹiːəli">really</phoneme>', "? It is"),
        ('<lang xml:lang="de">wirklich</lang>', ". It is"),
    ],
)
def test_marks_behind_an_element_are_not_read(say, before: str, after: str) -> None:
    """A full stop behind an element ends it; it is never "dot"."""
    spoken = say(before + after, ssml=True)
    assert [word.strip(".,;:!?") for word in spoken.words][1:] == after.strip(".,;:!? ").split()
    alone = say(before, ssml=True).duration + say(after.strip(".,;:!? "), ssml=True).duration
    assert spoken.duration - alone < 0.25


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('one <break time="0.5s"/> two', 0.5),
        ('eins <break time="500ms"/> <lang xml:lang="en">one</lang>', 0.5),
        ('<lang xml:lang="ru">да</lang><break time="0.5s"/><lang xml:lang="fr">oui</lang>', 0.5),
        ('<voice name="en-gb">one</voice><break time="0.5s"/><voice name="de">eins</voice>', 0.5),
        ('<say-as interpret-as="digits">1<break time="0.5s"/>2</say-as>', 0.5),
        ('<say-as interpret-as="characters">a<break time="0.5s"/>b</say-as>', 0.5),
        ('<emphasis>One.</emphasis><break time="0.5s"/> Two.', 0.5),
        ('<prosody rate="200%">one <break time="0.5s"/> two</prosody>', 0.5),
        ('<p>One.</p> <break time="1.25s"/> <p>Two.</p>', 1.25),
        ('一<break time="0.5s"/>二', 0.5),
    ],
)
def test_breaks_between_words(say, text: str, seconds: float) -> None:
    """As long as they say, beside what little silence a word begins or ends with (60 ms for a plosive)."""
    spoken = say(text, ssml=True)
    first, second = spoken.marks
    assert seconds <= silence_around(spoken.samples, (first.end + second.start) / 2) < seconds + 0.06
    alone = sum(say(part, ssml=True).duration for part in parts_of(text))
    assert spoken.duration == pytest.approx(alone + seconds, abs=1e-4)


def parts_of(text: str) -> tuple[str, str]:
    """Return the SSML before and behind its break, the elements around it closed and opened again."""
    before, after = re.split(r"<break[^>]*/>", text, maxsplit=1)
    opened: list[tuple[str, str]] = []
    for match in re.finditer(r"<(/?)([\w-]+)[^>]*>", before):
        if match[1]:
            opened.pop()
        else:
            opened.append((match[0], match[2]))
    closing = "".join(f"</{name}>" for _, name in reversed(opened))
    return before + closing, "".join(tag for tag, _ in opened) + after


def test_breaks_at_the_ends(say) -> None:
    """Silence before the first sound and behind the last; the speech between is the very same."""
    alone = say("Hello there.").samples
    spoken = say('<break time="0.5s"/>Hello there.<break time="250ms"/>', ssml=True).samples
    lead, tail = round(0.5 * RATE), round(0.25 * RATE)
    assert np.array_equal(spoken[lead : len(spoken) - tail], alone)
    assert not spoken[:lead].any()
    assert not spoken[len(spoken) - tail :].any()


@pytest.mark.parametrize(
    "text",
    [
        "Hello there. How are you?",
        "Zwei Vögel — 12,5 % mehr.",
        "  one\n\ntwo  ",
        "Привет iPhone",
        "I paid $5 on 3/4 at 10:30.",
        "«¿Qué?», dijo.",
        "7" * 50,
        "e.g. this, i.e. that " * 30,
    ],
    ids=lambda text: text[:12],
)
def test_plain_text_in_speak_is_plain_text(say, text: str) -> None:
    """Sample for sample."""
    marked = say(f"<speak>{text}</speak>", ssml=True)
    plain = say.provider.generate(text)
    assert np.array_equal(marked.samples, plain.samples)


@pytest.mark.parametrize(
    ("pitch", "factor"),
    [
        ("+3st", 2 ** (3 / 12)),
        ("-3st", 2 ** (-3 / 12)),
        ("+20%", 1.2),
        ("-20%", 0.8),
        ("x-high", 1.2),
        ("low", 0.85),
        ("+30Hz", 120 / 90),
        ("120Hz", 120 / 90),
        ("medium", 1.0),
    ],
)
def test_pitch(say, pitch: str, factor: float) -> None:
    """By so much, within a semitone."""
    text = f'<prosody pitch="{pitch}">mama mama mama</prosody>'
    high = pitch_of(say(text, ssml=True, pitch_range=0).samples)
    usual = pitch_of(say("mama mama mama", pitch_range=0).samples)
    assert 12 * np.log2(high / usual / factor) == pytest.approx(0, abs=1)


def test_pitch_out_of_reach_is_told(say) -> None:
    """With what it does instead."""
    assert any("semitones instead of" in w for w in say('<prosody pitch="+24st">x</prosody>', ssml=True).warnings)


def test_range(say) -> None:
    """Monotone has less melody than the usual, and that less than a wide one."""

    def spread(text: str) -> float:
        samples = say(text, ssml=True).samples
        third = len(samples) // 3
        return abs(pitch_of(samples[:third]) - pitch_of(samples[-third:]))

    text = "mama mama mama mama mama mama mama."
    flat, wide = (spread(f'<prosody range="{value}">{text}</prosody>') for value in ("x-low", "x-high"))
    assert flat < spread(text) < wide


def test_a_woman_speaks(say) -> None:
    """Where SSML asks for one; a variant that the caller chose stays."""
    text = '<voice gender="female">mama mama mama</voice>'
    usual = pitch_of(say("mama mama mama").samples)
    assert pitch_of(say(text, ssml=True).samples) > 1.4 * usual
    chosen = say(text, ssml=True, variant="m3").samples
    assert np.array_equal(chosen, say("mama mama mama", variant="m3").samples)


@pytest.mark.parametrize(
    ("language", "phonemes", "like"),
    [
        ("en-us", "təˈmeɪɾoʊ", "tomato"),
        ("en-us", "ˈhɛloʊ", "hello"),
        ("en-us", "ˈt͡ʃɑːklət", "chocolate"),
        ("de", "ʃøːn", "schön"),
        ("de", "ˈkaːtsə", "Katze"),
        ("fr", "bɔ̃ʒuʁ", "bonjour"),
        ("es", "ˈkasa", "casa"),
        ("it", "ˈkaːsa", "casa"),
        ("ru", "ˈdom", "дом"),
        ("kl", "ˈnuna", "nuna"),  # in a fresh library it has no phonemes
    ],
)
def test_phonemes(say, language: str, phonemes: str, like: str) -> None:
    """IPA in place of letters sounds much as the word that is pronounced so, and has its one mark."""
    spoken = say(f'<phoneme alphabet="ipa" ph="{phonemes}">X Y Z</phoneme>', language=language, ssml=True)
    assert spoken.words == ["X Y Z"]
    assert not spoken.warnings
    assert spoken.duration == pytest.approx(say(like, language=language).duration, rel=0.35)


@pytest.mark.parametrize(("alphabet", "phonemes"), [("ipa", "ʘǃǂ"), ("x-sampa", "t"), ("espeak", "]]<"), ("ipa", "ˈ")])
def test_phonemes_that_it_has_not_are_told(say, alphabet: str, phonemes: str) -> None:
    """And the text is spoken."""
    escaped = phonemes.replace("<", "&lt;")
    spoken = say(f'<phoneme alphabet="{alphabet}" ph="{escaped}">tomato</phoneme>', ssml=True)
    assert any("cannot speak" in warning for warning in spoken.warnings)
    assert np.array_equal(spoken.samples, say("tomato").samples)


@pytest.mark.parametrize("text", ["radio", "ABC", "x1y2", "Ж", "été", "नमस्ते", "straße", "naïve façade"])
def test_spelling(say, text: str) -> None:
    """Letter by letter: longer with every letter, and one mark per word."""
    spoken = say(f'<say-as interpret-as="characters">{text}</say-as>', ssml=True)
    assert spoken.words == text.split()
    twice = say(f'<say-as interpret-as="spell-out">{text} {text}</say-as>', ssml=True)
    assert twice.duration == pytest.approx(2 * spoken.duration, rel=0.02)


@pytest.mark.parametrize(
    ("kind", "text", "plain"),
    [
        ("digits", "1234", "1 2 3 4"),
        ("telephone", "555-0100", "5 5 5, 0 1 0 0"),
        ("cardinal", "XIV", "14"),
        ("ordinal", "3", "3rd"),
        ('date" format="dmy', "3/10/2026", "October 3, 2026"),
        ("time", "10:30", "10:30"),
        ("currency", "$5.20", "$5.20"),
        ("fraction", "3/4", "3/4"),
    ],
)
def test_say_as(say, kind: str, text: str, plain: str) -> None:
    """Sounds as what it means, written out."""
    spoken = say(f'<say-as interpret-as="{kind}">{text}</say-as>', ssml=True)
    assert np.array_equal(spoken.samples, say(plain).samples)


def test_streaming_equals_whole(say) -> None:
    """With voices, pauses and pitches in it."""
    text = (
        'One <break time="0.2s"/> <emphasis>two.</emphasis> <lang xml:lang="de">Drei</lang>, <prosody pitch="+2st" '
        'rate="120%" volume="-3dB">four</prosody> <say-as interpret-as="characters">abc</say-as>.'
    )
    whole = say.provider.generate(text, ssml=True)
    assert np.array_equal(say(text, ssml=True).samples, whole.samples)
    assert tuple(say(text, ssml=True).marks) == whole.marks
