"""SSML for every provider: the fake one speaks a word in 0.1 s and knows none of it itself."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from realtts import RealProvider, errors
from realtts.contract.delivery import Delivery
from realtts.contract.hooks import hookimpl
from realtts.contract.types import Request
from realtts.registry.extensions import Extensions
from realtts.settings import Settings
from realtts.synthesis.plan import Ask, make_plan
from realtts.testing.fake import FakeOptions, FakeProvider, fake_spec
from realtts.wire.messages import RequestMessage, from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import Chunk
    from realtts.synthesis.plan import Plan
    from realtts.testing.fake import FakeModel

RATE = 16_000
ABLE = frozenset({"voices", "clone", "marks", "pitch", "emphasis", "spelling", "phonemes", "gender", "speed"})


@pytest.fixture(scope="module")
def fake() -> Iterator[RealProvider]:
    """The fake provider."""
    with RealProvider(fake_spec()) as provider:
        yield provider


def plan(text: str, **changes: object) -> Plan:
    """What becomes of a text before any model work."""
    settings = Settings(max_text_chars=3_000_000)
    options = {"ssml": True}
    return make_plan(
        text, Ask(None, None, 1, 1.0, options), spec=fake_spec(**changes), settings=settings, extensions=Extensions()
    )


def silences(samples: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Stretches of at least 20 ms of zeros."""
    quiet = np.concatenate([[False], samples == 0, [False]])
    edges = np.flatnonzero(quiet[1:] != quiet[:-1]).reshape(-1, 2)
    return [(int(start), int(end)) for start, end in edges if end - start >= 0.02 * RATE]


class WithoutTimings(FakeProvider):
    """The fake provider without marks."""

    @hookimpl
    def generate(self, context: Context, model: FakeModel, request: Request) -> Iterator[Chunk]:
        """Yield the chunks without their marks."""
        for chunk in super().generate(context, model, request):
            yield replace(chunk, marks=())


PLAIN = [
    "Hello there.",
    "Grüß Gott! Wie geht es?",
    "Привет, мир. Как дела?",
    "你好。今天天气很好。",
    "  white space\n\naround paragraphs \n",
    "1,234.5 and 10 000 of “these”… and – those",
    "AT\u0301 decomposed e\u0301, ﬁ and １００",
    "A long text. " * 30,
]


@pytest.mark.parametrize("limit", [None, 40])
@pytest.mark.parametrize("text", PLAIN, ids=lambda text: text[:12])
def test_plain_text_in_speak_is_plain_text(text: str, limit: int | None) -> None:
    """The same pieces with the same seeds, and the same sound."""
    with RealProvider(fake_spec(max_chars=limit)) as provider:
        plain = provider.generate(text, seed=5, language="de")
        marked = provider.generate(f"<speak>{text}</speak>", seed=5, language="de", ssml=True)
    assert np.array_equal(plain.samples, marked.samples)
    assert [mark.span for mark in plain.marks] == [(a - 7, b - 7) for a, b in (mark.span for mark in marked.marks)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('one <break time="0.5s"/> two', [0.5]),
        ('<break time="500ms"/>one', [0.5]),
        ('one<break time="1.25s"/>', [1.25]),
        ('<break time="1s"/>one<break time=".25s"/>two<break time="2s"/>', [1.0, 0.25, 2.0]),
        ('one <break time="200ms"/><break time="300ms"/> two', [0.5]),
        ('<lang xml:lang="de">eins</lang><break time="0.5s"/><lang xml:lang="en">one</lang>', [0.5]),
        ('<voice name="high">one</voice> <break time="0.5s"/> <voice name="low">two</voice>', [0.5]),
        ('<say-as interpret-as="digits">1<break time="0.5s"/>2</say-as>', [0.5]),
        ('<p>One.</p><break time="0.5s"/><p>Two.</p>', [0.5]),
        ('<prosody rate="200%">one <break time="0.5s"/> two</prosody>', [0.5]),
        ('One. <break strength="none"/> Two.', []),
        ("<s>One</s><s>two</s>", [0.15]),
        ("<p>One</p><p>two</p>", [0.45]),
        ('<emphasis>one</emphasis>, two <audio src="x"><break time="300ms"/></audio> three', [0.3]),
    ],
)
def test_pauses_are_silence(fake: RealProvider, text: str, seconds: list[float]) -> None:
    """To the sample, wherever they stand."""
    speech = fake.generate(text, ssml=True)
    found = [end - start for start, end in silences(speech.samples)]
    assert found == pytest.approx([pause * RATE for pause in seconds], abs=2)


