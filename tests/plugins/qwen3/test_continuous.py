"""Requests that join and leave a running batch: each speaks what it speaks alone."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch
from tiers import by_default

from realtts.accel.sampling import SamplingParams
from realtts.testing.load import mixed_load
from realtts.testing.recording import RecordingGraphs
from realtts_qwen3 import network, spec
from realtts_qwen3.codec import CodecDecoder
from realtts_qwen3.codec_rows import CodecRow, decode_together, growing_sizes
from realtts_qwen3.network import Talker
from realtts_qwen3.testing import write_random_checkpoint
from realtts_qwen3.utterance import Utterance

CUSTOM, CLONE, DESIGN = "0.6b-custom-voice", "0.6b-base", "1.7b-voice-design"
EXACT = {"device": "cpu", "threads": 1, "dtype": "float32", "quantization": "none"}
TEXTS = ["test.", "the test.", "hello there, you.", "hello, the test is long.", "so."]
OPTIONS = [
    {},
    {"do_sample": False, "chunk_frames": 2},
    {"subtalker_dosample": False, "max_chunk_frames": 3},
    {"temperature": 1.3, "top_k": 0, "subtalker_top_p": 0.8},
]
KINDS = [
    (SamplingParams(0.9, 50, repetition_penalty=1.05), SamplingParams(0.9, 50)),
    (SamplingParams(greedy=True), SamplingParams(greedy=True)),
    (SamplingParams(greedy=True), SamplingParams(1.1, top_p=0.8)),
    (SamplingParams(0.7, 20), SamplingParams(greedy=True)),
    (SamplingParams(1.3), SamplingParams(1.2, 5, top_p=0.95)),
]


# -- through the provider -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        # By default the suite's rows: test_a_row_is_what_it_is_alone and test_a_row_that_fails_fails_alone.
        *(pytest.param(*each, marks=pytest.mark.full) for each in (("rung", 12), ("rows", 20))),
        *(pytest.param(fault, 60, marks=pytest.mark.slow) for fault in ("none", "rows", "rung")),
    ],
)
def test_each_is_what_it_is_alone(folders, fault, requests):
    """Wholes, streams and streams that are left; beside rows that fail, and when the rung falls in the middle."""
    report = mixed_load(
        spec, {"model": folders(CUSTOM), "force_tokens_per_char": 0.3, **EXACT},
        texts=TEXTS, voices=["ryan", "vivian"], options=OPTIONS, requests=requests, fault=fault, tolerance=1e-5,
    )  # fmt: skip
    assert report.most_rows > 2


@pytest.mark.full  # by default: test_row_loop.test_a_prefix_serves_many_rows, in tests/accel
def test_clones_share_what_their_voice_begins_with(make, recording, monkeypatch):
    """A recording's words are read once, and each request says what it says alone."""
    monkeypatch.setattr("realtts.accel.decoder.prefixes.LEAST", 6)
    seen = []
    real = network.Prefixes.read_on
    monkeypatch.setattr(network.Prefixes, "read_on", lambda self, *begin: seen.append(self) or real(self, *begin))
    tts = make(CLONE, force_tokens_per_char=0.5, dtype="float32", quantization="none", strict=True)
    tts.load()
    before = seen[-1].read if seen else 0  # what the warm-up begins with
    arguments = {"voice": recording, "reference_text": "hello the hello", "seed": 4}
    together = tts.generate_batch(TEXTS[:4], **arguments)
    assert seen[-1].read == before + 1
    monkeypatch.setattr("realtts.accel.decoder.prefixes.LEAST", 10_000)
    for text, speech in zip(TEXTS, together, strict=False):
        alone = tts.generate(text, **{**arguments, "seed": speech.seed})
        assert np.abs(alone.samples - speech.samples).max() < 1e-4
    assert seen[-1].read == before + 1


