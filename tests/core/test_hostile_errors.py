"""Whatever a plugin raises, and however badly the exception behaves, it is a failure with a remedy and no more."""

import asyncio
import json
import logging

import numpy as np
import pytest

from realtts import Chunk, Event, VoiceInfo, errors, hookimpl
from realtts.contract.continuous import RowEnd, RowFailed
from realtts.contract.spec import Checkpoint
from realtts.exception_text import (
    LONGEST_MESSAGE,
    describe_error,
    exception_message,
    exception_name,
    format_traceback,
    linked,
)
from realtts.ladder.remedies import find_remedy
from realtts.provider import facade
from realtts.registry.extensions import Extensions

TONE = (0.1 * np.sin(np.arange(800))).astype(np.float32)


class Unspeakable(Exception):
    """Its text raises."""

    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


class Numeric(Exception):
    """Its text is no string."""

    def __str__(self):
        return 3  # noqa: PLE0307 - that is the fault


class Exits(Exception):
    """Its text ends the program."""

    def __str__(self):
        raise SystemExit(3)


class Panic(BaseException):
    """As compiled code raises it."""


class Meta(type):
    """A class that does not say what it is called."""

    def __getattribute__(cls, name):
        if name in {"__qualname__", "__name__", "__module__"}:
            raise RuntimeError("no name")
        return super().__getattribute__(name)


class Nameless(Exception, metaclass=Meta):
    """Its class has no name that can be read."""


class Closed(Exception):
    """Its attributes raise."""

    @property
    def __cause__(self):
        raise RuntimeError("no cause")

    __context__ = __traceback__ = __class__ = __notes__ = __cause__

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __hash__ = None


class Unfinished(errors.RealTTSError):
    """One of ours whose constructor forgets its fields."""

    def __init__(self):
        pass


class Shy(errors.VoiceNotFound):
    """One that is passed on, but for its text, which raises."""

    def __init__(self):
        pass

    def __str__(self):
        raise RuntimeError("no text")


def cyclic():
    """One that is its own cause."""
    error, other = ValueError("a"), ValueError("b")
    error.__cause__, other.__cause__ = other, error
    return error


def grouped():
    """A group whose members are hostile too."""
    try:
        return BaseExceptionGroup("many", [Unspeakable(), Panic("in a group")])
    except NameError:  # Python 3.10
        return Panic("no groups here")


HOSTILE = {
    "text raises": Unspeakable,
    "text is no string": Numeric,
    "text exits": Exits,
    "no text": RuntimeError,
    "panic": lambda: Panic("index out of bounds"),
    "exit": lambda: SystemExit(5),
    "exit without code": SystemExit,
    "end of a generator": GeneratorExit,
    "stop": lambda: StopIteration("x"),
    "huge": lambda: RuntimeError("x" * 3_000_000),
    "long number": lambda: ValueError(10**6000),
    "surrogate": lambda: RuntimeError("a\ud800b"),
    "nameless": Nameless,
    "attributes raise": Closed,
    "group": grouped,
    "ours, unfinished": Unfinished,
    "ours, without a text": Shy,
    "cyclic": cyclic,
    "end of an asynchronous iterator": StopAsyncIteration,
}


@pytest.fixture(params=HOSTILE)
def hostile(request):
    """Makes an exception that is hard to show."""
    return HOSTILE[request.param]


FEW = ("text raises", "panic", "exit", "stop", "attributes raise", "group", "ours, without a text", "cyclic")
"""One of each kind, where it is not the showing that is tested."""


@pytest.fixture(params=FEW)
def odd(request):
    """Makes one of a few."""
    return HOSTILE[request.param]


class Plain:
    """Speaks a tone."""

    @hookimpl
    def load(self, context):
        """Load."""
        return object()

    @hookimpl
    def generate(self, context, model, request):
        """Speak."""
        yield Chunk(TONE, 8000)