def test_pauses_given_as_time_do_not_shrink(fake: RealProvider) -> None:
    """With the caller's speed; those of a strength do."""
    text = 'one <break time="1s"/> two <break strength="medium"/> three'
    pauses = [end - start for start, end in silences(fake.generate(text, ssml=True, speed=2.0).samples)]
    assert pauses == pytest.approx([RATE, 0.2 * RATE], abs=2)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('<mark name="m"/>one two', 0.0),
        ('one <mark name="m"/>two', 0.1),
        ('one two<mark name="m"/>', 0.2),
        ('<break time="1s"/><mark name="m"/>one', 1.0),
        ('<mark name="m"/><break time="1s"/>one', 0.0),
        ('one<break time="1s"/><mark name="m"/><break time="1s"/>two', 1.1),
        ('one<break time="1s"/><mark name="m"/>', 1.1),
        ('<s>one</s><mark name="m"/><s>two</s>', 0.25),
        ('<prosody rate="200%">one <mark name="m"/>two</prosody>', 0.05),
        ('<voice name="high">one</voice> <mark name="m"/> two', 0.1),
        ('<sub alias="a b c">x</sub> <mark name="m"/> two', 0.3),
    ],
)
def test_marks_have_their_time(fake: RealProvider, text: str, seconds: float) -> None:
    """A mark is where the next word begins, or inside the pause that it stands in."""
    speech = fake.generate(text, ssml=True)
    (mark,) = [mark for mark in speech.marks if mark.kind == "mark"]
    assert (mark.name, mark.start, mark.end) == ("m", pytest.approx(seconds, abs=1e-3), mark.start)
    assert text[slice(*mark.span)] == '<mark name="m"/>'


def test_marks_without_timings_are_estimated() -> None:
    """By the letters before them, and the caller is told."""
    with RealProvider(fake_spec(plain=f"{__name__}:WithoutTimings", optimized=None)) as provider:
        speech = provider.generate('one two three <mark name="half"/>one two three', ssml=True, seed=3)
    (mark,) = speech.marks
    assert mark.start == pytest.approx(speech.duration / 2, rel=0.1)
    assert any("'half' is estimated" in warning for warning in speech.warnings)


@pytest.mark.parametrize(
    ("rates", "factor"),
    [
        (["200%"], 2.0),
        (["50%"], 0.5),
        (["+50%"], 1.5),
        (["-50%"], 0.5),
        (["1.5"], 1.5),
        (["x-fast"], 1.6),
        (["slow"], 0.8),
        (["+100%", "-50%"], 1.0),
        (["50%", "+100%", "+50%"], 1.5),
        (["x-slow", "default"], 1.0),
        (["200%", "50%"], 0.5),
    ],
)
def test_rates(rates: list[str], factor: float) -> None:
    """With a sign they change what is around them, without one they are absolute; by the model or by stretching."""
    text = "nine lions roar"
    for rate in reversed(rates):
        text = f'<prosody rate="{rate}">{text}</prosody>'
    (piece,) = plan(text).pieces
    assert (piece.request.speed, piece.stretch) == (1.0, pytest.approx(factor))
    (piece,) = plan(text, capabilities=frozenset({"speed"})).pieces
    assert (piece.request.speed, piece.stretch) == (pytest.approx(factor), 1.0)


def test_rate_shortens_only_its_own_words(fake: RealProvider) -> None:
    """The words around it are as they were."""
    speech = fake.generate('one two <prosody rate="200%">three four</prosody> five', ssml=True)
    lengths = [round(mark.end - mark.start, 3) for mark in speech.marks]
    assert lengths == [0.1, 0.1, 0.05, 0.05, 0.1]


