"""Texts that are still being written: spoken sentence by sentence, as one request."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from pathlib import Path

import numpy as np
import pytest

from realtts import RealProvider, errors
from realtts.testing import fake_spec, faulty
from realtts.text import sentences
from realtts.text.arriving import SentenceFeed

TEXT = "Hello there. This is the second sentence, as it comes. And a third one!\n\nA new paragraph. The end"
ODD = "The \ufb01rst one, and a \ufb02y. \uff26\uff55\uff4c\uff4c width!\u00a0A\u200bb \u2026 and on. Cafe\u0301."
DATA = Path(__file__).parent / "data"


@pytest.fixture(params=["realtts.testing:ContinuousFakeProvider", "realtts.testing:FastFakeProvider", None])
def make(request):
    """Makes providers whose rows join, come in batches, or come one at a time."""
    made = []

    def make(**settings):
        fields = {name: settings.pop(name) for name in ("max_chars", "max_seconds_per_char") if name in settings}
        made.append(RealProvider(fake_spec(optimized=request.param, **fields), **settings))
        return made[-1]

    yield make
    for tts in made:
        tts.close()


def parts(text, seed):
    """The text in parts of 0 to 9 characters."""
    rng, at, cut = random.Random(seed), 0, []
    while at < len(text):
        size = rng.randint(0, 9)
        cut.append(text[at : at + size])
        at += size
    return cut


def joined(chunks):
    """The samples of all chunks."""
    return np.concatenate([chunk.samples for chunk in chunks])


def marks(chunks):
    """The marks of all chunks."""
    return tuple(mark for chunk in chunks for mark in chunk.marks)


async def later(items):
    """The items, each after a turn of the event loop."""
    for item in items:
        await asyncio.sleep(0)
        yield item


@pytest.mark.parametrize("seed", range(5))
def test_parts_do_not_matter(make, seed):
    """However it is cut, and whoever hands it over: the audio, the marks and the end are those of one part."""
    tts = make()
    whole = list(tts.stream([TEXT], seed=3))
    again = list(tts.stream(iter(parts(TEXT, seed)), seed=3))

    async def read(text):
        return [chunk async for chunk in tts.astream(text, seed=3)]

    task = asyncio.run(read(later(parts(TEXT, seed))))
    thread = asyncio.run(read(parts(TEXT, seed)))
    for chunks in (again, task, thread):
        assert np.array_equal(joined(chunks), joined(whole))
        assert marks(chunks) == marks(whole)
        assert chunks[-1].finish_reason == "stop"
    assert [TEXT[slice(*mark.span)] for mark in marks(whole)] == TEXT.split()


@pytest.mark.parametrize("max_chars", [20, 61, *(pytest.param(n, marks=pytest.mark.full) for n in (33, 40, 300))])
@pytest.mark.parametrize("text", [TEXT, "  One. Two.  Three! ", "word " * 30 + "end. Next one.", "a\n\nb\n\nc", ODD])
def test_with_enough_lookahead_it_is_the_whole_text(make, max_chars, text):
    """From max_chars on: pieces, seeds, pauses, marks and all."""
    tts = make(max_chars=max_chars, stream_lookahead=max_chars)
    whole = tts.generate(text, seed=9, speed=1.25)
    chunks = list(tts.stream(parts(text, 1), seed=9, speed=1.25))
    assert np.array_equal(joined(chunks), whole.samples)
    assert marks(chunks) == whole.marks


@pytest.mark.parametrize("text", ["One sentence alone", "One. ", "First, a clause; then!", "x", "No end, 3.5 in all"])
def test_a_single_sentence_is_the_whole_text(make, text):
    """Nothing joins it, whatever the lookahead."""
    tts = make()
    assert np.array_equal(joined(tts.stream(parts(text, 2), seed=4)), tts.generate(text, seed=4).samples)


def test_a_sentence_is_heard_before_the_next_is_written(make):
    """As soon as a word behind it decides that it has ended; others are spoken while text is awaited."""
    tts, heard = make(), threading.Event()

    def text():
        yield "Hello there. This "
        assert heard.wait(20)
        yield "is next.\n\n"
        heard.clear()
        assert heard.wait(20)
        yield "Done"

    with tts.stream(text(), seed=1) as stream:
        assert next(stream).marks[0].span == (0, 5)
        assert next(stream).marks[0].span == (6, 12)
        other = tts_in_thread(lambda: tts.generate("someone else", seed=2).samples)
        assert len(other())
        heard.set()
        assert [next(stream).marks[0].span for _ in range(3)] == [(13, 17), (18, 20), (21, 26)]
        heard.set()
        assert list(stream)[-1].finish_reason == "stop"
    assert stream.spoken_chars == len("Hello there. This is next.\n\nDone")


def tts_in_thread(call):
    """Call a function in another thread; returns what waits for its result."""
    result = []
    thread = threading.Thread(target=lambda: result.append(call()))
    thread.start()

    def wait():
        thread.join(20)
        return result[0]

    return wait


@pytest.mark.parametrize("after", [0, 1])
def test_a_failing_rung(make, after):
    """Before anything is heard the plain variant says all of it with the same seeds; later it is the typed error."""
    tts = RealProvider(faulty(fake_spec(), "generate", after=after))
    with tts:
        if after:
            with pytest.raises(errors.StageFailed, match="after audio had been delivered"):
                list(tts.stream(parts(TEXT, 1), seed=5))
        else:
            expected = joined(make().stream([TEXT], seed=5))
            assert np.array_equal(joined(tts.stream(parts(TEXT, 1), seed=5)), expected)
            assert tts.get_provider_status()["variant"] == "plain"


class Adding:
    """An extension that adds words, and leaves nothing of questions."""

    @staticmethod
    def prepare_text(text, language):
        """Change a text."""
        return "" if text.endswith("?") else text.replace("all", "all of it")


def test_extensions_see_sentences(make, monkeypatch):
    """One at a time; marks still point into what was written, and a sentence that an extension drops is not said."""
    tts = make()
    monkeypatch.setattr(tts._extensions, "prepare_text", Adding.prepare_text)
    text = "That is all here. Or is it? It is. "
    chunks = list(tts.stream(parts(text, 3), seed=2))
    places = [text[slice(*mark.span)] for mark in marks(chunks)]
    assert len(places) == 8
    assert [*places[:3], *places[-3:]] == ["That", "is", "all", "here.", "It", "is."]
    assert [chunk for chunk in chunks if chunk.warnings] == []


@pytest.mark.parametrize("bad", [None, 3, b"bytes", ["list"], object()], ids=lambda bad: type(bad).__name__)
@pytest.mark.parametrize("before", [[], ["Hello there. This is"]], ids=["first", "later"])
def test_an_item_that_is_no_string(make, bad, before):
    """A typed error that names its place; what was complete before it is heard first."""
    tts, heard = make(), []
    with pytest.raises(errors.InvalidText, match=rf"item {len(before)} of the text is a {type(bad).__name__}"):
        heard.extend(tts.stream([*before, bad, " never"], seed=1))
    assert [mark.span for mark in marks(heard)] == ([(0, 5), (6, 12)] if before else [])
    assert tts.get_provider_status()["attempts"] == []


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ([], errors.BlankText, "empty"),
        (["", ""], errors.BlankText, "empty"),
        ([" ", "\n\n"], errors.BlankText, "blank"),
        (["...", " !"], errors.UnspeakableText, "nothing that can be said"),
        (["Well. Then", " a\0b"], errors.InvalidText, "NUL at character 12"),
        (["Well. Then", " \ud800"], errors.InvalidText, "surrogate .* at character 11"),
        (["Well. Then " + "a" * 60], errors.TextTooLong, "more than 50"),
    ],
)
def test_bad_text(make, text, error, message):
    """As of a whole text, in the stream, with places in the whole."""
    tts = make(max_text_chars=50)
    with pytest.raises(error, match=message):
        list(tts.stream(iter(text), seed=1))
    assert tts.generate("fine").duration


class Odd(Exception):
    """An error of the writer."""


@pytest.mark.parametrize("raised", [Odd("x"), ValueError(), KeyError("k"), errors.InputError("a", who="b", fix="c")])
def test_an_iterable_that_raises(make, raised):
    """Its error comes as it is, behind the audio of the sentences that were complete."""

    def text():
        yield "Hello there. This is not"
        raise raised

    tts = make()
    heard = []
    with pytest.raises(type(raised)) as caught:
        heard.extend(tts.stream(text(), seed=1))
    assert caught.value is raised
    assert np.array_equal(joined(heard), tts.generate("Hello there.", seed=1).samples)

    async def read():
        async def written():
            yield "Hello there. This is not"
            raise raised

        with pytest.raises(type(raised)):
            [chunk async for chunk in tts.astream(written(), seed=1)]

    asyncio.run(read())
    assert tts.get_provider_status()["attempts"] == []


@pytest.mark.parametrize("end", ["close", "cancel", "drop"])
def test_text_without_an_end(make, end):
    """Is read a few sentences ahead, and no further; cancelled, it is closed at the next item."""
    tts, closed, read = make(), threading.Event(), []

    def text():
        try:
            while True:
                read.append(1)
                yield "One more sentence. "
        finally:
            closed.set()

    stream = tts.stream(text(), seed=1)
    for _ in range(8):
        next(stream)
    assert len(read) < 3 + 8 + 4 + 4
    if end == "close":
        stream.close()
    elif end == "cancel":
        assert tts.cancel() == 1
        assert list(stream)[-1].finish_reason == "cancelled"
    else:
        del stream
    assert closed.wait(20)
    assert tts.generate("fine", seed=1).duration


def test_an_async_text_is_closed(make):
    """When the loop is left; the reader is not stopped by a writer who waits for ever."""
    tts, closed = make(), []

    async def text():
        try:
            yield "Hello there. And so on. "
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def read():
        speech = tts.astream(text(), seed=1)
        async for chunk in speech:
            assert chunk.marks
            break
        await speech.aclose()
        assert closed == [True]

    asyncio.run(asyncio.wait_for(read(), 30))


def test_a_writer_who_waits_for_ever_holds_nobody(make):
    """Neither the end of the stream nor others, nor the provider's end."""
    tts, gate = make(), threading.Event()

    def text():
        yield "Hello there. And "
        gate.wait(60)

    stream = tts.stream(text(), seed=1)
    next(stream)
    assert tts_in_thread(lambda: tts.generate("another", seed=2).duration)()
    stream.close()
    tts.close()
    gate.set()


