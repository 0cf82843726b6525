"""The solver's steps as graphs: the mel of the eager way, whatever the length, for few captures."""

from __future__ import annotations

import pytest
import torch

from realtts.accel.graphs.cuda_graph import CudaGraphs
from realtts.contract.stages import Cancelled
from realtts.testing.first_times import FirstTimes
from realtts.testing.recording import RecordingGraphs
from realtts_chatterbox.conditionals import Conditionals
from realtts_chatterbox.flow import Flow, Piece
from realtts_chatterbox.layout import bucket
from realtts_chatterbox.noise import Noise

CPU = torch.device("cpu")
STEPS = 3
PROMPT = 20


@pytest.fixture
def _exact(monkeypatch):
    """Without TF32, which rounds each shape's sums its own way."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def request_of(tokens, seed, prompt=PROMPT):
    """Tokens, voice and noise of one request; 2 frames for each token of it and of its voice."""
    drawn = torch.Generator().manual_seed(seed)
    voice = Conditionals(
        torch.zeros(1, 256),
        None,
        torch.randint(0, 6561, (1, prompt), generator=drawn),
        torch.randn(1, 2 * prompt, 80, generator=drawn),
        torch.randn(1, 192, generator=drawn),
    )
    return torch.randint(0, 6561, (tokens,), generator=drawn), voice, Noise(seed)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("english", id="guidance"),
        # By default test_flow compares a mean flow with upstream's, and graphs know nothing of guidance.
        pytest.param("turbo", id="meanflow", marks=pytest.mark.full),
    ],
)
def states(request, networks_of):
    """Weights of a flow, and how it is solved."""
    return networks_of(request.param).s3gen.flow.state_dict(), request.param == "turbo"


@pytest.fixture(scope="module")
def eager(states):
    """Without graphs."""
    state, meanflow = states
    return Flow.from_state_dict(state, device=CPU, meanflow=meanflow)


@pytest.fixture
def graphed(states):
    """With graphs that are recorded, and the recorder."""
    state, meanflow = states
    backend = RecordingGraphs()
    return Flow.from_state_dict(state, device=CPU, meanflow=meanflow, backend=backend), backend


def mel_of(flow, *requests, steps=STEPS):
    """Of all the requests at once."""
    return flow.mel(*zip(*requests, strict=True), steps=steps)


def near(found, expected):
    """The same mels within 1e-4."""
    for mel, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mel, other, rtol=0, atol=1e-4)


def test_buckets_waste_little_and_are_few():
    """At most a quarter beyond 128 frames, and 4 for each doubling."""
    held = {n: bucket(n) for n in range(1, 4097)}
    assert all(n <= frames <= max(128, 1.25 * n) for n, frames in held.items())
    assert len(set(held.values())) == 1 + 4 * 5
    assert all(bucket(frames) == frames and frames % 8 == 0 for frames in held.values())


@pytest.mark.parametrize("tokens", [1, 44, 45, *(pytest.param(n, marks=pytest.mark.full) for n in (43, 60, 61))])
def test_mel_is_the_eager_one(eager, graphed, tokens):
    """Below, at and beyond the ends of the buckets of 128 and 160 frames."""
    flow, backend = graphed
    request = request_of(tokens, seed=tokens)
    near(mel_of(flow, request), mel_of(eager, request))
    assert backend.captures == 1
    assert backend.replays == STEPS


def test_batch_is_the_eager_one(eager, graphed):
    """Of two, padded to one bucket; and of seven, of which 4, 2 and 1 go together."""
    flow, backend = graphed
    two = [request_of(n, seed=n) for n in (9, 50)]
    near(mel_of(flow, *two), mel_of(eager, *two))
    assert backend.captures == 1
    seven = [request_of(n, seed=n) for n in (9, 50, 12, 8, 30, 3, 44)]
    near(mel_of(flow, *seven), mel_of(eager, *seven))
    assert backend.captures == 1 + 3


def test_stretches_are_the_eager_ones(eager, graphed):
    """Streams' pieces, with another voice each."""
    flow, _ = graphed
    for seed, prompt in ((1, 5), (2, 33)):
        piece = Piece(*request_of(30, seed, prompt), begin=8, final=False)
        near(flow.pieces([piece], steps=STEPS), eager.pieces([piece], steps=STEPS))