def test_rate_out_of_reach_is_told() -> None:
    """It speaks at the nearest one."""
    made = plan('<prosody rate="900%">one</prosody>')
    assert made.pieces[0].stretch == 4.0
    assert any("speaks at 4" in warning for warning in made.warnings)


@pytest.mark.parametrize(
    ("volumes", "decibels"),
    [
        (["+6dB"], 6.0),
        (["-12dB"], -12.0),
        (["6dB"], 6.0),
        (["+6dB", "-3dB", "-3dB"], 0.0),
        (["50%"], -6.02),
        (["-50%", "-50%"], -12.04),
        (["50"], -6.02),
        (["x-loud"], 7.23),
        (["x-soft"], -10.46),
        (["+6dB", "medium"], 0.0),
    ],
)
def test_volumes(volumes: list[str], decibels: float) -> None:
    """As gain, for any provider."""
    text = "one two"
    for volume in reversed(volumes):
        text = f'<prosody volume="{volume}">{text}</prosody>'
    (piece,) = plan(text).pieces
    assert 20 * np.log10(piece.gain) == pytest.approx(decibels, abs=0.01)


def test_volume_is_gain(fake: RealProvider) -> None:
    """The same samples, softer, and silence for ``silent``; the words beside it untouched."""
    plain = fake.generate("one two three", seed=1).samples.reshape(3, -1)
    soft = fake.generate('one <prosody volume="-6dB">two</prosody> three', seed=1, ssml=True)
    middle = slice(1600 + 100, 3200 - 100)
    pieces = plan('one <prosody volume="-6dB">two</prosody> three').pieces
    assert [piece.gain for piece in pieces] == pytest.approx([1.0, 0.5012, 1.0], abs=1e-4)
    assert np.abs(soft.samples[middle]).max() == pytest.approx(0.5012 * np.abs(plain).max(), rel=0.01)
    silent = fake.generate('one <prosody volume="silent">two</prosody> three', ssml=True).samples
    assert not silent[1600:3200].any()
    assert silent[:1600].any()
    assert silent[3200:].any()


@pytest.mark.parametrize(
    ("values", "delivery"),
    [
        ({"pitch": "+2st"}, Delivery(pitch_semitones=2)),
        ({"pitch": "-100%"}, None),
        ({"pitch": "+100%"}, Delivery(pitch_semitones=12)),
        ({"pitch": "150Hz"}, Delivery(pitch_hz=150)),
        ({"pitch": "-20Hz"}, Delivery(pitch_shift_hz=-20)),
        ({"pitch": "x-high"}, Delivery(pitch_semitones=12 * np.log2(1.2))),
        ({"range": "50%"}, Delivery(pitch_range=0.5)),
        ({"range": "+100%"}, Delivery(pitch_range=2.0)),
        ({"range": "x-low"}, Delivery(pitch_range=0.2)),
        ({"pitch": "default"}, Delivery()),
    ],
    ids=str,
)
def test_pitch_reaches_who_can(values: dict[str, str], delivery: Delivery | None) -> None:
    """In the request of a provider with the capability."""
    attributes = " ".join(f'{name}="{value}"' for name, value in values.items())
    text = f"<prosody {attributes}>one</prosody>"
    if delivery is None:
        with pytest.raises(errors.InvalidMarkup):
            plan(text)
        return
    assert plan(text, capabilities=ABLE).pieces[0].request.delivery == delivery
    assert plan(text).pieces[0].request.delivery == Delivery()