def test_the_clock_rests_while_text_is_awaited(make):
    """`request_timeout_s` limits the work, and a slow writer is none."""
    tts, gate = make(request_timeout_s=0.5), threading.Event()
    tts.load()

    def text():
        yield "Hello there. And "
        gate.wait(0.7)  # longer than the limit; nothing sets it
        yield "on it goes."

    chunks = list(tts.stream(text(), seed=1))
    assert chunks[-1].finish_reason == "stop"
    with pytest.raises(errors.RequestTimeout):
        list(tts.stream(["a " * 100], seed=1, delay_s=0.05))


@pytest.mark.parametrize("ask", ["generate", "agenerate"])
@pytest.mark.parametrize(
    ("text", "name"),
    [(["a", "b"], "generate_batch"), (("a",), "generate_batch"), (iter(["a"]), "stream("), (later(["a"]), "astream")],
)
def test_whole_speech_names_the_call_that_is_meant(make, ask, text, name):
    """Lists are several texts, iterators one that is still being written."""
    tts = make()

    def call():
        speech = getattr(tts, ask)(text)
        return asyncio.run(speech) if ask == "agenerate" else speech

    with pytest.raises(errors.InvalidText) as caught:
        call()
    assert name in caught.value.fix


@pytest.mark.parametrize(
    "text", [b"bytes", bytearray(b"x"), 7, None, later(["a"])], ids=lambda text: type(text).__name__
)
def test_what_is_no_text_is_refused_at_once(make, text):
    """Before any reading."""
    with pytest.raises(errors.InvalidText):
        make().stream(text)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"speed": 0}, {"nothing": 1}, {"ssml": True}, {"voice": "no.wav"}])