@pytest.fixture
def make(make_provider):
    """Makes providers whose optimized variant is a class, over one that speaks a tone."""
    return lambda optimized, **fields: make_provider(Plain, optimized, fields)


def raising(stage, error):
    """A class that raises at one stage."""

    def load(self, context):
        raise error()

    def later(self, context, model):
        raise error()

    def generate(self, context, model, request):
        raise error()

    def steps(self, context, model, request):
        yield Chunk(TONE, 8000)
        raise error()

    functions = {"load": load, "rungs": load, "probe": load, "generate": generate, "steps": steps}
    hook = {"steps": "generate"}.get(stage, stage)
    return type("Raising", (), {hook: hookimpl(functions.get(stage, later))})


@pytest.mark.parametrize(
    "stage", ["rungs", "probe", "load", "convert_precision", "compile", "warmup", "generate", "steps"]
)
def test_every_stage(make, hostile, stage):
    """The rung is given up with a record that can be sent as JSON, and the next one speaks."""
    tts = make(raising(stage, hostile))
    assert tts.generate("hello").duration == pytest.approx(0.1)
    status = json.loads(json.dumps(tts.get_provider_status()))
    assert status["variant"] == "plain"
    (attempt,) = status["attempts"]
    assert attempt["message"]
    assert attempt["exception"]
    assert attempt["remedy"].endswith(".")
    assert len(attempt["message"]) < LONGEST_MESSAGE + 100
    assert len(attempt["traceback"]) < 21_000


def continuous(act):
    """A class that takes what has come, and then acts with the numbers of its rows."""

    def generate_continuous(self, context, model, arrivals):
        rows = arrivals.take(8)
        while rows:
            yield from act([row.number for row in rows])
            rows = arrivals.take(8)

    return type("Continuous", (), {"generate_continuous": hookimpl(generate_continuous)})


def at_once(error):
    """Raise before any row."""

    def act(numbers):
        raise error()
        yield

    return act


def after_a_chunk(error):
    """Raise when there is audio."""

    def act(numbers):
        yield numbers[0], Chunk(TONE, 8000)
        raise error()

    return act


def of_a_row(error):
    """Say that every row has failed."""

    def act(numbers):
        for number in numbers:
            yield number, RowFailed(error())

    return act


CONTINUOUS = {"at once": at_once, "after a chunk": after_a_chunk, "of a row": of_a_row}


@pytest.mark.parametrize("act", CONTINUOUS, ids=str)
def test_rows_that_join(make, odd, act):
    """Alone, streamed and in a batch the rows are spoken by the next rung, and the record can be sent as JSON."""
    tts = make(continuous(CONTINUOUS[act](odd)), batch_size=4)
    assert tts.generate("hello").duration == pytest.approx(0.1)
    assert sum(len(chunk.samples) for chunk in tts.stream("hello")) == 800
    assert [len(speech.samples) for speech in tts.generate_batch(["one", "two", "three"])] == [800] * 3
    (attempt,) = json.loads(json.dumps(tts.get_provider_status()))["attempts"]
    assert (attempt["stage"], attempt["variant"]) == ("generate", "optimized")
    assert attempt["remedy"].endswith(".")


ODD_ENDS = {
    "an error that is a text": RowFailed("no"),
    "no error": RowFailed(None),
    "a class of errors": RowFailed(ValueError),
    "an error that is a number": RowFailed(7),
    "a reason that is none": RowEnd("banana"),
    "a reason that is a list": RowEnd(["stop"]),
    "a reason in other letters": RowEnd("STOP"),
    "a reason that is true": RowEnd(True),
    "nothing": None,
    "a text": "end",
    "an exception": ValueError("no"),
}


@pytest.mark.parametrize("case", ODD_ENDS, ids=str)
def test_odd_ends_of_rows(make, case):
    """They break the contract, which closes the rung, and are no error of the core."""
    tts = make(continuous(lambda numbers: ((number, ODD_ENDS[case]) for number in numbers)))
    assert tts.generate("hello").duration == pytest.approx(0.1)
    (attempt,) = tts.get_provider_status()["attempts"]
    assert attempt["exception"] == "realtts.errors.InvalidChunk"


