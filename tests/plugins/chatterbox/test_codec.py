"""Flow and vocoder stage by stage; with graphs, ordinary requests find them all captured."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from realtts import stages
from realtts.accel.held import held_tensors
from realtts.testing.recording import RecordingGraphs
from realtts_chatterbox.codec import Codec
from realtts_chatterbox.conditionals import Conditionals
from realtts_chatterbox.frontend import prepare
from realtts_chatterbox.options import ChatterboxOptions

CONTEXT = SimpleNamespace(forced_tokens=lambda _: None)


def _without_times(patch):
    """Outside of a request nothing is timed."""
    patch.setattr(stages, "timed", lambda _, name, **__: contextlib.nullcontext(stages.Work(name, "float32")))


@pytest.fixture(autouse=True)
def _untimed(monkeypatch):
    """As `_without_times`."""
    _without_times(monkeypatch)


@pytest.fixture(scope="module", params=["english", pytest.param("turbo", marks=pytest.mark.full)])
def captured(request, weights_of):
    """A codec with its graphs, what it is asked with, the recorder, and the lengths that were captured."""
    weights, backend = weights_of(request.param), RecordingGraphs()
    codec = Codec(weights.s3gen_state, device="cpu", turbo=request.param == "turbo")
    codec.convert(weights.s3gen_state, torch.float32)
    spoken = SimpleNamespace(text="Hm.", language=None, seed=1, options=ChatterboxOptions())
    ask = replace(prepare(CONTEXT, weights, spoken), steps=1)
    voice = weights.builtin
    with pytest.MonkeyPatch.context() as patch:
        _without_times(patch)
        lengths = [len(samples) for samples in codec.capture(CONTEXT, backend, ask, voice)]
    return codec, ask, voice, backend, lengths


def test_no_length_is_captured_anew(captured):
    """Up to 9 s."""
    codec, ask, voice, backend, lengths = captured
    assert codec.graphed
    assert len(lengths) < 24
    before = backend.captures
    for length in (*range(1, 225, 25), 225):
        for _ in codec.whole(CONTEXT, [[1] * length], [ask], [voice], lambda: False):
            pass
    assert backend.captures == before


@pytest.mark.parametrize("tokens", [40, 225, 331])
def test_no_piece_of_a_stream_is_captured_anew(captured, tokens):
    """Up to 13 s, with the default options."""
    codec, ask, voice, backend, _ = captured
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
    spoken = SimpleNamespace(text="Hm.", language=None, seed=1, options=ChatterboxOptions())
    ask = replace(prepare(CONTEXT, weights, spoken), steps=1)
    assert isinstance(weights.builtin, Conditionals)
    (samples,) = codec.spoken(CONTEXT, [7, 8], ask, weights.builtin)
    assert samples.shape == (2 * 960,)
    assert torch.isfinite(samples).all()
    assert (codec.dtype, codec.graphed) == (dtype, False)
    types = {tensor.dtype for _, tensor in held_tensors(codec.vocoder, "cpu")}
    assert types == {torch.float32}