def test_replay_after_another_length(eager, graphed):
    """What lies in a graph's tensors from the request before does not reach the next, nor other buckets."""
    flow, backend = graphed
    for tokens in (44, 3, 70, 20, 44, 70):
        request = request_of(tokens, seed=tokens)
        near(mel_of(flow, request), mel_of(eager, request))
    assert backend.captures == 2


@pytest.mark.full  # by default: test_replay_after_another_length
def test_captures_are_bounded(graphed):
    """Over ten lengths there are as many as buckets."""
    flow, backend = graphed
    lengths = [10 + 13 * n for n in range(10)]
    for tokens in lengths:
        mel_of(flow, request_of(tokens, seed=1), steps=1)
    assert backend.captures == len({bucket(2 * (PROMPT + tokens)) for tokens in lengths}) <= 7


def test_steps_are_no_part_of_the_graph(eager, graphed):
    """Times are its inputs: more or fewer steps need no capture."""
    flow, backend = graphed
    request = request_of(12, seed=4)
    for steps in (2, 5, 1):
        near(mel_of(flow, request, steps=steps), mel_of(eager, request, steps=steps))
    assert backend.captures == 1


def test_half_precision_is_padded_too(states):
    """In bfloat16 the mask and the padding move the mel no further than rounding does."""
    state, meanflow = states
    request = request_of(50, seed=3)
    given = {"device": CPU, "dtype": torch.bfloat16, "meanflow": meanflow}
    (expected,) = mel_of(Flow.from_state_dict(state, **given), request)
    (found,) = mel_of(Flow.from_state_dict(state, **given, backend=RecordingGraphs()), request)
    assert (found - expected).norm() / expected.norm() < 0.02


def test_cancelled_between_replays(eager, graphed):
    """The question is asked before each; the next request is as ever."""
    flow, backend = graphed
    request = request_of(9, seed=3)
    asked = []

    def cancelled():
        asked.append(True)
        return len(asked) == 4

    with pytest.raises(Cancelled):
        flow.mel(*([part] for part in request), steps=8, cancelled=cancelled)
    assert backend.replays == 2
    near(mel_of(flow, request), mel_of(eager, request))


def test_torchs_attention_gives_the_same(states, eager):
    """The setting `attention` changes kernels, not numbers, in encoder and estimator."""
    state, meanflow = states
    requests = [request_of(n, seed=n) for n in (9, 30)]
    fused = Flow.from_state_dict(state, device=CPU, meanflow=meanflow, fused=True)
    near(mel_of(fused, *requests), mel_of(eager, *requests))


@pytest.mark.parametrize("backend", [None, RecordingGraphs], ids=["packed", "padded"])
def test_fused_operations_give_the_same(states, eager, backend):
    """Norms where the sums before them are, and gaps silent: alone and together, by the operations' plain forms."""
    state, meanflow = states
    flow = Flow.from_state_dict(state, device=CPU, meanflow=meanflow)
    flow.estimator.join()
    if backend is not None:
        flow.use_graphs(backend())
    requests = [request_of(n, seed=n) for n in (9, 44, 1, 50, 61)]
    near(mel_of(flow, *requests), mel_of(eager, *requests))
    near(mel_of(flow, requests[1]), mel_of(eager, requests[1]))


@pytest.mark.parametrize("tokens", [1, 12, 43, 44, 61])
def test_the_encoder_attends_in_few_shapes(states, eager, tokens):
    """Beside graphs torch's attention is given the lengths of the buckets alone, and gives the same."""
    (state, meanflow), backend, request = states, RecordingGraphs(), request_of(tokens, seed=tokens)
    flow = Flow.from_state_dict(state, device=CPU, meanflow=meanflow, fused=True, backend=backend)
    expected = mel_of(eager, request)
    with FirstTimes(backend).watching() as first:
        near(mel_of(flow, request), expected)
    assert {bucket(q[2]) for q, _ in first.shapes} == {q[2] for q, _ in first.shapes} == {k[2] for _, k in first.shapes}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.usefixtures("_exact")
def test_mel_is_the_eager_one_on_the_device(states):
    """With real graphs: several lengths, twice each, and a batch."""
    state, meanflow = states
    device = torch.device("cuda")
    given = {"device": device, "meanflow": meanflow}
    eager = Flow.from_state_dict(state, **given)
    graphed = Flow.from_state_dict(state, **given, backend=CudaGraphs(device))
    requests = [request_of(n, seed=n) for n in (3, 44, 45, 100)]
    for request in requests * 2:
        near(mel_of(graphed, request), mel_of(eager, request))
    near(mel_of(graphed, *requests), mel_of(eager, *requests))
