"""``generation_config.json``: what it asks for beside upstream's parameters is heeded as transformers heeds it."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from realtts.accel.upstream.calls import quiet
from realtts.contract.spec import Checkpoint
from realtts.errors import CheckpointMismatch
from realtts.testing.recording import RecordingGraphs
from realtts_vieneu.loading import fetch, open_checkpoint
from realtts_vieneu.network import SpeechLM
from realtts_vieneu.reference import Upstream
from realtts_vieneu.replay import scores_at
from realtts_vieneu.upstream import module
from realtts_vieneu.utterance import Utterance

MOST = 24


@pytest.fixture
def weights_with(folders, tmp_path):
    """A checkpoint whose file asks for something, and its folder."""

    def opened(**asked):
        folder = tmp_path / "asking"
        shutil.copytree(folders("v2"), folder)
        (folder / "generation_config.json").write_text(json.dumps(asked), encoding="utf-8")
        return open_checkpoint(fetch(Checkpoint("test", path=folder))), folder

    return opened


def utterance_of(weights, *, greedy=False, seed=3):
    """A prompt of codes and other tokens, drawn as the checkpoint wants it."""
    codes = weights.reader.speech.codes
    draw = torch.Generator().manual_seed(seed)
    ids = [*torch.randint(0, 200, (40,), generator=draw).tolist(), *(codes[n] for n in range(9))]
    params = weights.drawing.__class__(**{**vars(weights.drawing), "greedy": greedy})
    return Utterance(ids=tuple(ids), most=MOST, prefix=35, params=params, seed=seed)


@torch.inference_mode()
def theirs(folder, utterances, end):
    """Tokens of transformers' own model of the folder for each, called as upstream calls it."""
    auto, found, state = module("transformers.models.auto").AutoModelForCausalLM, [], torch.get_rng_state()
    with quiet():
        model = auto.from_pretrained(folder, dtype=torch.float32)
        for utterance in utterances:
            greedy, ids = utterance.params.greedy, torch.tensor([utterance.ids])
            torch.manual_seed(utterance.seed)
            drawn = model.generate(
                ids, max_length=len(utterance.ids) + MOST, eos_token_id=end, do_sample=not greedy, use_cache=True,
                min_new_tokens=50, **({} if greedy else {"temperature": 1.0, "top_k": 50}),
            )  # fmt: skip
            found.append([token for token in drawn[0, ids.shape[1] :].tolist() if token != end])
    torch.set_rng_state(state)
    return found


def ours(weights, utterances, **options):
    """Tokens of the optimized variant's network, and the network."""
    network = SpeechLM.from_state_dict(
        weights.sizes, weights.reader.speech, weights.model_state, drawing=weights.drawing, **options
    )
    found = [[] for _ in utterances]
    for drawn in network.decode(utterances):
        found[drawn.number].extend(drawn.tokens)
    return found, network


def assert_same(network, utterance, found, expected):
    """Equal, or both tokens at the first difference are worth the same within 1e-4."""
    pairs = enumerate(zip(found, expected, strict=False))
    differing = next(((at, pair) for at, pair in pairs if pair[0] != pair[1]), None)
    if differing is not None:
        at, (one, other) = differing
        scores = scores_at(network, utterance, expected, at)
        assert abs(scores[one] - scores[other]) <= 1e-4 * scores[other], f"another token at step {at}"
    else:
        assert len(found) == len(expected)


BOTH = {"top_p": 0.8, "repetition_penalty": 1.2, "temperature": 0.3}


@pytest.mark.parametrize(
    ("asked", "greedy"),
    [
        (BOTH, False),
        pytest.param({"repetition_penalty": 1.3}, True, marks=pytest.mark.full),
        pytest.param({"top_p": 0.6}, False, marks=pytest.mark.full),
        pytest.param({"repetition_penalty": 1.3}, False, marks=pytest.mark.full),
        pytest.param(BOTH, True, marks=pytest.mark.full),
    ],
    ids=str,
)
def test_tokens_are_transformers(weights_with, asked, greedy):
    """Of both variants, of one sentence and of several; temperature stays upstream's, who gives it with each call."""
    weights, folder = weights_with(**asked)
    end = weights.reader.speech.end
    utterances = [utterance_of(weights, greedy=greedy, seed=seed) for seed in (3, 4)]
    expected = theirs(folder, utterances, end)
    plain = Upstream(weights, "cpu")
    for utterance, tokens in zip(utterances, expected, strict=True):
        assert plain.draw(utterance, lambda: False)[0] == tokens
    found, network = ours(weights, utterances, head="full")
    for utterance, tokens, wanted in zip(utterances, found, expected, strict=True):
        assert_same(network, utterance, tokens, wanted)


def test_they_are_heeded(weights_with):
    """Another penalty draws others."""
    weights, _ = weights_with(repetition_penalty=1.5)
    utterance = utterance_of(weights)
    expected = Upstream(weights, "cpu").draw(Utterance(**{**vars(utterance), "params": Utterance((1,), 1).params}),
                                             lambda: False)[0]  # fmt: skip
    assert Upstream(weights, "cpu").draw(utterance, lambda: False)[0] != expected


@pytest.mark.full  # by default: test_network.test_graphs_give_the_same
@pytest.mark.parametrize("head", ["speech", "full"])
def test_graphs_heed_them_too(weights_with, head):
    """And the head of speech alone, for which tokens of the prompt that it has not do not count."""
    weights, _ = weights_with(top_p=0.8, repetition_penalty=1.2)
    utterances = [utterance_of(weights, seed=seed) for seed in (4, 5, 6)]
    eager, network = ours(weights, utterances, head=head)
    graphed, _ = ours(weights, utterances, head=head, backend=RecordingGraphs())
    for utterance, found, expected in zip(utterances, graphed, eager, strict=True):
        assert_same(network, utterance, found, expected)


@pytest.mark.parametrize("asked", [{"top_p": 2.0}, {"repetition_penalty": "much"}, {"top_p": 0}])
def test_nonsense_is_refused(weights_with, asked):
    """By the file's name."""
    with pytest.raises(CheckpointMismatch, match=r"generation_config\.json"):
        weights_with(**asked)
