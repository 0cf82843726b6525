"""Tokens to mel spectrograms: upstream's numbers, alone and in a batch, from weights of any size."""

from __future__ import annotations

import pytest
import torch

from realtts.accel.kernels.rows import why_no_rows
from realtts.accel.upstream.calls import quiet
from realtts.contract.stages import Cancelled
from realtts_chatterbox.conditionals import Conditionals
from realtts_chatterbox.flow import LOOKAHEAD, Flow, Piece
from realtts_chatterbox.noise import InjectedNoise, Noise

CPU = torch.device("cpu")
STEPS = 4
LENGTHS = ((30, 7), (1, 5), (23, 9))


def voice_of(tokens, seed):
    """A voice as the flow sees it: made up, with a prompt of so many tokens."""
    drawn = torch.Generator().manual_seed(seed)
    return Conditionals(
        torch.zeros(1, 256),
        None,
        torch.randint(0, 6561, (1, tokens), generator=drawn),
        torch.randn(1, 2 * tokens, 80, generator=drawn),
        torch.randn(1, 192, generator=drawn),
    )


def request_of(tokens, prompt, seed):
    """Tokens, voice and noise of one request."""
    drawn = torch.Generator().manual_seed(seed)
    return torch.randint(0, 6561, (tokens,), generator=drawn), voice_of(prompt, seed), Noise(seed)


@pytest.fixture(scope="module", params=["english", "turbo"])
def networks(request, networks_of):
    """Upstream's flow and ours with the same weights, with guidance and without."""
    upstream, meanflow = networks_of(request.param).s3gen.flow, request.param == "turbo"
    return upstream, Flow.from_state_dict(upstream.state_dict(), device=CPU, meanflow=meanflow), meanflow


@pytest.fixture
def requests():
    """Three of different lengths and voices."""
    return [request_of(*lengths, seed) for seed, lengths in enumerate(LENGTHS)]


def upstream_mel(upstream, tokens, voice, noise, *, meanflow, steps=STEPS):
    """What upstream makes of a whole request."""
    with quiet(), InjectedNoise([noise], voice.mel.shape[1]), torch.inference_mode():
        mel, _ = upstream.inference(
            tokens[None],
            torch.tensor([len(tokens)]),
            voice.tokens,
            torch.tensor([voice.tokens.shape[1]]),
            voice.mel,
            None,
            voice.embedding,
            finalize=True,
            n_timesteps=steps,
            meanflow=meanflow,
            noised_mels=torch.randn(1, 80, 2 * len(tokens)) if meanflow else None,
        )
    return mel[0]


def test_mel_is_upstreams(networks, requests):
    """From the same tokens, voice and noise."""
    upstream, ours, meanflow = networks
    for tokens, voice, noise in requests:
        expected = upstream_mel(upstream, tokens, voice, noise, meanflow=meanflow)
        (mel,) = ours.mel([tokens], [voice], [noise], steps=STEPS)
        assert mel.shape == (80, 2 * len(tokens))
        assert mel.dtype == torch.float32
        torch.testing.assert_close(mel, expected, rtol=0, atol=5e-5)


def test_default_steps_are_upstreams(networks):
    """Ten, or Turbo's two."""
    upstream, ours, meanflow = networks
    tokens, voice, noise = request_of(12, 5, 1)
    expected = upstream_mel(upstream, tokens, voice, noise, meanflow=meanflow, steps=2 if meanflow else 10)
    torch.testing.assert_close(ours.mel([tokens], [voice], [noise])[0], expected, rtol=0, atol=5e-5)


def test_batch_equals_single(networks, requests):
    """Whatever lies beside a request, its mel stays."""
    _, ours, _ = networks
    together = ours.mel(*zip(*requests, strict=True), steps=STEPS)
    for (tokens, voice, noise), mel in zip(requests, together, strict=True):
        (alone,) = ours.mel([tokens], [voice], [noise], steps=STEPS)
        torch.testing.assert_close(mel, alone, rtol=0, atol=2e-5)


def test_estimator_in_half_precision_stays_near(networks, requests):
    """bfloat16 inside the estimator moves the mel by less than 2 % of its size."""
    upstream, ours, meanflow = networks
    half = Flow.from_state_dict(upstream.state_dict(), device=CPU, dtype=torch.bfloat16, meanflow=meanflow)
    batches = [flow.mel(*zip(*requests, strict=True), steps=STEPS) for flow in (ours, half)]
    for full, rounded in zip(*batches, strict=True):
        error = (rounded - full).norm() / full.norm()
        assert 0 < error < 0.02


