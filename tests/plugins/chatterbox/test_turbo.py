"""Turbo's T3 on the toolkit's decoder: upstream's tokens in float32, row by row, in batches and as graphs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiers import by_default

from realtts.contract.stages import never
from realtts.errors import CheckpointMismatch
from realtts.testing.recording import RecordingGraphs
from realtts_chatterbox import rows
from realtts_chatterbox.engine import utterance_of
from realtts_chatterbox.frontend import Ask
from realtts_chatterbox.network import T3
from realtts_chatterbox.replay import logits_along
from realtts_chatterbox.utterance import START, STOP

OPTIONS = {
    "as upstream": {},
    "without filters": {"top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0},
    "few": {"top_k": 20, "top_p": 0.8, "repetition_penalty": 2.0},
    "nucleus": {"top_k": 0, "top_p": 0.9, "temperature": 1.0, "repetition_penalty": 1.5},
    "wild": {"top_k": 6563, "top_p": 0.99, "temperature": 1.7},
    "careful": {"temperature": 0.3, "top_k": 100, "repetition_penalty": 1.1},
}


@pytest.fixture(scope="module")
def state(weights_of):
    """Upstream's tensors of a tiny checkpoint."""
    return dict(weights_of("turbo").t3_state)


@pytest.fixture(scope="module")
def t3(state):
    """In float32, without graphs."""
    return T3.from_state_dict(state, kind="turbo")


@pytest.fixture(scope="module")
def networks(networks_of):
    """Upstream's."""
    return networks_of("turbo")


@pytest.fixture(scope="module")
def voice(weights_of):
    """The built-in one."""
    return weights_of("turbo").builtin


@pytest.fixture
def biased(state, networks):
    """Makes T3 and upstream's network whose head has other biases, by token; upstream's is put back at the end."""
    bias = networks.t3.speech_head.bias.data
    before = bias.clone()

    def make(values):
        for token, value in values.items():
            bias[token] = value
        return T3.from_state_dict({**state, "speech_head.bias": bias.clone()}, kind="turbo")

    yield make
    bias.copy_(before)


def ask_for(number, *, most=60, forced=False, **options):
    """One of many requests: text tokens, a seed, options."""
    ids = torch.randint(0, 1024, (4 + 3 * number,), generator=torch.Generator().manual_seed(number)).tolist()
    return Ask(
        **{
            "kind": "turbo",
            "ids": tuple(ids),
            "language": "en",
            "exaggeration": 0.0,
            "cfg_weight": 0.0,
            "temperature": 0.8,
            "repetition_penalty": 1.2,
            "min_p": 0.0,
            "top_p": 0.95,
            "top_k": 1000,
            "least": most if forced else 1,
            "most": most,
            "forced": forced,
            "steps": 2,
            "seed": 100 + number,
            "watermark": False,
            "chunk_tokens": 25,
            "lookahead_tokens": 3,
            **options,
        }
    )


def ours(t3, asks, voices):
    """Tokens of each request, without the end."""
    found = [[] for _ in asks]
    for block in t3.decode([utterance_of(ask, voice) for ask, voice in zip(asks, voices, strict=True)]):
        found[block.number].extend(block.tokens)
    return found


def alone(t3, ask, voice):
    """Tokens of one request by itself."""
    return ours(t3, [ask], [voice])[0]


def upstreams(networks, ask, voice):
    """What upstream's own loop draws."""
    return [token for token in networks.draw(ask, voice, never) if token != STOP]


def check_tokens(t3, networks, voice, options, numbers):
    """For each of several texts the tokens are those that upstream's own loop draws."""
    for number in numbers:
        ask = ask_for(number, most=24, **options)
        assert alone(t3, ask, voice) == upstreams(networks, ask, voice)


@pytest.mark.parametrize("options", by_default(OPTIONS, "as upstream", "nucleus"))
def test_tokens_are_upstreams(t3, networks, voice, options):
    """In float32, for texts of different lengths with each set of options."""
    check_tokens(t3, networks, voice, options, (1, 15))


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_tokens_of_many_texts_are_upstreams(t3, networks, voice, options):
    """In float32, for twenty texts with each set of options."""
    check_tokens(t3, networks, voice, options, range(20))


@pytest.mark.full  # by default: tests/accel/test_row_loop, for ends, and test_tokens_are_upstreams
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="as upstream"),
        pytest.param({"temperature": 1.3, "top_k": 0, "top_p": 1.0}, id="wild"),
    ],
)
def test_ends_are_upstreams(biased, networks, voice, options):
    """With an end token that is likely, utterances of many lengths, one of them a single token."""
    t3 = biased({STOP: 4.5})
    lengths = set()
    for number in range(20 if options else 12):
        ask = ask_for(number, most=40, **options)
        found = alone(t3, ask, voice)
        assert found == upstreams(networks, ask, voice)
        lengths.add(len(found))
    assert len(lengths) > 5
    assert min(lengths) < 5


@pytest.mark.full  # by default: test_tokens_are_upstreams, whose penalty is upstream's
def test_the_first_draw_alone_knows_the_start(biased, networks, voice):
    """Upstream's penalty sees the start token before the first token and never again, unless it was drawn."""
    t3 = biased({START: 5.5})
    drawn = []
    for number in range(12):
        ask = ask_for(number, most=12, repetition_penalty=2.0)
        drawn.append(alone(t3, ask, voice))
        assert drawn[-1] == upstreams(networks, ask, voice)
    assert any(START in tokens[1:] for tokens in drawn)


