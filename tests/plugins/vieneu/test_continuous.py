"""Requests that join and leave while others are spoken: each sounds as if it were alone, whatever befalls others."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from realtts.contract.continuous import Arrival, RowEnd, RowFailed
from realtts.contract.spec import Checkpoint
from realtts.contract.types import Chunk, Request
from realtts.errors import NotFinite, VoiceNotFound
from realtts.testing import make_context
from realtts.testing.load import mixed_load
from realtts.testing.recording import RecordingGraphs
from realtts_vieneu import model as model_module, optimized, spec
from realtts_vieneu.optimized import Optimized
from realtts_vieneu.options import VieNeuOptions
from realtts_vieneu.testing import write_random_checkpoint

EXACT = {"dtype": "float32", "quantization": "none"}
TEXTS = (
    "Chào.",
    "Xin chào các bạn. Hôm nay trời nắng đẹp! Chúng ta cùng đi dạo nhé?",
    "Trời ơi!",
    "Cảm ơn bạn. Hẹn gặp lại.",
    "Một. Hai. Ba. Bốn. Năm. Sáu.",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint that ends some sentences before their limit."""
    path = tmp_path_factory.mktemp("ending")
    write_random_checkpoint(path, eos_bias=1.5, cloning=False)
    return path


@pytest.fixture(scope="module")
def hooks(folder):
    """The optimized variant in float32, through all stages: hooks, context and model."""
    return loaded(folder)


def loaded(folder, **settings):
    """A model that has passed all stages."""
    context = make_context(spec, checkpoint=Checkpoint("test", path=folder), **{**EXACT, **settings})
    hooks = Optimized()
    model = hooks.load(context)
    for stage in (hooks.convert_precision, hooks.compile, hooks.warmup):
        stage(context, model)
    return hooks, context, model


def request_of(number):
    """One of many: text, voice, seed and options by its number, every second one as a stream; few may run away."""
    draw = random.Random(number)
    options = {"max_chars": 20, "silence": draw.choice([0.0, 0.15]), "lookback": 8, "look_ahead": 2}
    options |= draw.choice([{}, {"temperature": 0.7}, {"top_k": 5}, {"do_sample": False}, {"top_k": 0}])
    text = TEXTS[number % len(TEXTS)]
    if number % 9 == 3:
        options["chunk_frames"] = 40
    else:
        options |= {"chunk_frames": 5, "max_new_tokens": draw.randint(3, 9)}
    return Request(
        text, voice=draw.choice([None, "Lan", "Minh"]), seed=number, options=VieNeuOptions(**options),
        streaming=number % 2 == 1,
    )  # fmt: skip


@dataclass
class Load:
    """Requests that come at random times; those to be cancelled are so after some turns.

    Attributes:
        waiting: Those that have not come.
        cancelled: Those that nobody waits for any more.
        sounds: What came of each.
        ends: How each ended.
        most: Most that were spoken at once.
    """

    waiting: dict[int, Request]
    leaving: dict[int, int] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    sounds: dict[int, list[Chunk]] = field(default_factory=dict)
    ends: dict[int, RowEnd | RowFailed] = field(default_factory=dict)
    most: int = 0
    _draw: random.Random = field(default_factory=lambda: random.Random(1))

    def take(self, most, fits=None):
        """Hand over some of those that have come."""
        taken = []
        for number in list(self.waiting)[: min(most, self._draw.choice([0, 0, 1, 2]))]:
            arrival = Arrival(number, self._cancellable(number))
            if fits is None or fits(arrival):
                taken.append(arrival)
                del self.waiting[number]
                self.sounds[number] = []
        return taken

    def _cancellable(self, number):
        told = vars(self.waiting[number]) | {"cancelled": lambda: number in self.cancelled}
        return Request(**told)

    def serve(self, hooks, each=lambda: None):
        """Speak all; the generator may end whenever nobody is there."""
        plugin, context, model = hooks
        while self.waiting:
            for item in plugin.generate_continuous(context, model, self):
                each()
                running = self.sounds.keys() - self.ends.keys()
                self.most = max(self.most, len(running))
                for number in running & self.leaving.keys():
                    self.leaving[number] -= 1
                    if self.leaving[number] == 0:
                        self.cancelled.add(number)
                if item is None:
                    continue
                number, what = item
                assert number in running, "each ends once, and nothing comes behind it"
                if isinstance(what, Chunk):
                    self.sounds[number].append(what)
                else:
                    self.ends[number] = what
            assert self.sounds.keys() == self.ends.keys()
        return self