def test_one_that_needs_longer_rows_waits_for_them(make, monkeypatch):
    """Others go first; then the rows are made anew, and all is said."""
    monkeypatch.setattr(network, "_SLOTS", 32)
    monkeypatch.setattr(network, "_ROUND", 8)
    made = []

    class Noted(network.FrameRows):
        def __init__(self, *networks, **sizes):
            made.append(sizes["cap"])
            super().__init__(*networks, **sizes)

    monkeypatch.setattr(network, "FrameRows", Noted)
    tts = make(force_tokens_per_char=1.0, dtype="float32", quantization="none", strict=True)
    texts = ["so.", "test the test, hello.", "test."]
    for text, speech in zip(texts, tts.generate_batch(texts, seed=1), strict=True):
        assert len(speech.samples) == 1920 * len(text)
    assert len(made) >= 2
    assert made == sorted(set(made))


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """A checkpoint that ends soon."""
    folder = tmp_path_factory.mktemp("hasty")
    write_random_checkpoint(folder, model=CUSTOM, eos_bias=7.0)
    return folder


def test_what_ends_too_early_is_drawn_again_in_its_place(make, hasty, monkeypatch):
    """Behind the prompt that was read; once, with a derived seed and a word about it; a stream is not."""
    text = "hello there, this is the test, and hello again, this is the test. " * 4
    admitted = []
    real = network.FrameRows._placed
    monkeypatch.setattr(network.FrameRows, "_placed", lambda *a, **k: admitted.append(1) or real(*a, **k))
    tts = make(path=hasty, dtype="float32", quantization="none", strict=True, force_tokens_per_char=None)
    tts.load()
    admitted.clear()
    speech = tts.generate(text, seed=3)
    assert speech.metrics.retries == 1
    assert any("ended too early" in warning and "spoken again" in warning for warning in speech.warnings)
    assert len(admitted) == 1
    without = make(path=hasty, dtype="float32", quantization="none", retry_runaway=False, force_tokens_per_char=None)
    from realtts.kit.retries import retry_seed

    again = without.generate(text, seed=retry_seed(3))
    np.testing.assert_allclose(speech.samples, again.samples, atol=1e-5)
    assert tts.generate(text, seed=3, max_new_tokens=400).metrics.retries == 0
    with tts.stream(text, seed=3) as stream:
        assert len(np.concatenate([chunk.samples for chunk in stream]))


# -- frames ---------------------------------------------------------------------------------------------------------


def utterances(weights, count):
    """Utterances of all ways to draw, with and without text behind the first frame."""
    reader, made = weights.reader, []
    for number in range(count):
        talker, predictor = KINDS[number % len(KINDS)]
        made.append(
            Utterance(
                role=reader.role,
                text=reader.ids(" ".join(["hello the test"] * (1 + number % 4))),
                instruct=reader.instruction("slowly the test, " * (number % 3)),
                non_streaming=number % 2 == 0,
                talker=talker,
                predictor=predictor,
                seed=50 + number,
                max_frames=2 + 3 * number % 8,
                forced=True,
            )
        )
    return made


def serve(talker, requests, *, seed=0, cancelled=(), redrawn=()):
    """Let requests come at random steps; some leave, some are drawn anew. Their frames."""
    draw, waiting = random.Random(seed), list(enumerate(requests))
    rows, codes, again = talker.rows_for(128), {number: [] for number, _ in waiting}, set(redrawn)
    while waiting or rows.loop.busy:
        while waiting and rows.loop.free and draw.random() < 0.5:
            number, utterance = waiting.pop(0)
            rows.loop.admit(number, talker.admission(talker.laid_out(utterance), utterance))
        for block in rows.loop.step():
            number = block.number
            codes[number].append(block.outputs)
            count = sum(map(len, codes[number]))
            if number in again and count >= 2:
                again.discard(number)
                codes[number].clear()
                rows.loop.redraw(number, seed=requests[number].seed)
            elif block.end or (number in cancelled and count >= 2):
                rows.loop.release(number)
    return {number: torch.cat(parts) for number, parts in codes.items()}


@pytest.fixture(scope="module")
def drawn_alone(weights_of):
    """Eight utterances, and the frames of each without a neighbour."""
    weights = weights_of(DESIGN)
    requests, talker = utterances(weights, 8), Talker.from_state_dict(weights.sizes, weights.states.talker)
    return requests, [torch.cat([block.outputs for block in talker.decode([each])]) for each in requests]