def test_voice_and_tokens_stay_as_they_are(networks):
    """Requests share a voice, so nobody may write into it."""
    _, ours, _ = networks
    tokens, voice, noise = request_of(9, 5, 3)
    before = [x.clone() for x in (tokens, voice.tokens, voice.mel, voice.embedding)]
    ours.mel([tokens], [voice], [noise], steps=1)
    for x, y in zip((tokens, voice.tokens, voice.mel, voice.embedding), before, strict=True):
        assert torch.equal(x, y)


def test_stretch_that_is_not_final_lacks_its_look_ahead(networks):
    """The last three tokens are only looked at, and the first frames' noise is that of their place."""
    _, ours, _ = networks
    tokens, voice, noise = request_of(12, 5, 3)
    (mel,) = ours.pieces([Piece(tokens, voice, noise, begin=8, final=False)], steps=1)
    assert mel.shape == (80, 2 * (12 - LOOKAHEAD))
    (elsewhere,) = ours.pieces([Piece(tokens, voice, noise, begin=10, final=False)], steps=1)
    assert not torch.allclose(mel, elsewhere)


def test_cancelled_between_steps(networks):
    """The question is asked before each step, and the answer stops the work."""
    _, ours, _ = networks
    tokens, voice, noise = request_of(9, 5, 3)
    asked = []

    def cancelled():
        asked.append(True)
        return len(asked) == 4

    with pytest.raises(Cancelled):
        ours.mel([tokens], [voice], [noise], steps=8, cancelled=cancelled)
    assert len(asked) == 4


def test_missing_tensor_is_named(networks):
    """A checkpoint that lacks one is not loaded half."""
    upstream, _, _ = networks
    state = upstream.state_dict()
    del state["decoder.estimator.final_proj.bias"]
    with pytest.raises(KeyError, match=r"final_proj\.bias"):
        Flow.from_state_dict(state, device=CPU)


needs_kernels = pytest.mark.skipif(why_no_rows() is not None, reason=str(why_no_rows()))


def flow_of(networks_of, kind, **how):
    """The optimized variant's flow, converted."""
    state, meanflow = networks_of(kind).s3gen.flow.state_dict(), kind == "turbo"
    flow = Flow(state, CPU, meanflow=meanflow)
    flow.convert(state, torch.float32, **how)
    return flow


def error_of(mels, expected):
    """The largest relative error."""
    return max(float((mel - right).norm() / right.norm()) for mel, right in zip(mels, expected, strict=True))


@needs_kernels
@pytest.mark.parametrize("kind", ["english", "turbo"])
def test_mel_is_near_that_of_float32(networks_of, kind):
    """Within 5 % after the default steps, alone and beside others.

    Beside others float32 layers sum in another order, and numbers between two integers may then round to the other; on
    the CPU the codec computes one request at a time.
    """
    requests = [request_of(*lengths, seed) for seed, lengths in enumerate(LENGTHS)]
    exact = flow_of(networks_of, kind)
    rounded = flow_of(networks_of, kind, rounded=True, attention="native-rounded")
    expected, mels = (flow.mel(*zip(*requests, strict=True)) for flow in (exact, rounded))
    assert error_of(mels, expected) < 0.05
    alone = [rounded.mel(*([part] for part in request))[0] for request in requests]
    assert error_of(alone, expected) < 0.05
    again = [rounded.mel(*([part] for part in request))[0] for request in requests]
    assert all(torch.equal(mel, right) for mel, right in zip(again, alone, strict=True))


@needs_kernels
@pytest.mark.parametrize("kind", ["english", "turbo"])
def test_native_attention_keeps_float32(networks_of, kind):
    """In integers it is nearer than bfloat16."""
    requests = [request_of(*lengths, seed) for seed, lengths in enumerate(LENGTHS)]
    expected = flow_of(networks_of, kind).mel(*zip(*requests, strict=True))
    for attention, bound in {"native": 1e-5, "native-rounded": 3e-3}.items():
        mels = flow_of(networks_of, kind, attention=attention).mel(*zip(*requests, strict=True))
        assert error_of(mels, expected) < bound


@needs_kernels
def test_its_cost_is_that_of_int8(networks_of):
    """As many operations, a quarter of the bytes."""
    exact, rounded = flow_of(networks_of, "english"), flow_of(networks_of, "english", rounded=True)
    assert rounded.estimator.flops(100, 2) == exact.estimator.flops(100, 2)
    assert rounded.bytes_read(1) * 4 == exact.bytes_read(1)
