"""The driver of `generate_continuous` on the row loop: who joins, speaks, leaves and fails, and what is left behind."""

from __future__ import annotations

import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors.torch")

from realtts.accel.decoder import serve_rows  # noqa: E402
from realtts.contract.continuous import RowEnd, RowFailed  # noqa: E402
from realtts.contract.stages import Cancelled  # noqa: E402
from realtts.contract.types import Chunk  # noqa: E402
from realtts.errors import UnspeakableText  # noqa: E402
from realtts.testing import make_arrivals, make_context, make_request  # noqa: E402
from realtts_toylm import spec, testing as tools  # noqa: E402
from realtts_toylm.frontend import prepare  # noqa: E402
from realtts_toylm.loading import CONFIG, WEIGHTS, read_network  # noqa: E402
from realtts_toylm.optimized import LoopEngine  # noqa: E402
from realtts_toylm.options import ToyOptions  # noqa: E402

RATE = 24_000
TEXTS = ["one", "two words", "three words now", "a few more words", "and some more words than that"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """A loop of four places."""
    folder = tmp_path_factory.mktemp("tiny")
    tools.write_random_checkpoint(folder)
    return LoopEngine(read_network({name: folder / name for name in (CONFIG, WEIGHTS)}, "cpu"), "fp32", places=4)


@pytest.fixture
def context():
    """A context of the provider."""
    return make_context(spec)


class Queue:
    """Arrivals that note how many were asked for."""

    def __init__(self, *requests):
        self.arrivals, self.asked = make_arrivals(requests), []

    def take(self, most, fits=None):
        """Those that fit, in order."""
        self.asked.append(most)
        return self.arrivals.take(most, fits)


def request_of(text, *, most=12, seed=3, cancelled=None):
    """A request with a limit."""
    more = {} if cancelled is None else {"cancelled": cancelled}
    return make_request(text=text, seed=seed, options=ToyOptions(max_new_tokens=most), **more)


class Counter:
    """A speaker whose samples are its tokens; a text may ask for something else."""

    def __init__(self, engine, context, row):
        self.row, self.tokens, self.end, self.calls = row, [], None, 0
        self.ask = prepare(context, row.request)
        self.engine = engine
        self.drawing = row.decode(engine.admission(self.ask), self.take)

    def take(self, block):
        """Note tokens."""
        self.tokens += block.tokens
        self.end = block.end

    def speak(self):
        """Yield the tokens at the end."""
        self.calls += 1
        if self.end:
            yield Chunk(np.array(self.tokens, np.float32), RATE, tokens=len(self.tokens), finish_reason=self.end)


def served(engine, context, requests, speaker=Counter, **options):
    """What comes of requests: chunks and end of each."""
    queue = requests if isinstance(requests, Queue) else Queue(*requests)
    chunks, ends = {}, {}
    for item in serve_rows(context, queue, engine.loop, lambda row: speaker(engine, context, row), **options):
        if item is None:
            continue
        number, content = item
        assert number not in ends, "after its end"
        if isinstance(content, Chunk):
            chunks.setdefault(number, []).append(content.samples)
        else:
            ends[number] = content
    assert engine.loop.free == engine.loop.places
    assert not engine.loop.busy
    return {number: np.concatenate(parts).tolist() for number, parts in chunks.items()}, ends


def alone(engine, context, request):
    """Tokens of a request when nobody else is there."""
    return [float(token) for block in engine.decode(context, request) for token in block.tokens]


def test_rows_speak_what_they_speak_alone(engine, context):
    """More requests than places, of mixed lengths."""
    requests = [request_of(text, most=3 + 3 * n, seed=n) for n, text in enumerate(TEXTS * 2)]
    chunks, ends = served(engine, context, requests)
    assert chunks == {n: alone(engine, context, request) for n, request in enumerate(requests)}
    assert all(end == RowEnd() for end in ends.values())


def test_only_what_there_is_room_for_is_taken(engine, context):
    """Never more than free places, and nothing while there is none."""
    queue = Queue(*[request_of(text) for text in TEXTS * 2])
    served(engine, context, queue)
    assert max(queue.asked) == 4
    assert min(queue.asked) >= 1


class Faulty(Counter):
    """Fails where its text says so."""

    def __init__(self, engine, context, row):
        super().__init__(engine, context, row)
        if row.request.text == "begin":
            raise UnspeakableText("no", who="test", fix="say something else")
        if row.request.text == "late":
            self.drawing.stop()
            self.drawing = row.decode(engine.admission(self.ask.__class__((0,), self.ask.params, 10**6, 1)), self.take)

    def take(self, block):
        """Note tokens."""
        super().take(block)
        if self.row.request.text == "take" and len(self.tokens) > 3:
            raise ValueError("take")

    def speak(self):
        """Yield the tokens at the end."""
        if self.row.request.text == "speak" and len(self.tokens) > 2:
            raise MemoryError("speak")
        if self.row.request.text == "cancel" and self.tokens:
            raise Cancelled
        return super().speak()


@pytest.mark.parametrize(
    ("text", "error"),
    [("begin", "UnspeakableText"), ("take", "ValueError"), ("speak", "MemoryError"), ("late", "DecoderError")],
)
def test_a_row_fails_alone(engine, context, text, error):
    """Wherever it is; the others speak on, and its place is given away."""
    requests = [request_of(each, seed=n) for n, each in enumerate([*TEXTS[:2], text, *TEXTS[2:]])]
    chunks, ends = served(engine, context, requests, Faulty)
    assert isinstance(ends[2], RowFailed)
    assert type(ends[2].error).__name__ == error
    expected = {n: alone(engine, context, request) for n, request in enumerate(requests) if n != 2}
    assert chunks == expected
    assert [n for n, end in ends.items() if isinstance(end, RowFailed)] == [2]


def test_a_row_that_finds_itself_cancelled(engine, context):
    """What raises `Cancelled` ends as cancelled."""
    _, ends = served(engine, context, [request_of("cancel"), request_of("one")], Faulty)
    assert ends == {0: RowEnd("cancelled"), 1: RowEnd()}


@pytest.mark.parametrize("after", [0, 1, 9])
def test_a_cancelled_row_leaves_within_a_step(engine, context, after):
    """Its end comes before the second step from there; whoever waits has its place, and others do not notice."""
    stop = threading.Event()
    requests = [request_of(TEXTS[4], most=30, cancelled=stop.is_set), *[request_of(text) for text in TEXTS]]
    if not after:
        stop.set()
    ends, steps = {}, []
    rows = serve_rows(context, Queue(*requests), engine.loop, lambda row: Counter(engine, context, row))
    for turns, item in enumerate(rows):
        if turns == after:
            stop.set()
            began = engine.loop.queue.steps
        if item is not None and isinstance(item[1], RowEnd):
            ends[item[0]] = item[1]
            if item[0] == 0:
                steps.append(engine.loop.queue.steps - began)
    assert ends[0] == RowEnd("cancelled")
    assert steps[0] <= 1
    assert len(ends) == len(requests)


@pytest.mark.parametrize("turns", [1, 2, 11])
def test_a_closed_iterator_leaves_nothing(engine, context, turns):
    """The model is as before, and speaks the same again."""
    request = request_of(TEXTS[3], most=20)
    expected = alone(engine, context, request)
    rows = serve_rows(context, Queue(*[request] * 6), engine.loop, lambda row: Counter(engine, context, row))
    for _ in range(turns):
        next(rows)
    rows.close()
    assert engine.loop.free == 4
    assert served(engine, context, [request])[0] == {0: expected}


class Early(Counter):
    """One whose first sound are its first tokens."""

    def speak(self):
        """Yield a chunk as soon as there is a token, and the end later."""
        if self.tokens or self.end:
            yield Chunk(np.array(self.tokens, np.float32), RATE, finish_reason=self.end)
            self.tokens.clear()


@pytest.mark.parametrize("live", [(), (0,), (2,), (0, 2), (0, 1, 2)], ids=str)
def test_nothing_is_decoded_ahead_of_a_first_sound(engine, context, monkeypatch, live):
    """While a stream that has joined was not heard, steps are not queued ahead; else they are."""
    real, seen = engine.loop.step, []

    def step(*, ahead=True):
        seen.append(ahead)
        return real(ahead=ahead)

    monkeypatch.setattr(engine.loop, "step", step)
    texts = enumerate(TEXTS[:3])
    requests = [
        make_request(text=text, seed=3, streaming=n in live, options=request_of("").options) for n, text in texts
    ]
    served(engine, context, requests, speaker=Early)
    assert (False in seen) is bool(live)
    assert seen[0] is not bool(live)
    assert seen[-1], "all were heard"


def test_a_step_that_fails_is_raised(engine, context, monkeypatch):
    """It is the rung's failure, and no row's; places are given back."""
    real, calls = engine.loop.step, []

    def step(**_ahead):
        calls.append(1)
        if len(calls) == 5:
            raise RuntimeError("the step")
        return real()

    monkeypatch.setattr(engine.loop, "step", step)
    with pytest.raises(RuntimeError, match="the step"):
        served(engine, context, [request_of(text) for text in TEXTS])
    monkeypatch.undo()
    assert engine.loop.free == 4
    assert served(engine, context, [request_of("one")])[1] == {0: RowEnd()}


class Units(Counter):
    """Goes on in units when its tokens are there, without a place."""

    free = ()

    def speak(self):
        """Yield nothing twice, and then the tokens."""
        if self.end:
            for _ in range(2):
                type(self).free = (*self.free, self.engine.loop.free)
                yield None
            yield Chunk(np.array(self.tokens, np.float32), RATE, tokens=len(self.tokens))


def test_a_second_phase_has_no_place(engine, context):
    """Others join while a row works off its units, and one that names no finish reason ends behind the last one."""
    Units.free = ()
    requests = [request_of(text, most=2 + 3 * n) for n, text in enumerate(TEXTS * 2)]
    chunks, ends = served(engine, context, requests, Units)
    assert chunks == {n: alone(engine, context, request) for n, request in enumerate(requests)}
    assert set(ends.values()) == {RowEnd()}
    assert len(Units.free) == 20


class Twice(Counter):
    """Draws anew with another seed where its text says when."""

    def take(self, block):
        """Note tokens, and forget them once."""
        super().take(block)
        if not self.calls_again() and (block.end or (self.row.request.text == "early" and len(self.tokens) > 3)):
            self.again = True
            if self.row.request.text != "late":
                self.anew()

    def calls_again(self):
        """Whether it was drawn anew."""
        return getattr(self, "again", False)

    def anew(self):
        """Forget what was drawn."""
        self.tokens, self.end = [], None
        self.drawing.redraw(seed=77)

    def speak(self):
        """Draw anew once the place is free."""
        if self.row.request.text == "late" and self.calls_again() and not getattr(self, "done", False):
            self.done = True
            self.anew()
            return iter(())
        return super().speak()


@pytest.mark.parametrize("text", ["early", "end", "late"])
def test_a_row_is_drawn_anew(engine, context, text):
    """In the middle, at its end, and when its place is free already: it speaks what the other seed speaks."""
    requests = [request_of(text), *[request_of(text, seed=n) for n in range(4)]]
    chunks, _ = served(engine, context, requests, Twice)
    expected = alone(engine, context, request_of(text, seed=77))
    assert chunks == dict.fromkeys(range(5), expected)


class Sentences(Counter):
    """Draws each word by itself, all at once."""

    most = 0

    def __init__(self, engine, context, row):
        self.row, self.words, self.calls = row, {}, 0
        self.texts = row.request.text.split()
        for place, word in enumerate(self.texts):
            ask = prepare(context, make_request(text=word, seed=row.request.seed, options=row.request.options))
            row.decode(engine.admission(ask), lambda block, place=place: self.add(place, block))
        self.engine = engine

    def add(self, place, block):
        """Note a word's tokens."""
        self.words.setdefault(place, []).extend(block.tokens)
        Sentences.most = max(Sentences.most, self.engine.loop.places - self.engine.loop.free)

    def speak(self):
        """Yield nothing until the last call."""
        if not self.row._drawings.has(self.row):
            tokens = [token for place in range(len(self.texts)) for token in self.words[place]]
            yield Chunk(np.array(tokens, np.float32), RATE, tokens=len(tokens), finish_reason="stop")


def test_a_request_draws_several_prompts(engine, context):
    """Each is what it is alone; the request holds half of the places at most, and others are not held up."""
    text = "some words of one request that are drawn together"
    Sentences.most = 0
    chunks, _ = served(engine, context, [request_of(text)], Sentences)
    words = [alone(engine, context, request_of(word)) for word in text.split()]
    assert chunks == {0: [token for word in words for token in word]}
    assert Sentences.most == 2
    both, ends = served(engine, context, [request_of(text)] * 2, Sentences)
    assert both == dict.fromkeys(range(2), chunks[0])
    assert set(ends.values()) == {RowEnd()}


def test_joint_work_comes_before_the_speakers(engine, context):
    """It is given those to which something has come."""
    groups = []
    served(engine, context, [request_of(text) for text in TEXTS], together=lambda rows: groups.append(len(rows)))
    assert max(groups) == 4
    assert min(groups) >= 1


@pytest.mark.parametrize("longest", [3, 20])
def test_what_does_not_fit_waits(engine, context, longest):
    """It is asked again, and one that fits nowhere is begun when nobody is there."""
    queue = Queue(*[request_of(text) for text in TEXTS])
    chunks, _ = served(engine, context, queue, fits=lambda arrival: len(arrival.request.text) <= longest)
    assert chunks == {n: alone(engine, context, request_of(text)) for n, text in enumerate(TEXTS)}


def test_stages_belong_to_the_rows_that_they_work_for(engine, context):
    """Reading a prompt is its own row's, a step all rows' that it draws."""
    log = context.stages
    for number in range(2):
        log.begin(number, f"request {number}")
    requests = [request_of("a b c", most=10), request_of("d e f", most=4)]
    served(engine, context, requests, cost=engine.cost)
    first, second = (log.totals(f"request {number}") for number in range(2))
    assert first["decode"].steps > second["decode"].steps > 0
    assert first["prefill"].steps == second["prefill"].steps == 1
    assert first["decode"].flops > second["decode"].flops > 0
    assert first["decode"].bytes > 0


def test_the_longest_wait_is_reported(engine):
    """At the end of a run: for a step, and for a unit."""
    events = []
    served(engine, make_context(spec, report=events.append), [request_of(text) for text in TEXTS])
    (longest,) = [event.data for event in events if event.name == "generate.longest"]
    assert longest["step_s"] > 0
    assert longest["unit_s"] > 0
