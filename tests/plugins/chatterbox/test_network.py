"""T3 on the toolkit's decoder: upstream's tokens in float32, row by row and in batches."""

from __future__ import annotations

import pytest
import torch
from tiers import by_default

from realtts.accel.upstream.calls import quiet
from realtts.contract.stages import never
from realtts.errors import CheckpointMismatch
from realtts.testing.recording import RecordingGraphs
from realtts_chatterbox import rows
from realtts_chatterbox.engine import utterance_of
from realtts_chatterbox.frontend import Ask
from realtts_chatterbox.network import T3
from realtts_chatterbox.utterance import START, STOP
from realtts_chatterbox.voices import to_upstream

KINDS = ("english", pytest.param("multilingual", marks=pytest.mark.full))
"""Multilingual has everything that English has, and the alignment."""

OPTIONS = {
    "as upstream": {},
    "without guidance": {"cfg_weight": 0.0},
    "nucleus": {"cfg_weight": 0.3, "temperature": 1.0, "repetition_penalty": 2.0, "min_p": 0.0, "top_p": 0.9},
    "wild": {"cfg_weight": 1.0, "temperature": 1.3, "repetition_penalty": 1.0, "min_p": 0.1},
    "careful": {"temperature": 0.5, "repetition_penalty": 1.5, "top_p": 0.8},
}


@pytest.fixture(scope="module")
def t3_of(weights_of):
    """T3 of a tiny checkpoint, in float32 unless something else is asked for."""
    kept = {}

    def make(kind, precision="fp32", **options):
        key = (kind, precision, *options)
        if key not in kept:
            state = weights_of(kind).t3_state
            kept[key] = T3.from_state_dict(state, kind=kind, precision=precision, **options)
        return kept[key]

    return make


def ask_for(number, kind="english", *, most=60, forced=False, **options):
    """One of many requests: text tokens, a seed, options."""
    ids = torch.randint(1, 254, (4 + 3 * number,), generator=torch.Generator().manual_seed(number)).tolist()
    return Ask(
        **{
            "kind": kind,
            "ids": (255, *ids, 0),
            "language": "en",
            "exaggeration": 0.5 + 0.05 * number,
            "cfg_weight": 0.5,
            "temperature": 0.8,
            "repetition_penalty": 1.2,
            "min_p": 0.05,
            "top_p": 1.0,
            "top_k": 0,
            "least": most if forced else 1,
            "most": most,
            "forced": forced,
            "steps": 10,
            "seed": 100 + number,
            "watermark": False,
            "chunk_tokens": 25,
            "lookahead_tokens": 3,
            **options,
        }
    )


def ours(t3, asks, voice):
    """Tokens of each request, the end included."""
    found = [[] for _ in asks]
    for block in t3.decode([utterance_of(ask, voice) for ask in asks]):
        found[block.number].extend([*block.tokens, *[STOP] * (block.end == "stop")])
    return found


@pytest.fixture
def upstreams(weights_of, networks_of):
    """What upstream's own loop draws."""
    return lambda ask: networks_of(ask.kind).draw(ask, weights_of(ask.kind).builtin, never)


def check_tokens(t3, voice, upstreams, asks):
    """The tokens of each request are those that upstream's own loop draws."""
    for ask in asks:
        assert ours(t3, [ask], voice) == [upstreams(ask)]


@pytest.mark.parametrize("options", by_default(OPTIONS, "as upstream", "nucleus"))
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_upstreams(t3_of, weights_of, upstreams, kind, options):
    """In float32, for texts of different lengths."""
    asks = [ask_for(number, kind, most=24, **options) for number in (1, 15)]
    check_tokens(t3_of(kind), weights_of(kind).builtin, upstreams, asks)


def test_tokens_of_multilingual_are_upstreams(t3_of, weights_of, upstreams):
    """Whose alignment has a say."""
    asks = [ask_for(7, "multilingual", most=24)]
    check_tokens(t3_of("multilingual"), weights_of("multilingual").builtin, upstreams, asks)


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kind", ["english", "multilingual"])
def test_tokens_of_many_texts_are_upstreams(t3_of, weights_of, upstreams, kind, options):
    """In float32, for twenty texts with each set of options."""
    asks = [ask_for(number, kind, most=24, **options) for number in range(20)]
    check_tokens(t3_of(kind), weights_of(kind).builtin, upstreams, asks)