def said(chunks):
    """All samples, and what the last chunk says."""
    last = chunks[-1]
    tokens = sum(chunk.tokens for chunk in chunks)
    return np.concatenate([chunk.samples for chunk in chunks]), tokens, last.finish_reason, last.warnings


def alone(hooks, request):
    """What comes of a request when nobody else is there."""
    plugin, context, model = hooks
    return list(plugin.generate(context, model, request))


def assert_same(found, expected):
    """To the bit: codes, and so samples, chunks of streams, and what is told of them."""
    for one, other in zip(said(found), said(expected), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("count", [9, *(pytest.param(count, marks=pytest.mark.slow) for count in (20, 60))])
def test_each_is_as_if_it_were_alone(hooks, count):
    """Streams and wholes that come, go, are cancelled, have no such voice, break or are drawn again."""
    requests = {number: request_of(12 if number == 3 else number) for number in range(count)}  # 12 runs away
    bad = {number for number in requests if number % 20 == 6}
    mixed = {n: Request("Chào.", voice="Nobody") if n in bad else request for n, request in requests.items()}
    leaving = {number: 3 + number // 6 for number in requests if number % 6 == 1}
    load = Load(dict(mixed), leaving=dict(leaving)).serve(hooks)
    assert load.ends.keys() == requests.keys()
    assert load.most > 3
    retried = 0
    for number, request in requests.items():
        end, chunks = load.ends[number], load.sounds[number]
        if number in bad:
            assert isinstance(end, RowFailed)
            assert isinstance(end.error, VoiceNotFound)
        elif number in load.cancelled and end != RowEnd():  # else all was said when nobody waited any more
            assert end == RowEnd("cancelled")
            whole = alone(hooks, request)
            for one, other in zip(chunks, whole[: len(chunks)], strict=True):
                assert np.array_equal(one.samples, other.samples)
        else:
            assert end == RowEnd()
            expected = alone(hooks, request)
            assert_same(chunks, expected)
            retried += expected[-1].retries
    assert RowEnd("cancelled") in load.ends.values()
    assert retried


def test_a_row_that_breaks_fails_alone(hooks):
    """Its logits are not finite; the others are spoken as alone, and so is who comes into its place."""
    _, _, model = hooks
    rows = model.engine.lm._network.embedding
    prompt, broken = type(rows).prompt, []

    def breaking(self, ids):
        x = prompt(self, ids)
        if not broken:
            broken.append(x.fill_(float("nan")))
        return x

    requests = {number: request_of((1, 2, 4, 7)[number]) for number in range(4)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(rows), "prompt", breaking)
        load = Load(dict(requests)).serve(hooks)
    failed = [number for number, end in load.ends.items() if isinstance(end, RowFailed)]
    assert failed == [0]
    assert isinstance(load.ends[0].error, NotFinite)
    for number in (1, 2, 3):
        assert_same(load.sounds[number], alone(hooks, requests[number]))


def test_weights_that_differ_wait_for_each_other(hooks):
    """Another head is read when nobody speaks any more; each is drawn with its own."""
    _, _, model = hooks
    requests = {
        number: Request("Chào.", seed=number, options=VieNeuOptions(max_new_tokens=8, speech_only=number % 2 == 0))
        for number in range(4)
    }
    kinds = []
    load = Load(dict(requests)).serve(hooks, each=lambda: kinds.append(model.engine.lm.outputs.kind))
    assert {"full", "speech"} == set(kinds)
    for number, request in requests.items():
        assert_same(load.sounds[number], alone(hooks, request))


def test_who_comes_later_is_heard_before_a_long_text_has_ended(hooks):
    """The last places are for those that have none."""
    book = Request(" ".join(f"Số {n} là số đẹp." for n in range(40)), options=VieNeuOptions(max_chars=20), seed=1)
    short = Request("Chào.", seed=2, streaming=True, options=VieNeuOptions(max_new_tokens=40))
    turns, ended = 0, {}
    plugin, context, model = hooks

    class Coming:
        def take(self, most, fits=None):
            if turns == 0:
                return [Arrival(0, book)]
            return [Arrival(turns, short)] if turns in {10, 11, 12} else []

    for item in plugin.generate_continuous(context, model, Coming()):
        turns += 1
        loop = model.engine.lm.rows.loop
        if item is not None and isinstance(item[1], RowEnd):
            ended[item[0]] = turns
            if len(ended) == 3:
                break
    assert ended.keys() == {10, 11, 12}
    assert max(ended.values()) < 120
    assert loop.numbers == [], "whoever stops leaves no row behind"


@pytest.mark.parametrize("max_batch", [1, pytest.param(3, marks=pytest.mark.full), None])
def test_places_follow_the_setting(folder, max_batch):
    """So does the memory of the cache; on the CPU it is let go of at the end."""
    hooks = loaded(folder, max_batch=max_batch)
    most, engine, places = max_batch or spec.batch_size, hooks[2].engine, set()
    requests = {n: Request("Chào.", seed=n, options=VieNeuOptions(max_new_tokens=3)) for n in range(2 * most)}
    load = Load(requests).serve(hooks, each=lambda: places.add(engine.lm.rows.loop.places))
    assert places == {2 * most}
    assert load.most <= most
    assert engine.lm._rows is None


def test_nothing_is_captured_while_rows_come_and_go(hooks, folder, monkeypatch):
    """With graphs, after the stages of a load: neither a step nor a prompt, and the state stays where it is."""
    backend = RecordingGraphs()
    for module in (optimized, model_module):
        monkeypatch.setattr(module, "graphs_of", lambda _: backend)
    graphed = loaded(folder, max_batch=2)
    engine, lm = graphed[2].engine, graphed[2].engine.lm
    monkeypatch.setattr(engine.codec, "_graphed", None)  # whose graphs are captured by length
    requests = {
        n: Request(
            TEXTS[n % 5], seed=n, streaming=n % 2 == 1,
            options=VieNeuOptions(max_chars=20, max_new_tokens=2 + n, do_sample=n % 3 > 0, top_k=(None, 20)[n % 2]),
        )
        for n in range(6)
    }  # fmt: skip
    state = [tensor.data_ptr() for tensor in lm.rows.loop._steps.state]
    graphs, captures, seen = list(lm.rows.loop.queue.graphs), backend.captures, set()
    load = Load(dict(requests)).serve(graphed, each=lambda: seen.add(backend.captures))
    assert seen == {captures}
    assert set(lm.rows.loop.queue.graphs) == set(graphs)
    assert [tensor.data_ptr() for tensor in lm.rows.loop._steps.state] == state
    for number, request in requests.items():
        expected = said(alone(hooks, request))
        assert said(load.sounds[number])[1:] == expected[1:]
        assert np.abs(said(load.sounds[number])[0] - expected[0]).max() < 1e-4


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        # By default: test_each_is_as_if_it_were_alone, and test_a_row_that_breaks_fails_alone.
        *(pytest.param(*each, marks=pytest.mark.full) for each in (("rung", 12), ("rows", 20))),
        *(pytest.param(fault, 40, marks=pytest.mark.slow) for fault in ("none", "rows", "rung")),
    ],
)
def test_callers_hear_what_they_hear_alone(folder, tmp_path, fault, requests):
    """From many threads; streams are left, rows fail, or the rung fails with several of them on it."""
    settings = {"model": folder, "device": "cpu", "threads": 1, "data_dir": str(tmp_path), **EXACT}
    few = {"max_chars": 20, "max_new_tokens": 8, "chunk_frames": 3, "lookback": 4, "look_ahead": 1}
    options = [few, {**few, "temperature": 0.7, "silence": 0.0}, {**few, "do_sample": False}]
    load = mixed_load(
        spec, settings, texts=TEXTS, voices=(None, "Lan", "Minh"), options=options, requests=requests, fault=fault
    )
    assert load.most_rows > 2
    assert load.cancelled
