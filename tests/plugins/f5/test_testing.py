"""What `realtts bench` and `realtts verify` ask of the plugin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from realtts.bench.subject import Subject
from realtts.bench.tools import find_tools
from realtts.bench.verify import run_verify
from realtts.bench.workload import Text, Workload
from realtts.testing import make_request
from realtts.voices import VoiceCache
from realtts_f5 import spec
from realtts_f5.options import F5Options
from realtts_f5.voices import reference_of

PLAIN = replace(spec, optimized=None)
SPOKEN = Workload((Text("Hello there, you."), Text("Good day.")), options={"nfe_step": 4})


def test_tools_are_found() -> None:
    """The module beside the spec, with random weights and a look at the mel."""
    tools = find_tools(spec)
    assert tools.module == "realtts_f5.testing"
    assert tools.write_random_checkpoint
    assert tools.teacher_forced
    assert tools.tokens is None


def test_both_variants_are_verified(folders) -> None:
    """A stream is cut as the whole is, so that 1e-4 means something: plain's is the whole to the sample."""
    text = Text("Hello there, my dear friend. How do you do?")
    workload = Workload((text,), options={"nfe_step": 4}, tokens=60)
    assert find_tools(spec).TOLERANCES["streaming"] == 1e-4
    record = run_verify(spec, workload, settings={"model": folders("f5-v1-base"), "device": "cpu", "threads": 1})
    streaming = [check for check in record["checks"] if check["name"].startswith("streaming")]
    assert len(streaming) == 2
    assert streaming[0]["value"] == 0.0
    assert all(check["ok"] and check["tolerance"] == 1e-4 for check in streaming)
    assert record["ok"], record["checks"]


@pytest.mark.parametrize("tokens", [None, 60])
def test_mel_of_the_first_chunk(folders, tokens) -> None:
    """Recording and speech in frames of 100 bands, as many as a benchmark forces."""
    workload = replace(SPOKEN, texts=SPOKEN.texts[:1], tokens=tokens)
    settings = {
        "model": folders("f5-v1-base"), "device": "cpu", "threads": 1, "optimize": False,
        "force_tokens_per_char": workload.tokens_per_char,
    }  # fmt: skip
    with Subject(PLAIN, settings) as subject:
        ask = subject.plan(workload.texts[0], workload)
        mel = subject.apply(find_tools(spec).teacher_forced, ask, None)
        samples = subject.whole([ask])[0].samples
    assert mel.dtype == np.float32
    assert mel.shape[1] == 100
    assert np.isfinite(mel).all()
    request = make_request()
    spoken = mel.shape[0] - reference_of(VoiceCache(), request, F5Options()).hops
    assert len(samples) == 256 * (spoken - 1)
    assert spoken == (tokens or spoken)