@pytest.mark.parametrize("kind", KINDS)
def test_forced_tokens_are_upstreams(t3_of, weights_of, upstreams, kind):
    """A benchmark's: exactly so many, and nothing but sound."""
    ask = ask_for(3, kind, most=25, forced=True)
    (found,) = ours(t3_of(kind), [ask], weights_of(kind).builtin)
    assert found == upstreams(ask)
    assert len(found) == 25
    assert max(found) < START


@pytest.mark.full  # by default: test_conformance.test_batch_equals_single
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_speaks_what_each_speaks_alone(t3_of, weights_of, kind):
    """Texts, voices' strengths, options and ends of different kinds side by side."""
    asks = [ask_for(n, kind, most=8 + 7 * n, cfg_weight=0.25 * (n % 3)) for n in range(5)]
    voice = weights_of(kind).builtin
    assert ours(t3_of(kind), asks, voice) == [ours(t3_of(kind), [ask], voice)[0] for ask in asks]


@pytest.mark.full  # by default: test_rows.test_tokens_are_those_drawn_alone, recorded
@pytest.mark.parametrize("kind", KINDS)
def test_graphs_give_the_same(t3_of, weights_of, monkeypatch, kind):
    """Every step recorded once per bucket and replayed, the alignment's state with it."""
    monkeypatch.setattr(rows, "SLOTS", 256)
    graphed = t3_of(kind, backend=RecordingGraphs())
    for number, most in ((2, 60), (9, 15)):
        ask = ask_for(number, kind, most=most)
        assert ours(graphed, [ask], weights_of(kind).builtin) == ours(t3_of(kind), [ask], weights_of(kind).builtin)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 0.03), ("int8", 0.1)])
@pytest.mark.parametrize("guidance", [0.0, 0.5])
def test_logits_of_given_tokens(t3_of, weights_of, networks_of, upstreams, precision, tolerance, guidance):  # noqa: PLR0917
    """Relative error against upstream's network in float32."""
    voice, t3, ask = weights_of("english").builtin, networks_of("english").t3, ask_for(6, most=25, cfg_weight=guidance)
    tokens = upstreams(ask)
    condition, _ = to_upstream(voice, ask.exaggeration)
    with quiet(), torch.inference_mode():
        x, _ = t3.prepare_input_embeds(
            t3_cond=condition,
            text_tokens=torch.tensor([ask.ids, ask.ids]),
            speech_tokens=torch.tensor([[START], [START]]),
            cfg_weight=0.5,
        )
        places = torch.arange(len(tokens))
        spoken = t3.speech_emb(torch.tensor([START, *tokens[:-1]])) + t3.speech_pos_emb.emb(places)
        hidden = t3.tfmr(inputs_embeds=torch.cat([x, spoken.expand(2, -1, -1)], 1)).last_hidden_state
        both = t3.speech_head(hidden[:, -len(tokens) :])
    expected = both[0] + guidance * (both[0] - both[1])
    found = t3_of("english", precision).logits(utterance_of(ask, voice), tokens)
    assert (found - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"speech_head.weight": None}, "the first is speech_head.weight"),
        ({"tfmr.layers.1.self_attn.k_proj.weight": None}, "the first is tfmr.layers.1.self_attn.k_proj.weight"),
        ({"other.weight": torch.zeros(1)}, "unexpected, the first is other.weight"),
        ({"tfmr.layers.0.extra": torch.zeros(1)}, "unexpected, the first is tfmr.layers.0.extra"),
        ({"cond_enc.spkr_enc.bias": torch.zeros(3)}, r"cond_enc.spkr_enc.bias has the shape \(3,\)"),
        ({"tfmr.norm.weight": torch.zeros(3)}, r"tfmr.norm.weight has the shape \(3,\)"),
    ],
)
def test_another_checkpoint_is_refused_by_name(weights_of, damage, message):
    """Missing, unexpected and misshapen tensors."""
    state = {**weights_of("english").t3_state, **damage}
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    with pytest.raises(CheckpointMismatch, match=message):
        T3.from_state_dict(state, kind="english")