def raises_hostile(*_):
    """Stand for a function of a plugin that is asked before a load."""
    error = ASKED[0]()
    raise error


ASKED = []


def test_functions_that_are_asked_before_a_load(make, odd):
    """What lists voices and languages, and checks requests: when it fails, the request is spoken all the same."""
    ASKED[:] = [odd]
    path = f"{__name__}:raises_odd"
    tts = make(
        None,
        voices=path,
        capabilities=frozenset({"voices"}),
        check_request=path if not issubclass(type(odd()), errors.RealTTSError) else None,
        unread=path,
        checkpoint_languages=path,
        checkpoints=(Checkpoint("only"),),
    )
    assert tts.generate("hello").duration == pytest.approx(0.1)
    assert tts.voices() == []


def isinstance_safe(error, cls):
    """`isinstance` without asking the object."""
    return issubclass(type(error), cls)


def test_voices_and_unload(make, hostile):
    """Listing voices takes a lower rung; an unload that fails is logged."""

    class Listing:
        """Cannot list, cannot unload."""

        @hookimpl
        def voices(self, context, model):
            """Fail."""
            raise hostile()

        @hookimpl
        def unload(self, context, model):
            """Fail."""
            raise hostile()

    tts = make(Listing, capabilities=frozenset({"voices"}))
    assert tts.voices() == []
    tts.unload()
    assert tts.generate("hello").duration


def test_stream(make, hostile):
    """A stream whose first step fails begins on the next rung."""
    tts = make(raising("generate", hostile))
    assert sum(len(chunk.samples) for chunk in tts.stream("hello")) == 800


def test_batch(make, hostile):
    """Rows of a batch are spoken by the next rung."""

    class Batch:
        """Fails for rows together."""

        @hookimpl
        def generate_batch(self, context, model, requests):
            """Fail."""
            yield 0, Chunk(TONE, 8000)
            raise hostile()

    tts = make(Batch, batch_size=3)
    speeches = tts.generate_batch(["one", "two", "three"])
    assert [len(speech.samples) for speech in speeches] == [800] * 3
    assert tts.get_provider_status()["attempts"]


def test_iterator_that_cannot_be_closed(make, hostile):
    """The audio is complete and stands; the rung is given up, and the next request takes a lower one."""

    class Items:
        """An iterator of one chunk."""

        def __init__(self):
            self.left = [Chunk(TONE, 8000)]

        def __iter__(self):
            return self

        def __next__(self):
            if not self.left:
                raise StopIteration
            return self.left.pop()

        def close(self):
            """Fail."""
            raise hostile()

    class Closing:
        """Its iterator fails at its end."""

        @hookimpl
        def generate(self, context, model, request):
            """Speak."""
            return Items()

    tts = make(Closing)
    assert tts.generate("hello").duration == pytest.approx(0.1)
    (attempt,) = tts.get_provider_status()["attempts"]
    assert (attempt["stage"], attempt["variant"]) == ("close", "optimized")
    assert attempt["remedy"]
    assert sum(len(chunk.samples) for chunk in tts.stream("hello")) == 800
    assert tts.get_provider_status()["variant"] == "plain"


