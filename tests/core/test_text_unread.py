"""What a provider cannot say: found by its vocabulary, named once, in one way, with its place in the caller's text."""

import string
from dataclasses import replace

import numpy as np
import pytest

from realtts import Chunk, InvalidChunk, RealProvider, Unread, UnspeakableText, hookimpl
from realtts.contract.checks import check_chunk
from realtts.testing import fake_spec
from realtts.text import is_picture, readable_text, unread_warnings
from realtts.wire.messages import ChunkMessage, from_json, to_json

RATE = 16000


def ascii_only(char):
    """A vocabulary of printable ASCII."""
    return char in string.printable


@pytest.mark.parametrize(
    ("text", "read", "unread"),
    [
        ("Hello there, it's 5!", "Hello there, it's 5!", []),
        ("Hello 😀 world", "Hello world", ["😀"]),
        ("Hello 😀, world 😀", "Hello, world", ["😀", "😀"]),
        ("😀 Hello", "Hello", ["😀"]),
        ("a😀b c", "a b c", ["😀"]),
        ("Привет, Tom", "Tom", [*"Привет"]),
        ("say 日本 twice", "say twice", ["日", "本"]),
        ("5€ or €5", "5 or 5", ["€", "€"]),
        ("2×3 ± 1", "2 3 1", ["×", "±"]),
        ("„Hi“ – she said…", '"Hi" - she said...', []),
        ("Wait。 No？", "Wait. No?", []),
        ("¿Go? ¡Now!", "Go? Now!", []),
        ("a\u200bb", "ab", []),
    ],
)
def test_what_the_vocabulary_lacks(text, read, unread):
    """Is left out and named; punctuation has no sound and is not."""
    readable = readable_text(text, ascii_only, who="test")
    assert readable.text == read
    assert [text[slice(*each.span)] for each in readable.unread if not each.instead] == unread


@pytest.mark.parametrize(
    ("text", "read", "instead"),
    [
        ("naïve café", "naive cafe", "'ï' at 2 as 'i', 'é' at 9 as 'e'"),
        ("Łódź", "Lodz", "'Ł' at 0 as 'L', 'ó' at 1 as 'o', 'ź' at 3 as 'z'"),
        ("Straße", "Strasse", "'ß' at 4 as 'ss'"),
        ("Ærø", "AEro", "'Æ' at 0 as 'AE', 'ø' at 2 as 'o'"),
        ("mañana", "manana", "'ñ' at 2 as 'n'"),
    ],
)
def test_letters_with_marks_become_letters_without(text, read, instead):
    """Where those are known; it is said which."""
    readable = readable_text(text, ascii_only, who="test")
    assert readable.text == read
    assert unread_warnings("test", text, readable.unread) == (f"test reads {instead}",)


@pytest.mark.parametrize("text", ["Привет мир", "你好世界", "😀🎉", "مرحبا", "…!", "ᚠᚢᚦ"])
def test_a_text_of_nothing_else_is_refused(text):
    """As what it is: unspeakable."""
    with pytest.raises(UnspeakableText, match="test"):
        readable_text(text, ascii_only, who="test")


def test_warnings_name_places():
    """Neighbours together, five at most, from where the text begins."""
    text = "😀😀 a 😀 b"
    unread = [Unread((0, 1)), Unread((1, 2)), Unread((5, 6))]
    assert unread_warnings("x", text, unread) == ("x has no sound for '😀😀' at 0, '😀' at 5: left out",)
    assert unread_warnings("x", text, unread, offset=100)[0].endswith("at 100, '😀' at 105: left out")
    many = [Unread((at, at + 1)) for at in range(0, 20, 2)]
    assert "and 5 more" in unread_warnings("x", "☃ " * 10, many)[0]
    assert unread_warnings("x", "é", [Unread((0, 1), "e")]) == ("x reads 'é' at 0 as 'e'",)
    assert unread_warnings("x", text, []) == ()