def test_nested_pitch_adds_up() -> None:
    """Hz of an inner element are Hz of the sound, whatever semitones are around it."""
    text = '<prosody pitch="100Hz"><prosody pitch="+12st"><prosody pitch="+20Hz">one</prosody></prosody></prosody>'
    delivery = plan(text, capabilities=ABLE).pieces[0].request.delivery
    hz = (delivery.pitch_hz + delivery.pitch_shift_hz) * 2 ** (delivery.pitch_semitones / 12)
    assert hz == pytest.approx(220)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'a\n <prosody pitch="high">b</prosody>',
            "cannot change the pitch: <prosody pitch=.high.> at line 2, column 2",
        ),
        (
            "<emphasis>b</emphasis> <emphasis>c</emphasis>",
            "cannot emphasise: <emphasis> at line 1, column 1 and 1 more",
        ),
        ('<phoneme ph="x">b</phoneme>', "cannot speak phonemes.*column 1"),
        ("<prosody contour='(0%,+20Hz)'>b</prosody>", "contour.*column 1"),
        ("a <audio src='x.wav'>b</audio>", "no sound is played.*column 3"),
        ("a <express-as style='x'>b</express-as>", "element is not known.*<express-as style='x'> at line 1, column 3"),
        ('<say-as interpret-as="riddle">b</say-as>', "'riddle' is spoken as it is written.*column 1"),
        ("a <break time='1s'/>☺<break time='1s'/> b", "nothing to say.*☺.*column 21"),
    ],
    ids=lambda value: value[:20],
)
def test_what_cannot_be_done_is_told(fake: RealProvider, text: str, expected: str) -> None:
    """Each thing once, with its place, and the text is spoken all the same."""
    speech = fake.generate(text, ssml=True)
    matching = [warning for warning in speech.warnings if re.search(expected, warning)]
    assert len(matching) == 1, speech.warnings
    assert "b" in [text[slice(*mark.span)][:1] for mark in speech.marks]


def test_who_can_is_not_warned() -> None:
    """A provider with the capabilities gets everything in its requests."""
    text = (
        '<prosody pitch="high">a</prosody> <emphasis level="strong">b</emphasis> <phoneme ph="x">c</phoneme> '
        '<say-as interpret-as="characters">d1</say-as> <voice gender="female">e</voice>'
    )
    made = plan(text, capabilities=ABLE)
    assert not made.warnings
    said = [(piece.request.text, piece.request.delivery) for piece in made.pieces]
    assert [text for text, _ in said] == ["a", "b", "c", "d1", "e"]
    high, strong, phoneme, spelled, woman = (delivery for _, delivery in said)
    assert high.pitch_semitones > 0
    assert (strong.emphasis, phoneme.phonemes, phoneme.alphabet) == ("strong", "x", "ipa")
    assert (spelled.spelling, woman.gender) == (True, "female")


