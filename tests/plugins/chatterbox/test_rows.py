"""Requests that come and go: each says what it says alone, whoever is there; places, memory and graphs of T3's rows."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiers import by_default

from realtts.accel.decoder import prefixes
from realtts.errors import DecoderError
from realtts.testing import make_context, make_request, voice_like
from realtts.testing.load import mixed_load
from realtts.testing.recording import RecordingGraphs
from realtts_chatterbox import rows as module
from realtts_chatterbox.alignment import Alignment
from realtts_chatterbox.desk import Desk
from realtts_chatterbox.engine import utterance_of
from realtts_chatterbox.frontend import prepare
from realtts_chatterbox.network import T3
from realtts_chatterbox.options import ChatterboxOptions

EXACT = {"device": "cpu", "threads": 1, "dtype": "float32", "quantization": "none"}
TEXTS = ("Hm.", "A word or two.", "The sea is calm tonight, and far away a ship goes by.")
FEW = {"watermark": False, "n_cfm_timesteps": 1, "max_new_tokens": 28, "chunk_tokens": 15}
OPTIONS = {
    "english": ({}, {"temperature": 1.2}, {"cfg_weight": 0.0}, {"cfg_weight": 0.8, "exaggeration": 1.0}),
    "multilingual": ({}, {"temperature": 1.2}, {"cfg_weight": 0.0}, {"repetition_penalty": 1.2}),
    "turbo": ({}, {"temperature": 1.2}, {"top_k": 50}, {"top_p": 0.8, "repetition_penalty": 1.5}),
}
FULL_KINDS = tuple(pytest.param(kind, marks=pytest.mark.full) for kind in ("english", "multilingual"))
KINDS = ("english", *(pytest.param(kind, marks=pytest.mark.full) for kind in ("multilingual", "turbo")))


# -- through the provider -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "requests", "fault"), [
    # By default the conformance suite's rows, and tokens alone and beside others.
    *(pytest.param(*each, marks=pytest.mark.full) for each in (
        ("english", 14, "rows"), ("english", 14, "rung"), ("turbo", 14, "rung"),
    )),
    *(pytest.param(kind, 60, fault, marks=pytest.mark.slow) for kind in OPTIONS for fault in ("none", "rows", "rung")),
])  # fmt: skip
def test_every_request_is_what_it_is_alone(plugin, folders, tmp_path, kind, requests, fault):  # noqa: PLR0917
    """Whole, streamed and left; also while one row in twenty fails, or the rung does. To the last bit."""
    settings = {**EXACT, "model": folders(kind), "data_dir": tmp_path}
    options = [{**FEW, **each} for each in OPTIONS[kind]]
    voices = (None,) if requests < 60 else (None, voice_like(6))
    mixed_load(plugin, settings, texts=TEXTS, voices=voices, options=options, requests=requests, fault=fault)


@pytest.mark.full  # by default: test_serving.test_a_row_is_drawn_anew, in tests/accel
@pytest.mark.parametrize("kind", ["english", "turbo"])
def test_a_retry_is_a_row(make, kind):
    """Several run into their cap at once; each is drawn anew, as it is when it is alone."""
    tts = make(kind, dtype="float32", quantization="none", force_tokens_per_char=None)
    given = {"watermark": False, "n_cfm_timesteps": 1}
    first, second = tts.generate_batch(["Hm.", "Oh."], seed=3, **given)
    for speech in (first, second):
        assert any("spoken again" in warning for warning in speech.warnings)
    alone = tts.generate("Oh.", seed=second.seed, **given)
    assert alone.metrics.retries == second.metrics.retries == 1
    np.testing.assert_array_equal(alone.samples, second.samples)


# -- T3 -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def t3_of(weights_of):
    """T3 of a tiny checkpoint, in float32."""

    def make(kind, **options):
        return T3.from_state_dict(weights_of(kind).t3_state, kind=kind, **options)

    return make


def utterances_of(weights, count, *, most=20):
    """Utterances of mixed lengths, seeds and sampling; every third without guidance."""
    draw, context, utterances = random.Random(1), make_context(), []
    for number in range(count):
        text = " ".join(draw.choice(["sea", "calm", "tonight", "and", "away"]) for _ in range(draw.choice([1, 3, 12])))
        options = {"temperature": draw.choice([0.7, 1.1])}
        if weights.configuration.name != "turbo":
            options |= {"cfg_weight": 0.0 if number % 3 == 2 else 0.5, "exaggeration": draw.choice([0.3, 1.0])}
        request = make_request(text, seed=number, options=ChatterboxOptions(**options))
        ask = replace(prepare(context, weights, request), most=draw.randint(1, most), forced=number % 5 == 4)
        utterances.append(utterance_of(ask, weights.builtin))
    return utterances


def serve(t3, utterances, *, cancel=()):
    """Admit utterances at random times; the tokens of each, of some only the first ones."""
    draw, waiting, rows = random.Random(2), list(range(len(utterances))), t3.rows
    found = {number: [] for number in waiting}
    while waiting or rows.busy:
        while waiting and rows.free and draw.random() < 0.5:
            number = waiting.pop(0)
            rows.admit(number, t3.admission(utterances[number]))
        for block in rows.step():
            found[block.number].extend(block.tokens)
            if block.end or (block.number in cancel and len(found[block.number]) >= 3):
                rows.release(block.number)
    return found


@pytest.mark.parametrize("backend", by_default({"eager": None, "recorded": RecordingGraphs}, "recorded"))
@pytest.mark.parametrize(
    "kind",
    [
        "turbo",
        pytest.param("english", marks=pytest.mark.full),
        pytest.param("multilingual", marks=pytest.mark.slow),  # with `full`: test_the_alignment_is_the_rows_own
    ],
)
def test_tokens_are_those_drawn_alone(t3_of, weights_of, monkeypatch, kind, backend):
    """With and without guidance, with the alignment or not; after the warm-up nothing is captured or allocated."""
    monkeypatch.setattr(module, "SLOTS", 128 if kind == "english" else 256)
    utterances = utterances_of(weights_of(kind), 10)
    single = t3_of(kind, places=1)
    expected = {n: [t for block in single.decode([each]) for t in block.tokens] for n, each in enumerate(utterances)}
    recorder = backend and backend()
    t3 = t3_of(kind, backend=recorder, places=4)
    captures, before = 0, []
    if recorder:
        for each in utterances[:3]:
            assert t3.capture(each)
        captures, before = recorder.captures, addresses(t3)
    found = serve(t3, utterances, cancel={3})
    assert found.pop(3) == expected.pop(3)[:3]
    assert found == expected
    assert t3.rows.queue.row_steps > 1.5 * t3.rows.queue.steps, "rows ran beside each other"
    if recorder:
        assert recorder.captures == captures
        assert addresses(t3) == before


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_voice_begins_with_is_read_once(t3_of, weights_of, monkeypatch, kind):
    """For each strength of emotion; the tokens are those of prompts that are read whole."""
    utterances = utterances_of(weights_of(kind), 6)
    t3 = t3_of(kind)
    found = serve(t3, utterances)
    assert t3.prefixes.read == len({each.exaggeration for each in utterances})
    monkeypatch.setattr(prefixes, "LEAST", 10_000)
    assert serve(t3_of(kind), utterances) == found


def addresses(t3):
    """Where everything lies that a step changes."""
    loops = t3.rows._loops.values()
    return [tensor.data_ptr() for loop in loops for tensor in (*loop._steps.state, loop.cache._kv)]


def test_a_longer_row_waits_for_an_empty_loop(t3_of, weights_of, monkeypatch):
    """Nobody joins meanwhile; then the loop is made anew, and what is longer than the model is refused."""
    monkeypatch.setattr(module, "SLOTS", 128)
    t3, (short, other) = t3_of("english"), utterances_of(weights_of("english"), 2)
    long = replace(other, most=200)
    now = t3.admission(short)
    assert t3.reserve(0, short)
    t3.rows.admit(0, now)
    assert not t3.reserve(1, long)
    assert t3.rows.waits
    t3.rows.release(0)
    assert t3.reserve(1, long)
    assert not t3.rows.waits
    assert t3.rows.loop(guides=True).cache.cap == 256
    t3.rows.admit(2, now)
    assert not t3.reserve(3, replace(short, most=400))
    t3.rows.give_up(3)
    assert not t3.rows.waits
    t3.rows.release(2)
    endless = t3.admission(replace(short, most=20_000))
    with pytest.raises(DecoderError, match="slots"):
        t3.rows.admit(4, endless)
    assert t3.rows.free == 8


def test_memory_follows_the_rows(t3_of, weights_of):
    """What several rows needed goes when they have left; a single one takes its own part of the cache alone."""
    t3, utterances = t3_of("turbo"), utterances_of(weights_of("turbo"), 3)
    list(t3.decode(utterances[:1]))
    reached = t3.rows.loop(guides=False).cache._reached
    assert t3.rows.loop(guides=False) is t3.rows.loop(guides=False)
    assert reached[0] > 0
    list(t3.decode(utterances))
    assert not t3.rows._loops


# -- the desk -------------------------------------------------------------------------------------------------------


class Sounding:
    """A row with something to compute."""

    def __init__(self, *, live, heard=False, ready=True):
        self.live, self.heard, self.ready = live, heard, ready


def test_first_pieces_come_first():
    """Then further ones, then whole speech, each in order of coming; one at a time."""
    whole, later, further = Sounding(live=False), Sounding(live=False), Sounding(live=True, heard=True)
    first, second = Sounding(live=True), Sounding(live=True)
    desk = Desk()
    for number, row in enumerate((whole, later, further, first, second)):
        desk.join(number, row)
    order = []
    while waiting := [row for row in desk.rows if row.ready]:
        (served,) = [row for row in waiting if desk.serves(row)]
        order.append(served)
        served.ready, served.heard = False, True
    assert order == [first, second, further, whole, later]


def test_who_was_heard_lets_others_begin():
    """While a first piece is drawn, the others compute at every fourth step, and else at each."""
    whole, begins = Sounding(live=False), Sounding(live=True, ready=False)
    desk = Desk()
    desk.join(0, whole)
    assert [desk.serves(whole) for _ in range(3)] == [True] * 3
    desk.join(1, begins)
    assert [desk.serves(whole) for _ in range(8)] == [False, False, False, True] * 2
    desk.leave(1)
    assert desk.serves(whole)


def test_the_alignment_is_the_rows_own():
    """A row begins with zeros and its own length."""
    watch = Alignment(3, cache_rows=6, cap=40, device=torch.device("cpu"), text_begin=4, stop=9)
    assert all(len(tensor) == 3 for tensor in watch.state.values())
    beginning = watch.beginning(12, watched=True)
    assert beginning.keys() <= watch.state.keys()
    assert beginning["alignment.numbers"][:2].tolist() == [12, 1]  # watched
