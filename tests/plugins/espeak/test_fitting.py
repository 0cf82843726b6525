"""Texts that espeak-ng cannot hold: all of them is spoken, what fits is not touched, nothing ends the process."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from realtts import errors
from realtts_espeak import fitting
from realtts_espeak.fitting import cuts
from realtts_espeak.limits import overflows
from realtts_espeak.synthesis import plain_text

DOUBLED = {
    "digits": [("7", 32, "en"), ("4", 20, "de"), ("9", 25, "ru"), ("3", 16, "fr")],
    "words": [("7 ", 200, "en"), ("a b ", 140, "en"), ("x1 ", 140, "en"), ("việt ", 150, "vi"), ("слово ", 110, "ru")],
    "dots": [("a.", 60, "en"), ("é.", 40, "fr"), ("т.е. ", 20, "ru"), ("z.B. ", 20, "de"), ("p.m. ", 30, "en")],
    "spelled": [("w", 20, "en"), ("X", 25, "en"), ("w.", 20, "en")],
    "addresses": [("ab.cd.", 60, "en"), ("1,2,3,", 20, "en"), ("3.5 ", 100, "en")],
    "long words": [
        ("ba", 70, "en"),
        ("Straße", 20, "de"),
        ("слово", 20, "ru"),
        ("λόγος", 20, "el"),
        ("مدرسة", 20, "ar"),
    ],
    "unspaced": [
        ("さくらのはなが", 12, "ja"),
        ("中文字符", 40, "cmn"),
        ("ก", 45, "th"),
        ("ひらがなとカタカナ", 10, "ja"),
    ],
    "other scripts": [("안녕하세요", 12, "ko"), ("გ", 40, "ka"), ("ለ", 50, "am"), ("क", 60, "hi"), ("தமிழ்", 15, "ta")],
    "pictures": [("😀", 15, "en"), ("🍎🚗", 10, "de")],
}

FITTING = [
    ("gmw/en-US", "The quick brown fox jumps over the lazy dog and then " * 15 + "sleeps."),
    ("gmw/en-US", "7" * 32),
    ("gmw/en-US", "a " * 290),
    ("gmw/en-US", "U.S.A., e.g. the C.I.A.'s, at 5 p.m. i.e. late"),
    ("gmw/de", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"),
    ("sit/cmn", "中文字符" * 45),
    ("jpx/ja", "わたしはきのうともだちといっしょにえきのちかくのちいさなレストランで"),
    ("ko", "안녕하세요 저는 한국에서 온 학생입니다 만나서 반갑습니다"),
    (
        "zle/ru",
        "Однажды весною, в час небывало жаркого заката, в Москве, на Патриарших прудах, появились два гражданина.",
    ),
    ("roa/fr", "Les 3,14159 mètres coûtent 1 000 000 € à Paris, s.v.p. et merci beaucoup"),
    ("gmw/en-US", "https://www.example.com/some/long/path.html?query=value&more=12345 is 192.168.100.200"),
]

CRASHING = [
    "്." * 120,
    *(
        "a." * 200,
        "i.e. " * 120,
        "p.m. " * 120,
        "é." * 150,
        "z.B. d.h. u.s.w. " * 40,
        "a .b .c " * 80,
        "т.е..т.е." * 60,
    ),
    *("http://" + "a.b.c.d.e." * 60, "63433." * 60, "0,0000000000" * 30, "http://nv.j.e.p.j " * 55, "x,1 y;2 " * 120),
]


def seconds(say: Callable[..., object], text: str, language: str) -> float:
    """Duration, at a rate that keeps the test short."""
    return say(text, language=language, rate=450).duration  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.full) for kind in DOUBLED])
def test_twice_the_text_is_twice_as_long(say, kind: str) -> None:
    """Within 15 percent, on both sides of the limit."""
    for unit, count, language in DOUBLED[kind]:
        once, twice = (seconds(say, unit * times, language) for times in (count, 2 * count))
        assert twice == pytest.approx(2 * once, rel=0.15), (unit, language)


@pytest.mark.parametrize(
    ("unit", "count", "language"),
    [
        ("7", 33, "en"),
        ("w.", 20, "en"),
        ("ba", 70, "en"),
        ("さくらのはなが", 8, "ja"),
        ("ለ", 35, "am"),
        ("한", 40, "ko"),
    ],
)
def test_nothing_is_lost(say, unit: str, count: int, language: str) -> None:
    """The quick sample of the above: a text past its limit against one half of it."""
    once, twice = (seconds(say, unit * times, language) for times in (count, 2 * count))
    assert twice == pytest.approx(2 * once, rel=0.15)


@pytest.mark.parametrize(("voice", "text"), FITTING, ids=lambda value: value[:20])
def test_what_fits_stays_whole(voice: str, text: str) -> None:
    """No cut, so espeak gets what it got before, and the samples are the same."""
    assert cuts(text, voice) == []


def test_parts_sound_like_the_whole(say) -> None:
    """A cut that is not needed, made anyway, costs a fifth of the length at most."""
    text = "the cat and the dog went to the sea and saw a boat there"
    whole = say(text).duration
    parts = say(text[:28]).duration + say(text[28:]).duration
    assert parts == pytest.approx(whole, rel=0.2)


@pytest.mark.parametrize("text", CRASHING, ids=lambda text: text[:12])
def test_parts_are_safe(text: str) -> None:
    """Every part is one that espeak holds, and the parts are the text."""
    places = [0, *cuts(text, "gmw/en-US"), len(text)]
    assert places == sorted(set(places))
    assert len(places) > 2
    assert not any(overflows(text[start:end]) for start, end in itertools.pairwise(places))


SPEAKING = """
import sys
from realtts.contract.types import Request
from realtts_espeak.options import EspeakOptions
from realtts_espeak.plain import Plain
plain = Plain()
model = plain.load(None)
for text in eval(sys.argv[1]):
    for voice in ("en-us", "es"):
        options = EspeakOptions(rate=450)
        request = Request(text[:300], voice, None, 0, 1.0, options, lambda: False)
        print(sum(len(chunk.samples) for chunk in plain.generate(None, model, request)) > 0)