def test_texts_are_not_torn_for_nothing() -> None:
    """What a provider cannot do divides nothing, so that a sentence keeps its melody."""
    (piece,) = plan('I am <emphasis>very</emphasis> <prosody pitch="high">hap<mark name="x"/>py</prosody>.').pieces
    assert piece.request.text == "I am very happy."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('Say <say-as interpret-as="characters">abc1</say-as>.', "Say A B C 1."),
        ('<say-as interpret-as="spell-out">été</say-as>', "É T É"),
        ('<say-as interpret-as="verbatim">Мир</say-as>', "М И Р"),
        ('<say-as interpret-as="digits">2026</say-as>', "2 0 2 6"),
        ('<say-as interpret-as="telephone">+49 (30) 123-45</say-as>', "+ 4 9, 3 0, 1 2 3, 4 5"),
        ('<say-as interpret-as="cardinal">XIV</say-as>', "14"),
        ('<say-as interpret-as="cardinal">1,234</say-as>', "1,234"),
        ('<say-as interpret-as="ordinal">22</say-as> <say-as interpret-as="ordinal">13</say-as>', "22nd 13th"),
        ('<s xml:lang="de"><say-as interpret-as="date" format="dmy">03/10/2026</say-as></s>', "3. Oktober 2026"),
        ('<say-as interpret-as="date" format="mdy">12/24/2026</say-as>', "December 24, 2026"),
        ('<say-as interpret-as="date" format="yyyymmdd">20261124</say-as>', "November 24, 2026"),
        ('<say-as interpret-as="date">2026-01-05</say-as>', "January 5, 2026"),
        ('<say-as interpret-as="date" format="my">5/2026</say-as>', "May 2026"),
        ('<say-as interpret-as="time" format="hms12">2:30pm</say-as>', "2:30pm"),
        ('<say-as interpret-as="currency">$5.20</say-as>', "$5.20"),
        ('Oh <say-as interpret-as="expletive">damn</say-as>', "Oh "),
        ('<sub alias="et cetera">etc.</sub> ok', "et cetera ok"),
        ("AT&amp;T &#233; <![CDATA[a <b & c]]>", "AT&T é a <b & c"),
        ("one<!-- no -->two <metadata>x</metadata><desc>y</desc>", "onetwo "),
    ],
    ids=lambda value: value[:24],
)
def test_texts_are_written_out(text: str, said: str) -> None:
    """For providers that do not read them by themselves."""
    assert re.sub(" +", " ", plan(text).pieces[0].request.text).strip() == re.sub(" +", " ", said).strip()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<speak>One <emphasis>two</emphasis> three</speak>", "One|two|three"),
        ("AT&amp;T &lt;x", "AT&amp;T|&lt;x"),
        ('See <sub alias="World Wide Web">WWW</sub> now', "See|WWW|now"),
        ('<say-as interpret-as="date" format="dmy">3/10/2026</say-as> ok', "3/10/2026|ok"),
        ('<say-as interpret-as="digits">12</say-as>', "1|2"),
        ("привет\r\n<s>мир 😀x</s>", "привет|мир|😀x"),
        ("&#x65;&#x301;t&#233; e\u0301", "&#x65;&#x301;t&#233;|e\u0301"),
        ("<p>１００ ﬁn</p>", "１００|ﬁn"),
    ],
    ids=lambda value: value[:16],
)
def test_marks_point_into_the_source(fake: RealProvider, text: str, words: str) -> None:
    """Through entities, aliases, what was written out, and the text front end."""
    speech = fake.generate(text, ssml=True)
    assert "|".join(text[slice(*mark.span)] for mark in speech.marks) == words


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("<speak>open", 1, 12),
        ("<speak>\n <p>a</s>\n</speak>", 2, 8),
        ("a < b", 1, 4),
        ("é\né &nbsp; b", 2, 3),
        ("<speak>one</speak><speak>two</speak>", 1, 19),
        ("a\n\n  <break time='99s'/>", 3, 3),
        ("ж <break time='soon'/>", 1, 3),
        ("<break strength='huge'/>x", 1, 1),
        ("a <prosody rate='quick'>x</prosody>", 1, 3),
        ("a <prosody rate='150'>x</prosody>", 1, 3),
        ("a <prosody volume='+99dB'>x</prosody>", 1, 3),
        ("a <emphasis level='most'>x</emphasis>", 1, 3),
        ("a <say-as>x</say-as>", 1, 3),
        ("a <voice gender='x'>x</voice>", 1, 3),
        ("<?xml version='1.0'?>\n<!DOCTYPE s [<!ENTITY a 'aa'>]><speak>&a;</speak>", 2, 1),
        ("<?xml version='1.0'?><!DOCTYPE s SYSTEM 'file:///etc/passwd'><speak>x</speak>", 1, 22),
        ("<s a='1' a='2'>x</s>", 1, 10),
        ("<s>" * 10_000 + "x" + "</s>" * 10_000, 1, 97),
        ("<break time='60s'/>" * 61 + "x", 1, 1141),
    ],
    ids=lambda value: str(value)[:20],
)
def test_faults_have_a_place(fake: RealProvider, text: str, line: int, column: int) -> None:
    """Typed, with line and column, before any model work."""
    with pytest.raises(errors.InvalidMarkup, match=f"line {line}, column {column}") as caught:
        fake.generate(text, ssml=True)
    assert isinstance(caught.value, errors.InvalidText)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.fix


@pytest.mark.parametrize("text", ["<speak></speak>", "<break/>", "<metadata>x</metadata>", "<sub alias=''>x</sub>"])
def test_nothing_to_say(fake: RealProvider, text: str) -> None:
    """Is an error, not a silent speech."""
    with pytest.raises(errors.UnspeakableText):
        fake.generate(text, ssml=True)