@pytest.mark.parametrize("char", ["😀", "❤", "☃", "🇩", "→", "\ue000", "🏽"])
def test_pictures(char):
    """Emoji, arrows, private characters."""
    assert is_picture(char)


@pytest.mark.parametrize("char", ["a", "°", "©", "™", "℃", "日", "㍿", "€", "±", "가", "."])
def test_no_pictures(char):
    """Signs that every language reads."""
    assert not is_picture(char)


@pytest.mark.parametrize(
    "unread", [[Unread((0, 1))], (Unread((0, 9)),), (Unread((2, 1)),), ((0, 1),), (Unread((0, 1), 5),), None]
)
def test_chunks_are_checked(unread):
    """Spans lie in the request's text."""
    with pytest.raises(InvalidChunk, match="unread"):
        check_chunk(Chunk(np.zeros(1, np.float32), RATE, unread=unread), (RATE,), None, "test", 5)


def test_they_go_over_the_wire():
    """With the chunk."""
    chunk = Chunk(np.zeros(4, np.float32), RATE, unread=(Unread((0, 1)), Unread((2, 3), "e")))
    message = from_json(ChunkMessage, to_json(ChunkMessage.of(0, chunk)))
    assert message.chunk(bytearray(chunk.samples.tobytes())).unread == chunk.unread


class Ascii:
    """A provider that reads ASCII."""

    @hookimpl
    def load(self, context):
        """Load nothing."""
        return object()

    @hookimpl
    def generate(self, context, model, request):
        """Speak a tenth of a second for each character that it reads."""
        readable = readable_text(request.text, ascii_only, who="ascii")
        samples = np.full(RATE // 10 * len(readable.text), 0.1, np.float32)
        yield Chunk(samples, RATE, unread=readable.unread, finish_reason="stop")


class AsciiBatch(Ascii):
    """The same, several rows at a time."""

    @hookimpl
    def generate_batch(self, context, model, requests):
        """Speak them one after the other."""
        for row, request in enumerate(requests):
            for chunk in self.generate(context, model, request):
                yield row, chunk


def spec_of(cls, **changes):
    """A spec of a provider here."""
    return replace(fake_spec(**changes), plain=f"{__name__}:{cls.__name__}", optimized=None, sample_rates=(RATE,))


@pytest.fixture(params=[Ascii, AsciiBatch])
def tts(request):
    """A provider that takes 20 characters at a time."""
    with RealProvider(spec_of(request.param, max_chars=20)) as provider:
        yield provider


def test_places_are_in_the_callers_text(tts):
    """Behind soft hyphens, full-width letters and in later pieces."""
    text = "so\u00adft １２ ☃ one. Then the next piece ☃ comes."
    (warning,) = tts.generate(text).warnings
    assert warning == f"fake has no sound for '☃' at {text.index('☃')}, '☃' at {text.rindex('☃')}: left out"


@pytest.mark.parametrize("first", [True, False])
def test_a_piece_that_cannot_be_said_is_left_out(tts, first):
    """And named; the others are spoken."""
    parts = ["Привет, мой милый.", "And now in English."]
    text = " ".join(parts if first else reversed(parts))
    speech = tts.generate(text)
    assert speech.duration == pytest.approx(1.9, abs=0.3)
    assert all(f"{word!r} at {text.index(word)}" in speech.warnings[0] for word in ("Привет,", "мой", "милый."))
    with tts.stream(text) as stream:
        chunks = list(stream)
    assert chunks[-1].warnings[0] == speech.warnings[0]
    assert chunks[-1].unread


def test_a_text_of_several_unspeakable_pieces_is_refused(tts):
    """As one of one piece is."""
    for text in ("Привет, мой милый. Как твои дела сегодня?", "Привет."):
        with pytest.raises(UnspeakableText):
            tts.generate(text)
        with pytest.raises(UnspeakableText), tts.stream(text) as stream:
            list(stream)
    assert tts.generate("Fine.").warnings == ()