def test_voices_of_any_length(t3, networks, voice):
    """A longer prompt, a shorter one, and none: every position after it moves."""
    for t3_tokens in (torch.arange(375)[None], torch.arange(3)[None]):
        other = replace(voice, t3_tokens=t3_tokens)
        assert alone(t3, ask_for(5, most=20), other) == upstreams(networks, ask_for(5, most=20), other)
    assert alone(t3, ask_for(5, most=20), replace(voice, t3_tokens=None))


def test_forced_tokens_are_upstreams(t3, networks, voice):
    """A benchmark's: exactly so many, and nothing but sound."""
    ask = ask_for(3, most=25, forced=True)
    found = alone(t3, ask, voice)
    assert found == upstreams(networks, ask, voice)
    assert len(found) == 25
    assert max(found) < START


@pytest.mark.full  # by default: test_rows.test_tokens_are_those_drawn_alone, of Turbo
def test_a_batch_speaks_what_each_speaks_alone(t3, voice):
    """Texts, voices, options and ends of different kinds side by side; prompts of different lengths are padded."""
    asks = [ask_for(n, most=8 + 7 * n, top_k=300 * n, forced=n == 2, temperature=0.5 + 0.2 * n) for n in range(5)]
    voices = [replace(voice, t3_tokens=torch.arange(20 + 9 * n)[None]) for n in range(5)]
    assert ours(t3, asks, voices) == [alone(t3, ask, voice) for ask, voice in zip(asks, voices, strict=True)]


@pytest.mark.full  # by default: test_rows.test_tokens_are_those_drawn_alone, of Turbo, recorded
def test_graphs_give_the_same(state, t3, voice, monkeypatch):
    """Every step recorded once per bucket and replayed, in the loop of one and in that of several."""
    monkeypatch.setattr(rows, "SLOTS", 256)
    graphed = T3.from_state_dict(state, kind="turbo", backend=RecordingGraphs())
    asks = [ask_for(number, most=most) for number, most in ((2, 60), (9, 15))]
    voices = [voice] * 2
    singles = [alone(t3, ask, voice) for ask in asks]
    assert [alone(graphed, ask, voice) for ask in asks] == singles
    assert ours(graphed, asks, voices) == singles


@pytest.mark.full  # by default: test_rows.test_tokens_are_those_drawn_alone
def test_a_warm_step_is_captured_before_the_request(state, voice, monkeypatch):
    """With the options that are usual, no request captures anything."""
    monkeypatch.setattr(rows, "SLOTS", 256)
    backend = RecordingGraphs()
    graphed = T3.from_state_dict(state, kind="turbo", backend=backend)
    assert graphed.capture(utterance_of(ask_for(3, most=60), voice))
    captures = backend.captures
    assert captures > 0
    alone(graphed, ask_for(3), voice)
    assert backend.captures == captures


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 0.02), ("int8", 0.06)])
def test_logits_of_given_tokens(state, networks, voice, precision, tolerance):
    """Relative error against upstream's network in float32."""
    ask = ask_for(6, most=25)
    tokens = upstreams(networks, ask, voice)
    expected = logits_along(networks, ask, voice, tokens)
    found = T3.from_state_dict(state, kind="turbo", precision=precision).logits(utterance_of(ask, voice), tokens)
    error = float((found - expected).norm() / expected.norm())
    assert error <= tolerance
    assert precision == "fp32" or error > 1e-4


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"speech_head.bias": None}, "the first is speech_head.bias"),
        ({"tfmr.wpe.weight": None}, "the first is tfmr.wpe.weight"),
        ({"tfmr.h.1.attn.c_attn.bias": None}, "the first is tfmr.h.1.attn.c_attn.bias"),
        ({"tfmr.ln_f.bias": None}, "the first is tfmr.ln_f.bias"),
        ({"other.weight": torch.zeros(1)}, "unexpected, the first is other.weight"),
        ({"tfmr.h.0.extra": torch.zeros(1)}, "unexpected, the first is tfmr.h.0.extra"),
        ({"speech_head.bias": torch.zeros(3)}, r"speech_head.bias has the shape \(3,\), expected 6563"),
        ({"tfmr.h.2.mlp.c_proj.weight": torch.zeros(128, 512)}, r"c_proj.weight has the shape \(128, 512\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_checkpoint_is_refused_by_name(state, damage, message):
    """Missing, unexpected and misshapen tensors."""
    damaged = {name: tensor for name, tensor in {**state, **damage}.items() if tensor is not None}
    with pytest.raises(CheckpointMismatch, match=message):
        T3.from_state_dict(damaged, kind="turbo")


def test_what_upstream_never_reads_may_be_missing(state, t3, voice):
    """The backbone's own embedding, which upstream deletes, and the head of text."""
    lean = {name: tensor for name, tensor in state.items() if name not in {"tfmr.wte.weight", "text_head.weight"}}
    assert alone(T3.from_state_dict(lean, kind="turbo"), ask_for(1, most=10), voice) == alone(
        t3, ask_for(1, most=10), voice
    )