@pytest.mark.parametrize(
    "unit",
    [
        "<s>Hello wörld.</s>",
        "word wörd. ",
        'a<mark name="x"/> ',
        "é &amp; <emphasis>b</emphasis> ",
        'b<break time="9ms"/>',
    ],
    ids=lambda unit: unit[:8],
)
def test_many_elements(unit: str) -> None:
    """Many elements make no more text than there is."""
    made = plan(unit * (30_000 // len(unit)))
    assert sum(len(piece.request.text) for piece in made.pieces) <= 30_000


@pytest.mark.full
def test_a_megabyte() -> None:
    """Goes through, with every word in it."""
    made = plan("<speak>" + "<s>Hello wörld there.</s>" * 40_000 + "</speak>")
    assert len(made.pieces) == 40_000
    assert made.to_original((made.pieces[-1].start, made.pieces[-1].start + 5)) == (
        7 + 25 * 39_999 + 3,
        7 + 25 * 39_999 + 8,
    )


def test_voices_and_languages() -> None:
    """A run has its own; the inner one counts."""
    made = plan(
        '<voice name="high">a <lang xml:lang="de-AT">b</lang></voice> c '
        '<s xml:lang="pt_BR">d <voice name="low">e</voice></s>'
    )
    requests = [piece.request for piece in made.pieces]
    assert [(request.text, request.voice, request.language) for request in requests] == [
        ("a", "high", None),
        ("b", "high", "de"),
        ("c", None, None),
        ("d", None, "pt-br"),
        ("e", "low", "pt-br"),
    ]
    with pytest.raises(errors.UnknownLanguage, match="line 1, column"):
        plan('<lang xml:lang="tlh">x</lang>')


def test_a_voice_of_another_language_gives_way(fake: RealProvider) -> None:
    """To a language that was chosen inside it; a voice that is named inside a language stays."""
    base = fake.generate("eins", language="de", seed=1).samples
    high = fake.generate("eins", voice="high", language="de", seed=1).samples
    assert np.array_equal(
        fake.generate('<lang xml:lang="de">eins</lang>', voice="high", seed=1, ssml=True).samples, base
    )
    inside = '<lang xml:lang="de"><voice name="High">eins</voice></lang>'
    assert np.array_equal(fake.generate(inside, seed=1, ssml=True).samples, high)


def test_gender_chooses_a_voice(fake: RealProvider) -> None:
    """Among the built-in ones; where there is none the caller is told."""
    woman = fake.generate('<voice gender="female">hello</voice>', seed=1, ssml=True).samples
    assert np.array_equal(woman, fake.generate("hello", voice="high", seed=1).samples)
    neutral = fake.generate('<voice gender="neutral">hello</voice>', seed=1, ssml=True)
    assert any("no neutral voice" in warning for warning in neutral.warnings)


@pytest.mark.parametrize("name", ["nobody", "speaker.wav", "/etc/passwd", "https://example.com/a.wav"])
def test_a_text_opens_no_file(fake: RealProvider, name: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A voice's name is looked up among saved and built-in voices only."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "speaker.wav").write_bytes(b"RIFF")
    with pytest.raises(errors.VoiceNotFound):
        fake.generate(f'<voice name="{name}">x</voice>', ssml=True)


STREAMED = (
    '<break time="0.3s"/>One <mark name="a"/>two. <voice name="high">Three</voice>, <prosody rate="150%" volume="-6dB">'
    'four five</prosody><break time="0.2s"/> <sub alias="six seven">67</sub> <lang xml:lang="de">acht</lang>.'
    '<break time="0.1s"/><mark name="z"/>'
)


def test_streaming_equals_whole(fake: RealProvider) -> None:
    """Samples, marks and warnings."""
    whole = fake.generate(STREAMED, ssml=True, seed=9)
    chunks = list(fake.stream(STREAMED, ssml=True, seed=9))
    assert np.array_equal(np.concatenate([chunk.samples for chunk in chunks]), whole.samples)
    assert tuple(mark for chunk in chunks for mark in chunk.marks) == whole.marks
    assert [mark.name for mark in whole.marks if mark.kind == "mark"] == ["a", "z"]
    (batch,) = fake.generate_batch([STREAMED], ssml=True, seed=9)
    assert np.array_equal(batch.samples, whole.samples)


def test_pieces_have_seeds_of_their_own() -> None:
    """The first has the caller's, as in plain text."""
    seeds = [piece.request.seed for piece in plan('<s>a</s><s>b</s><voice name="high">c</voice>').pieces]
    assert seeds[0] == 1
    assert len(set(seeds)) == 3


def test_cancelled_halfway(fake: RealProvider) -> None:
    """What was spoken is kept, and nothing more is."""
    stream = fake.stream("<s>one two</s>" * 500, ssml=True)
    next(iter(stream))
    fake.cancel()
    rest = list(stream)
    assert rest[-1].finish_reason == "cancelled"
    assert sum(chunk.duration for chunk in rest) < 100


def test_captions_show_no_tags(fake: RealProvider) -> None:
    """Only the text, with white space where elements divide it."""
    speech = fake.generate(
        '<speak><p>Hello <emphasis>big</emphasis> world.</p><p>See <sub alias="Doctor">Dr.</sub> AT&amp;T'
        '<break time="2s"/>now</p></speak>',
        ssml=True,
    )
    shown = " ".join(line for line in speech.srt().splitlines() if line and not re.match(r"\d", line))
    assert shown == "Hello big world. See Doctor AT&T now"
    assert "AT&amp;T" in speech.vtt()


def test_extensions_see_the_text(fake: RealProvider) -> None:
    """And not the tags; marks still point into the source."""

    class Spell:
        def prepare_text(self, text: str, language: str | None) -> str:
            assert "<" not in text
            return text.replace("$5", "five dollars")

    spec, text = fake_spec(), "It costs <emphasis>$5</emphasis> now."
    made = make_plan(
        text, Ask(None, None, 1, 1.0, {"ssml": True}), spec=spec, settings=Settings(),
        extensions=Extensions({"spell": Spell()}),
    )  # fmt: skip
    (piece,) = made.pieces
    assert piece.request.text == "It costs five dollars now."
    assert text[slice(*made.to_original((9, 13)))] == "$5"


@pytest.mark.parametrize("value", ["yes", 1, None, "true"], ids=str)
def test_the_option_is_true_or_false(fake: RealProvider, value: object) -> None:
    """Nothing else."""
    with pytest.raises(errors.InvalidOption, match="ssml"):
        fake.generate("Hello", ssml=value)


def test_without_the_option_markup_is_text(fake: RealProvider) -> None:
    """Read as it stands."""
    assert len(fake.generate("<b>one</b> two", ssml=False).marks) == 2
    with RealProvider(fake_spec(options=None)) as plain:
        assert plain.generate("<s>one</s><s>two</s>", ssml=True).duration == pytest.approx(0.35)


class OwnOptions(FakeOptions):
    """Options of a provider that reads markup itself."""

    ssml: bool = False


def test_a_provider_with_its_own_markup_gets_it_whole() -> None:
    """When it has an option of that name."""
    text = "<x>one</x> <y/> two"
    changes = {"options": OwnOptions, "capabilities": frozenset({"ssml", "marks"}), "max_chars": 20}
    (piece,) = plan(text, **changes).pieces
    assert (piece.request.text, piece.request.options.ssml) == (text, True)


def test_requests_travel_whole() -> None:
    """To isolated providers, with all that SSML asks for; a worker may know less."""
    delivery = Delivery(120.0, -5.0, 2.5, 0.5, "strong", True, "təˈmeɪtoʊ", "ipa", "female")
    request = Request("tomato", seed=1, delivery=delivery)
    content = json.loads(json.dumps(to_json(RequestMessage.of(request))))
    assert from_json(RequestMessage, content).request(fake_spec(), None, lambda: False).delivery == delivery
    del content["delivery"]
    assert from_json(RequestMessage, content).delivery == Delivery()
