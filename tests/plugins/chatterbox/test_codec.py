"""The warm-up of flow and vocoder: with graphs, ordinary requests find them all captured."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from realtts.accel.weights.state_reader import below
from realtts.contract import stages
from realtts.testing.recording import RecordingGraphs
from realtts_chatterbox.codec import Codec
from realtts_chatterbox.conditionals import Conditionals
from realtts_chatterbox.frontend import prepare
from realtts_chatterbox.options import ChatterboxOptions

CONTEXT = SimpleNamespace(forced_tokens=lambda _: None)


@pytest.fixture(autouse=True)
def _untimed(monkeypatch):
    """Outside of a request nothing is timed."""
    monkeypatch.setattr(stages, "timed", lambda _, name, **__: contextlib.nullcontext(stages.Work(name, "float32")))


@pytest.fixture(params=["english", "turbo"])
def warm(request, weights_of):
    """A codec after its warm-up, what it is asked with, and the recorder of its graphs."""
    weights, backend = weights_of(request.param), RecordingGraphs()
    codec = Codec(
        below(weights.s3gen_state, "flow."),
        below(weights.s3gen_state, "mel2wav."),
        device="cpu",
        dtype=torch.float32,
        turbo=request.param == "turbo",
        backend=backend,
    )
    asked = SimpleNamespace(text="Hm.", language=None, seed=1, options=ChatterboxOptions())
    ask = replace(prepare(CONTEXT, weights, asked), steps=1)
    voice = weights.builtin
    spoken = [len(samples) for samples in codec.warm_up(CONTEXT, ask, voice)]
    return codec, ask, voice, backend, spoken


def test_no_length_is_captured_anew(warm):
    """Up to 9 s."""
    codec, ask, voice, backend, spoken = warm
    assert len(spoken) < 24
    before = backend.captures
    for length in (*range(1, 225, 25), 225):
        for _ in codec.whole(CONTEXT, [[1] * length], [ask], [voice], lambda: False):
            pass
    assert backend.captures == before


@pytest.mark.parametrize("tokens", [40, 225, 331])
def test_no_piece_of_a_stream_is_captured_anew(warm, tokens):
    """Up to 13 s, with the default options."""
    codec, ask, voice, backend, _ = warm
    before = backend.captures
    stream = codec.stream(CONTEXT, ask, voice, lambda: False)
    found = [stream.push([1], final=False) for _ in range(tokens - 1)]
    found.append(stream.push([1, *codec.ending()], final=True))
    assert sum(map(len, found)) == 960 * (tokens + len(codec.ending()))
    assert backend.captures == before


def test_without_graphs_one_is_enough(weights_of):
    """Something short."""
    weights = weights_of("english")
    builtin, state = weights.builtin, weights.s3gen_state
    codec = Codec(below(state, "flow."), below(state, "mel2wav."), device="cpu", dtype=torch.float32, turbo=False)
    asked = SimpleNamespace(text="Hm.", language=None, seed=1, options=ChatterboxOptions())
    ask = replace(prepare(CONTEXT, weights, asked), steps=1)
    assert isinstance(builtin, Conditionals)
    (samples,) = codec.warm_up(CONTEXT, ask, builtin)
    assert torch.isfinite(samples).all()