def test_wrong_arguments_are_refused_at_once(make, wrong):
    """The text is not touched; SSML can be read as a whole only."""
    touched = []
    with pytest.raises(errors.InputError):
        make().stream((touched.append(1) for _ in range(2)), **wrong)
    assert touched == []


def corpus():
    """Texts of several sentences in many languages."""
    rng = random.Random(7)
    for path in sorted(DATA.glob("sentence_ends_*.json")):
        for language, entries in json.loads(path.read_text(encoding="utf-8")).items():
            said = [sentence for entry in rng.sample(entries, min(3, len(entries))) for sentence in entry[1:]]
            yield language, ("" if language in {"zh", "yue", "ja"} else rng.choice([" ", "\n"])).join(said)


@pytest.mark.parametrize("seed", [0])
def test_sentences_that_come_early_are_those_of_the_whole(seed):
    """In all languages of the lists, however the text is cut; nothing is lost."""
    early = 0
    for language, text in corpus():
        feed, arrived = SentenceFeed(language, 100_000), []
        for part in parts(text, seed):
            arrived += feed.push(part)
        early += len(arrived)
        arrived += feed.finish()
        assert "".join(each.text for each in arrived) == text
        expected = [text[start:end] for start, end in sentences(text, language)]
        assert [each.text.strip() for each in arrived] == expected, language
    assert early > 200


@pytest.mark.parametrize("length", [30, 100, 1000])
def test_a_sentence_without_an_end_is_cut(length):
    """After a clause or a word, and a quarter more than the longest one is never held."""
    feed, held, longest = SentenceFeed("en", length), 0, 0
    text = "several words, and more of them " * (length // 4)
    for char in text:
        held += 1
        arrived = feed.push(char)
        held -= sum(len(each.text) for each in arrived)
        longest = max(longest, held)
        assert not any(each.ends for each in arrived)
    assert length <= longest <= length * 5 // 4 + 2


@pytest.mark.parametrize("size", [1, 7, 4000])
def test_all_text_is_said_whatever_it_is(make, size):
    """Emoji, marks alone, blank lines, long words and digits: words are those of the whole text, in order."""
    text = "One... two?! 😀 ... (three) four. \n\n --- \n\n" + "x" * 90 + " five 12:30.\r\n\r\n6. seven\n7. eight \n"
    tts = make(max_chars=40)
    cut = [text[at : at + size] for at in range(0, len(text), size)]
    words = [mark.span for mark in marks(tts.generate(text, seed=1).samples is not None and tts.stream(cut, seed=1))]
    assert words == sorted(words)
    said = "".join(text[slice(*span)] for span in words)
    for word in ("One", "two", "three", "four", "x" * 20, "five", "12:30", "seven", "eight"):
        assert word in said