@pytest.mark.parametrize("stage", ["load", "generate", "steps"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_what_ends_the_work_stays_itself(make, stage, error):
    """Ctrl-C is nobody's failure, and neither is a task that was cancelled."""
    tts = make(raising(stage, error))
    with pytest.raises(error):
        tts.generate("hello")
    assert tts.get_provider_status()["attempts"] == []


def test_extensions(make, hostile, monkeypatch, caplog):
    """An extension that fails is named; one that listens harms nobody."""

    class Listener:
        """Fails at every event."""

        def on_event(self, event):
            """Fail."""
            raise hostile()

    class Text:
        """Fails at every text."""

        def prepare_text(self, text, language):
            """Fail."""
            raise hostile()

    class Audio:
        """Fails at every chunk."""

        def process_audio(self, chunk, request):
            """Fail."""
            raise hostile()

    def using(extension):
        monkeypatch.setattr(facade, "discover_extensions", lambda: Extensions({"x": extension}))
        return make(None)

    with caplog.at_level(logging.ERROR):
        assert using(Listener()).generate("hello").duration
    assert "failed in on_event" in caplog.text
    for extension in (Text(), Audio()):
        with pytest.raises(errors.RealTTSError) as caught:
            using(extension).generate("hello")
        assert "x" in caught.value.who or issubclass(type(caught.value), Unfinished)


def test_event_of_a_plugin(make, hostile):
    """An event whose data cannot be shown is left out."""

    class Shy:
        """Reports what cannot be reported."""

        @hookimpl
        def warmup(self, context, model):
            """Report."""

            class Thing:
                """Cannot be shown."""

                def __str__(self):
                    raise hostile()

                __repr__ = __str__

            context.report(Event("optimization.details", data={"thing": Thing()}))

    tts = make(Shy)
    assert tts.generate("hello").duration
    assert tts.get_provider_status()["attempts"] == []


def test_variant_that_cannot_be_imported(make, hostile, monkeypatch):
    """At import, and when it is constructed."""

    class Constructed:
        """Cannot be constructed."""

        def __init__(self):
            raise hostile()

    with pytest.raises(errors.InvalidPlugin):
        make(Constructed).generate("hello")


def test_class_that_cannot_be_looked_at(make, odd):
    """Its metaclass fails at whatever is asked: the plugin breaks the contract, by name."""

    class Hidden(type):
        """Says nothing."""

        def __dir__(cls):
            raise odd()

    class Secret(metaclass=Hidden):
        """A variant."""

    with pytest.raises(errors.InvalidPlugin, match="cannot be examined"):
        make(Secret).generate("hello")


def test_instance_with_a_lazy_module(make, odd):
    """An attribute that imports something when it is asked is nobody's hook, whatever comes of the import."""

    class Lazy:
        """A module that is not installed."""

        def __getattr__(self, name):
            raise ImportError(name)

    class Fast:
        """A variant with one."""

        def __init__(self):
            self.library = Lazy()

        @hookimpl
        def load(self, context):
            """Fail."""
            raise odd()

    tts = make(Fast)
    assert tts.generate("hello").duration
    assert tts.get_provider_status()["variant"] == "plain"


def test_text_of_an_exception(hostile):
    """Name, message and traceback are plain strings of bounded length."""
    try:
        raise hostile()
    except BaseException as caught:
        error = caught
    for text in (exception_name(error), exception_message(error), describe_error(error), format_traceback(error)):
        assert type(text) is str
        assert len(text) < 21_000
        text.encode()
    assert exception_name(error)
    assert next(iter(linked(error, contexts=True))) is error
    assert find_remedy(error, "load").sentence


def test_remedy_of_a_member():
    """What is known about a member of a group, or of a cause, is said."""
    memory = RuntimeError("CUDA out of memory")
    wrapped = Unspeakable()
    wrapped.__cause__ = memory
    assert find_remedy(wrapped, "load").retryable
    group = grouped()
    if not isinstance_safe(group, Panic):
        assert find_remedy(type(group)("some", [Panic(), memory]), "load").retryable


def test_voice_infos_are_still_checked(make):
    """What is no failure stays none."""

    class Listing:
        """Lists."""

        @hookimpl
        def voices(self, context, model):
            """Return one."""
            return [VoiceInfo("one", "One")]

    tts = make(Listing, capabilities=frozenset({"voices"}))
    assert [info.id for info in tts.voices()] == ["one"]
