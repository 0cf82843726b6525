"""Flow and vocoder stage by stage; with graphs, ordinary requests find them all captured."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from realtts.accel.offload.tensors import walk_tensors
from realtts.testing import make_context, make_request
from realtts.testing.recording import RecordingGraphs
from realtts_chatterbox import codec as module
from realtts_chatterbox.codec import Codec, _lasting
from realtts_chatterbox.conditionals import Conditionals
from realtts_chatterbox.flow import finished
from realtts_chatterbox.frontend import prepare
from realtts_chatterbox.noise import Noise

CONTEXT = make_context()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            ("english", 60), marks=pytest.mark.full
        ),  # by default: test_stages.test_the_status_tells_of_graphs
        pytest.param(("english", 240), marks=pytest.mark.slow),
        pytest.param(("turbo", 240), marks=pytest.mark.full),
    ],
    ids=lambda param: f"{param[0]} to {param[1]}",
)
def captured(request, weights_of):
    """A codec with its graphs, what it is asked with, the recorder, the samples captured, and the most tokens."""
    (kind, most), backend = request.param, RecordingGraphs()
    weights = weights_of(kind)
    codec = Codec(weights.s3gen_state, device="cpu", turbo=kind == "turbo")
    codec.convert(weights.s3gen_state, torch.float32)
    ask = replace(prepare(CONTEXT, weights, make_request("Hm.", seed=1)), steps=1)
    voice = weights.builtin
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_GRAPHED_TOKENS", most)
        lengths = [len(samples) for samples in codec.capture(CONTEXT, backend, ask, voice)]
    return codec, ask, voice, backend, lengths, most


def test_no_length_is_captured_anew(captured):
    """Up to 9 s, or less where less was captured, with voices of any length; beyond it nothing is captured either."""
    codec, ask, voice, backend, lengths, most = captured
    assert codec.graphed
    assert len(lengths) < 24
    before, replays = backend.captures, backend.replays
    for tokens in (1, 40, 100, 250):
        flows = backend.replays
        finished(codec.mels(CONTEXT, [codec.piece([1], _lasting(voice, tokens), Noise(0))], 1))
        assert backend.replays == flows + 1, "the step was replayed"
    assert backend.captures == before
    for _ in codec.spoken(CONTEXT, [1] * (2 * most + 300), ask, voice):
        pass
    assert backend.captures == before
    assert backend.replays > replays
    for length in (*range(1, most - 15, 25), most - 15):
        for _ in codec.spoken(CONTEXT, [1] * length, ask, voice):
            pass
    assert backend.captures == before


@pytest.mark.parametrize("tokens", [40, 225, 331])
def test_no_piece_of_a_stream_is_captured_anew(captured, tokens):
    """Up to 13 s, with the default options."""
    codec, ask, voice, backend, _, most = captured
    if most < 240 and tokens > 40:
        pytest.skip("its graphs are for short ones")
    before = backend.captures
    stream = codec.stream(CONTEXT, ask, voice, lambda: False)
    pieces = [stream.push([1], final=False) for _ in range(tokens - 1)]
    pieces.append(stream.push([1, *codec.ending()], final=True))
    assert sum(map(len, pieces)) == 960 * (tokens + len(codec.ending()))
    assert backend.captures == before


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_speaks_once_it_is_converted(weights_of, dtype):
    """Without graphs; the estimator has the type that was asked for, the rest stays float32."""
    weights = weights_of("english")
    codec = Codec(weights.s3gen_state, device="cpu", turbo=False)
    with pytest.raises(AssertionError, match="before convert"):
        codec.dtype  # noqa: B018 - the property raises
    codec.convert(weights.s3gen_state, dtype)
    ask = replace(prepare(CONTEXT, weights, make_request("Hm.", seed=1)), steps=1)
    assert isinstance(weights.builtin, Conditionals)
    (samples,) = codec.spoken(CONTEXT, [7, 8], ask, weights.builtin)
    assert samples.shape == (2 * 960,)
    assert torch.isfinite(samples).all()
    assert (codec.dtype, codec.graphed) == (dtype, False)
    types = {tensor.dtype for _, tensor in walk_tensors(codec.vocoder, "cpu")}
    assert types == {torch.float32}