@pytest.mark.parametrize("backend", by_default({"eager": None, "recorded": RecordingGraphs}, "recorded"))
def test_rows_draw_what_they_draw_alone(weights_of, drawn_alone, backend):
    """All mixtures of networks that draw and that do not, beside each other; also drawn anew, or cancelled.

    With graphs nothing is captured and no tensor is made anew once all is warm.
    """
    weights = weights_of(DESIGN)
    (requests, expected), cancelled, redrawn = drawn_alone, {3, 7}, {2, 5, 6}
    recorder = backend and backend()
    talker = Talker.from_state_dict(weights.sizes, weights.states.talker, places=3, backend=recorder)
    rows = talker.prepare(requests[0], slots=64)
    captures, before = recorder and recorder.captures, [tensor.data_ptr() for tensor in rows.loop._steps.state]
    found = serve(talker, requests, cancelled=cancelled, redrawn=redrawn)
    assert talker.rows_for(1) is rows
    assert [tensor.data_ptr() for tensor in rows.loop._steps.state] == before
    assert rows.loop.queue.row_steps > 1.5 * rows.loop.queue.steps, "rows ran beside each other"
    if recorder:
        assert recorder.captures == captures > 0
        assert len(rows.loop.queue.graphs) <= 24
    for number, alone in enumerate(expected):
        frames = found[number]
        assert len(frames) == len(alone) or (number in cancelled and len(frames) >= 2)
        assert torch.equal(frames, alone[: len(frames)]), number


def test_a_row_that_nobody_has_takes_no_memory(weights_of, monkeypatch):
    """On the CPU: keys and values are zeroed where a row is spoken, and those of many rows are given back."""
    monkeypatch.setattr("realtts.accel.decoder.cache._SMALL", 0)  # up to which all are zeroed at once
    weights = weights_of(CUSTOM)
    talker = Talker.from_state_dict(weights.sizes, weights.states.talker, places=4)
    (one, *others) = utterances(weights, 4)
    cache = talker.rows_for(1).loop.cache
    for _ in talker.decode([one]):
        pass
    rows = talker.rows_for(1)
    assert rows.loop.cache is cache
    assert [reached > 1 for reached in cache._reached] == [True, False, False, False, False]
    for _ in talker.decode([one, *others]):
        pass
    assert talker.rows_for(1) is not rows


# -- windows of the codec -------------------------------------------------------------------------------------------


@pytest.mark.full  # by default: test_codec.test_graphs_take_batches, and rows with different pasts
@pytest.mark.parametrize(("backend", "counts"), [(None, [3]), (RecordingGraphs, [1, 3, 5])], ids=["eager", "recorded"])
def test_windows_of_several_rows_are_decoded_together(weights_of, backend, counts):
    """Each as if it were alone, wherever it stands; captured ones in numbers of rows that there are graphs for."""
    weights, recorder = weights_of(CUSTOM), backend and backend()
    config, state = weights.codec.decoder, weights.states.decoder
    codec, alone = (CodecDecoder.read(config, state).compile(each) for each in (recorder, None))
    if recorder:
        codec.capture(4, rows=5)
    captures = recorder and recorder.captures
    codes = torch.randint(0, 2048, (max(counts), 11, 16), generator=torch.Generator().manual_seed(0))
    wholes = [alone.samples(own).numpy() for own in codes]
    for count in counts:
        rows = [CodecRow(growing_sizes(1, 2.0, 4), codec.start) for _ in range(count)]
        for begin, end in itertools.pairwise((0, 1, 3, 7, 11)):
            for row, own in zip(rows, codes, strict=False):
                row.add(own[begin:end])
                assert row.is_due
            decode_together(codec, rows)
            assert not any(row.is_due for row in rows)
        for row, whole in zip(rows, wholes, strict=False):
            assert np.abs(np.concatenate(row.decoded) - whole).max() < 1e-5
    if recorder:
        assert recorder.captures == captures


def test_chunks_grow():
    """To the most, which the first one may be above."""
    assert list(itertools.islice(growing_sizes(1, 2.0, 12), 6)) == [1, 2, 4, 8, 12, 12]
    assert list(itertools.islice(growing_sizes(3, 1.0, 12), 3)) == [3, 3, 3]
    assert list(itertools.islice(growing_sizes(20, 2.0, 8), 3)) == [20, 20, 20]
