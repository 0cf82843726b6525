"""The toy speech language model's requests as rows that come and go: each speaks the tokens that it speaks alone."""

from __future__ import annotations

import random
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors.torch")

from realtts.accel.decoder import DecodeLoop, Precision  # noqa: E402
from realtts.accel.sampling import SamplingParams  # noqa: E402
from realtts.testing.recording import RecordingGraphs  # noqa: E402
from realtts_toylm import testing as tools  # noqa: E402
from realtts_toylm.frontend import POSITIONS, RECIPE, START, STOP, VOCABULARY, Ask  # noqa: E402
from realtts_toylm.loading import CONFIG, WEIGHTS, read_network  # noqa: E402
from realtts_toylm.optimized import LoopEngine  # noqa: E402
from realtts_toylm.plain import probabilities  # noqa: E402

WORDS = ["the", "sea", "is", "calm", "tonight", "and", "far", "away", "a", "ship", "goes", "by", "without", "light"]
TIE = 1e-4
"""Two candidates so close to each other may change places, by the rule of the design."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small random checkpoint."""
    folder = tmp_path_factory.mktemp("tiny")
    tools.write_random_checkpoint(folder)
    return {name: folder / name for name in (CONFIG, WEIGHTS)}


def engine_of(checkpoint, **options):
    """The optimized variant's engine."""
    return LoopEngine(read_network(checkpoint, "cpu"), Precision("fp32", torch.float32), **options)


def asks_of(count):
    """Requests of mixed lengths, seeds and sampling: one word to forty."""
    draw = random.Random(7)
    asks = []
    for number in range(count):
        text = " ".join(draw.choice(WORDS) for _ in range(draw.choice([1, 2, 5, 12, 40])))[:200]
        params = SamplingParams(
            temperature=draw.choice([0.6, 0.8, 1.2]),
            top_k=draw.choice([0, 20, 50]),
            min_new_tokens=draw.choice([0, 3, len(text) // 4]),
        )
        asks.append(Ask(tuple(text.encode()), params, draw.randint(1, 120), draw.choice([number, 3, 2**40 + number])))
    return asks


def serve(engine, asks, *, seed=0):
    """Let requests come at random times; one in eight leaves early, one in ten is drawn anew. Tokens and ends."""
    draw, waiting = random.Random(seed), list(range(len(asks)))
    loop = engine.loop
    leaves = {n: draw.randint(0, 20) for n in waiting if draw.random() < 1 / 8}
    again = {n for n in waiting if draw.random() < 1 / 10}
    found, ends = {n: [] for n in waiting}, {}
    while waiting or loop.busy:
        while waiting and loop.free and draw.random() < 0.3:
            number = waiting.pop(draw.randrange(len(waiting)))
            one = engine.admission(asks[number])
            loop.admit(number, one.prompt, one.params, seed=one.seed, most=one.most)
        for block in loop.step():
            number = block.number
            found[number].extend(block.tokens)
            if number in again and (block.end or len(found[number]) > 5):
                again.discard(number)
                found[number].clear()
                loop.redraw(number, seed=asks[number].seed)
            elif block.end or len(found[number]) >= leaves.get(number, 10**6):
                ends[number] = block.end or "cancelled"
                loop.release(number)
    return found, ends, loop


def alone(engine, ask):
    """Tokens and end of one request, by the loop whose streams begin together, which reads prompts as a whole."""
    loop = DecodeLoop(engine.loop.decoder, engine._head, engine._next, RECIPE, streams=1, cap=POSITIONS)
    loop.begin(engine.admission(ask).prompt, [ask.params], [ask.seed], [ask.most])
    tokens = []
    for block in loop.run():
        tokens.extend(block.tokens[0])
    return tokens, "stop" if block.stopped[0] else "length"


def tied(engine, ask, tokens, other):
    """Whether two sequences part where their candidates are as good as equal."""
    at = next(n for n in range(min(len(tokens), len(other)) + 1) if tokens[n : n + 1] != other[n : n + 1])
    candidates = [(one[at : at + 1] or [STOP])[0] for one in (tokens, other)]
    past = [*tokens[:at], candidates[0]]
    logits = engine.logits(bytes(ask.ids).decode(), past)[-1]
    noise, e = torch.Generator().manual_seed(ask.seed), torch.empty(VOCABULARY)
    for _ in range(at + 1):
        e.exponential_(generator=noise)
    first, second = (float(ratio) for ratio in (probabilities(logits, at, ask) / e)[candidates])
    return abs(first - second) <= TIE * max(first, second)


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.full)])
@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(None, marks=pytest.mark.full, id="eager"),  # by default: test_nobody_else_changes_a_bit
        pytest.param(RecordingGraphs, id="recorded"),
    ],
)
def test_every_request_speaks_the_tokens_that_it_speaks_alone(checkpoint, capsys, count, backend):
    """In float32, token for token; where they part, the two candidates are as good as equal, and that is counted."""
    engine = engine_of(checkpoint, backend=backend and backend())
    asks = asks_of(count)
    found, ends, loop = serve(engine, asks)
    ties = 0
    for number, ask in enumerate(asks):
        tokens, end = alone(engine, ask)
        if ends[number] == "cancelled":
            tokens, end = tokens[: len(found[number])], "cancelled"
        if (found[number], ends[number]) != (tokens, end):
            assert tied(engine, ask, tokens, found[number]), number
            ties += 1
    with capsys.disabled():
        drawn, rows = sum(map(len, found.values())), loop.queue.row_steps / loop.queue.steps
        sys.stdout.write(f"\n{count} requests, {drawn} tokens, {ties} ties, {rows:.1f} rows in a step\n")
    assert ties <= count // 50
    assert {"stop", "length", "cancelled"} <= set(ends.values())
    assert all(START not in tokens and STOP not in tokens for tokens in found.values())


def test_nobody_else_changes_a_bit(checkpoint):
    """The same request beside none, one, or many others gives the very same tokens, without a tie."""
    asks = asks_of(12)
    together, ends, _ = serve(engine_of(checkpoint), asks, seed=3)
    for places, seed in ((1, 0), (2, 1), (5, 2)):
        found, other_ends, _ = serve(engine_of(checkpoint, places=places), asks, seed=seed)
        for number in range(len(asks)):
            whole = "cancelled" not in {ends[number], other_ends[number]}
            n = None if whole else min(len(together[number]), len(found[number]))
            assert found[number][:n] == together[number][:n], (places, number)
