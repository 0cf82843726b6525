"""The multilingual model's watch over its alignment decides as upstream's does, whatever the attention."""

from __future__ import annotations

import pytest
import torch

from realtts.testing.launches import LaunchCounter
from realtts_chatterbox.alignment import HEADS, Alignment
from realtts_chatterbox.upstream import module

STOP, VOCABULARY, BEGIN, FRAMES = 9, 12, 4, 40
SPEECHES = {
    "reads on": lambda frame, length: frame // 2,
    "reads fast": lambda frame, length: min(length - 1, 2 * frame),
    "stays at the end": lambda frame, length: min(length - 1, frame),
    "repeats itself": lambda frame, length: frame if frame < length else (frame - length) % max(1, length - 6),
    "jumps": lambda frame, length: (frame * 7) % length,
}


def upstreams(length, rows, tokens, logits):
    """Logits after each step of upstream's analyzer, with attention put where its hooks put it."""
    analyzer_of = module("chatterbox.models.t3.inference.alignment_stream_analyzer")
    layer = type("Layer", (), {})
    layer.self_attn = torch.nn.Identity()
    transformer = type("Transformer", (), {"layers": [layer] * 20, "config": type("Config", (), {})()})
    analyzer = analyzer_of.AlignmentStreamAnalyzer(transformer, None, (BEGIN, BEGIN + length), eos_idx=STOP)
    found = []
    for frame, attention in enumerate(rows):
        whole = torch.zeros(1, BEGIN + length + 2 + frame)
        whole[0, BEGIN : BEGIN + length] = attention
        if frame == 0:
            whole = whole.expand(BEGIN + length + 2, -1)
        analyzer.last_aligned_attns = [whole] * 3
        last = 6561 if frame == 0 else tokens[frame - 1]
        found.append(analyzer.step(logits[frame][None].clone(), next_token=last)[0])
    return torch.stack(found)


def ours(length, rows, tokens, logits, *, watched=True, streams=2, row=1):
    """The same from `Alignment`, in the second of two rows; the first one looks elsewhere."""
    cpu, cap = torch.device("cpu"), BEGIN + length + 60
    watch = Alignment(streams, cache_rows=2 * streams, cap=cap, device=cpu, text_begin=BEGIN, stop=STOP)
    for each in range(streams):
        beginning = watch.beginning(length, watched=watched) if each == row else watch.beginning(6, watched=True)
        for name, value in beginning.items():
            watch.state[name][each] = value
    both, found = torch.arange(streams), []
    for frame, attention in enumerate(rows):
        if frame:
            watch.follow(torch.tensor([3 + frame % 2] * row + [tokens[frame - 1]]), both)
            watch.taps.step.zero_()
            watch.taps.step[:, row, BEGIN : BEGIN + length] = attention
            watch.taps.step[:, :row, BEGIN : BEGIN + 3] = 0.3
        scores = logits[frame].expand(streams, -1)
        found.append(watch(scores, torch.full((streams,), frame), both)[row])
    return torch.stack(found)


def speech(name, length, seed=0):
    """Attention rows, tokens and logits of a speech."""
    draw = torch.Generator().manual_seed(seed)
    rows = 0.2 * torch.rand(FRAMES, length, generator=draw) / length
    for frame in range(FRAMES):
        rows[frame, min(length - 1, SPEECHES[name](frame, length))] += 0.75
    tokens = torch.randint(0, STOP, (FRAMES,), generator=draw)
    tokens[1::2] = (tokens[0::2] + 1) % STOP  # no token twice, or the end is forced at once
    tokens[2::2] = (tokens[1:-1:2] + 1) % STOP
    return rows, tokens.tolist(), torch.randn(FRAMES, VOCABULARY, generator=draw)


@pytest.mark.parametrize("length", [6, 9, 15, 30])
@pytest.mark.parametrize("name", SPEECHES)
def test_as_upstream(name, length):
    """Frame by frame: held back, let go, forced."""
    given = speech(name, length, seed=length)
    torch.testing.assert_close(ours(length, *given), upstreams(length, *given), atol=0, rtol=0)


def test_the_end_is_held_back_and_forced():
    """The cases above are not all the same: the end is held back while text is left, and forced on a long tail."""
    rows, tokens, logits = speech("stays at the end", 9)
    found = ours(9, rows, tokens, logits)
    assert found[2, STOP] == -(2.0**15)
    assert found[-1, STOP] == 2.0**15
    assert found[7, STOP] == logits[7, STOP]


def test_a_token_twice_forces_the_end():
    """As upstream: two in a row."""
    rows, tokens, logits = speech("reads on", 30)
    tokens[10] = tokens[9]
    found = ours(30, rows, tokens, logits)
    torch.testing.assert_close(found, upstreams(30, rows, tokens, logits), atol=0, rtol=0)
    assert found[11, STOP] == 2.0**15


def test_a_text_of_almost_nothing():
    """Upstream fails with five text tokens or fewer once they are spoken; here the end comes when it comes."""
    rows, tokens, logits = speech("reads on", 4)
    found = ours(4, rows, tokens, logits)
    assert found.isfinite().all()
    torch.testing.assert_close(found[:4], logits[:4])


def test_it_can_be_left_alone():
    """A forced number of tokens is not ended by it."""
    rows, tokens, logits = speech("stays at the end", 9)
    torch.testing.assert_close(ours(9, rows, tokens, logits, watched=False), logits)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8])
def test_launches_of_a_frame(rows):
    """What it adds to a captured step, of however many rows: a budget."""
    watch = Alignment(8, cache_rows=16, cap=40, device=torch.device("cpu"), text_begin=BEGIN, stop=STOP)
    index, step, scores = torch.arange(rows), torch.zeros(rows, dtype=torch.int64), torch.zeros(rows, VOCABULARY)
    counter = LaunchCounter("cpu")
    with torch.inference_mode(), counter:
        watch.follow(step, index)
        watch(scores, step, index)
    assert counter.total <= 48, counter.launches


def test_the_heads_are_upstreams():
    """Layer and head of each."""
    analyzer = module("chatterbox.models.t3.inference.alignment_stream_analyzer")
    assert list(HEADS) == analyzer.LLAMA_ALIGNED_HEADS