"""


@pytest.mark.parametrize(
    "texts", [CRASHING[1:3], pytest.param(CRASHING[3:6], marks=pytest.mark.full)], ids=["few", "more"]
)
def test_the_process_lives(texts) -> None:
    """Dotted letters ended it."""
    done = subprocess.run([sys.executable, "-c", SPEAKING, repr(texts)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["True"] * 2 * len(texts)), done.stderr


UNITS = st.one_of(
    st.sampled_from(
        ["e.g.", "i.e.", "p.m.", "U.S.A.", "z.B.", "т.е.", "a.", "é.", "B2B", "x1", "12%", "1.2.3.4", "WWW", "’"]
    ),
    st.integers(0, 10**12).map(str),
    st.text("abcxyzäßéабвгאבגकखกขかな中文가나აბ", min_size=1, max_size=12),
    st.lists(st.sampled_from("abcé"), min_size=2, max_size=20).map(".".join),
    st.text(min_size=1, max_size=6),
)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    st.lists(UNITS, min_size=1, max_size=6),
    st.sampled_from(["", " ", ", ", ". ", "-", ".", " .", "/", "\n\n"]),
    st.integers(1, 150),
    st.sampled_from(["gmw/en-US", "gmw/de", "roa/fr", "zle/ru", "jpx/ja", "sit/cmn", "ko", "inc/hi"]),
)
def test_any_clause_is_cut_into_safe_parts(parts: list[str], separator: str, times: int, voice: str) -> None:
    """A grammar of what made it crash or lose words; the long run is `benchmarks/fuzz_espeak.py`."""
    text = plain_text((separator.join(parts) + separator) * times)[:1000]
    places = [0, *cuts(text, voice), len(text)]
    for start, end in itertools.pairwise(places):
        assert start < end or not text
        assert end - start == 1 or not overflows(text[start:end], ideographs=voice.startswith("sit/"))


@pytest.mark.parametrize(
    "text",
    [
        "a." * 200,
        "<emphasis>" + "e.g. " * 60 + "</emphasis>",
        "<p>" + "7 " * 310 + "</p>",
        pytest.param(  # seconds; by default the others
            "<prosody rate='fast'>" + "b.<break strength='none'/>" * 100 + "</prosody>", marks=pytest.mark.full
        ),
        '<voice name="ja">' + "さくら" * 40 + "</voice>",
        '<lang xml:lang="ru">' + "т.д." * 80 + "</lang>",
        '<say-as interpret-as="characters">' + "w" * 60 + "</say-as>",
        "AT&amp;T " * 120,
    ],
    ids=lambda text: text[:20],
)
def test_ssml_is_spoken_to_its_end(say, text: str) -> None:
    """Twice the SSML is twice as long, too."""
    once = say(f"<speak>{text}</speak>", ssml=True, rate=450).duration
    twice = say(f"<speak>{text} {text}</speak>", ssml=True, rate=450).duration
    assert twice == pytest.approx(2 * once, rel=0.15)


@pytest.mark.parametrize("text", ["네.", "내일 만나요.", "누구세요?", "나무", "목요일", "노래", "머리", "다리", "바다"])
def test_sound_without_an_event_is_sound(say, text: str) -> None:
    """Korean words that begin with some letters bring no event."""
    spoken = say(text, language="ko")
    assert spoken.duration > 0.2
    assert spoken.words == [word.strip(".?") for word in text.split()] or spoken.words == text.split()
    assert not spoken.warnings


def test_a_sentence_without_an_event_is_not_dropped(say) -> None:
    """It has its sound and its mark."""
    both, one = (say(text, language="ko") for text in ("네. 알겠습니다.", "알겠습니다."))
    assert both.duration > one.duration + 0.2
    assert both.words == ["네", "알겠습니다"]


def test_what_has_no_sound_is_told(say, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning with the place, and no mark."""
    monkeypatch.setattr("realtts_espeak.plain.is_silent", lambda word, _voice: word == "of")
    spoken = say("one of the two of the")
    silent = [word for word in ("of",) if word not in spoken.words]
    assert bool(spoken.warnings) == bool(silent)
    assert all("no sound" in warning and "at 4" in warning for warning in spoken.warnings)


@pytest.mark.parametrize("text", ["★ ★", "...", "\u200b"])
def test_only_silence_is_an_error(say, text: str) -> None:
    """Nothing to say is no empty speech."""
    with pytest.raises(errors.UnspeakableText):
        say(text, language="fr")


@pytest.mark.full
def test_random_texts_lose_no_word(say) -> None:
    """Every word of texts without punctuation is marked, and lasts some time."""
    draw = random.Random(5)
    for language, words in (
        ("en", "red 7 x1 3.5 apple U.S.A."),
        ("de", "Haus 12 z.B. gelb"),
        ("ru", "дом 5 т.е. свет"),
    ):
        text = " ".join(draw.choices(words.split(), k=230))
        spoken = say(text, language=language, rate=450)
        assert len(spoken.marks) == len(text.split())
        assert np.mean([mark.end > mark.start for mark in spoken.marks]) > 0.95


def test_silence_is_remembered() -> None:
    """A word is asked about once."""
    fitting.is_silent.cache_clear()
    assert not fitting.is_silent("of", "gmw/en-US")
    assert not fitting.is_silent("of", "gmw/en-US")
    assert fitting.is_silent.cache_info().hits == 1
