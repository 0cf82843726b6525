"""What flow and vocoder are said to need, so that `realtts bench` can hold their seconds against a floor."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from realtts import RealProvider
from realtts.bench.floor import floor_of
from realtts_chatterbox import spec
from realtts_chatterbox.estimator import BINS, Estimator
from realtts_chatterbox.layout import Layout, Packing
from realtts_chatterbox.vocoder import Vocoder

CPU = torch.device("cpu")
RATES = {"bytes_per_s": 1e10, "flops_per_s": {"float32": 1e11, "bfloat16": 4e11}}


def counted(run):
    """Operations that torch counts by itself, in products, convolutions and attention."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        run()
    return counter.get_total_flops()


@pytest.mark.parametrize("kind", ["english", "turbo"])
@pytest.mark.parametrize("frames", [60, 240])
def test_the_estimators_operations_are_those_that_torch_counts(parts_of, kind, frames) -> None:
    """But for a few: what stands between sequences is computed too. In bfloat16, whose products torch can see."""
    state = parts_of(kind).s3gen.flow.decoder.estimator.state_dict()
    network = Estimator(state, CPU, torch.bfloat16)
    rows = 1 if network.meanflow else 2
    layout = Layout.of(Packing((frames,), rows), CPU)
    prepared = network.prepared(layout, torch.zeros(frames + 2, 3 * BINS), torch.linspace(0, 1, 3))
    made = counted(lambda: network(torch.zeros(frames + 2, BINS), 0, prepared))
    assert made == pytest.approx(network.flops(frames, rows), rel=0.05)
    assert network.flops(2 * frames, rows) > 2 * network.flops(frames, rows)


def test_the_vocoders_operations_are_those_that_torch_counts(parts_of) -> None:
    """But for the one sample that the spectrum is longer than the frames."""
    state = parts_of("english").s3gen.mel2wav.state_dict()
    vocoder = Vocoder.from_state_dict(state, device=CPU)
    body, mel = vocoder._body, torch.zeros(BINS, 50)
    made = counted(lambda: (vocoder.pitch(mel), body(mel, torch.zeros(1, 18, 120 * 50 + 1))))
    assert made == pytest.approx(vocoder.flops(50), rel=0.01)
    assert vocoder.flops(100) == 2 * vocoder.flops(50)


@pytest.mark.parametrize("kind", ["english", "turbo"])
def test_every_stage_has_a_floor(folders, kind) -> None:
    """Whole, streamed and in a batch; longer speech has a higher one."""
    given = {"device": "cpu", "threads": 1, "force_tokens_per_char": 1.0, "strict": True}
    told = {"seed": 1, "watermark": False}
    with RealProvider(spec, model=folders(kind), **given) as tts:
        short, long = (tts.generate("Hello there. " * times, **told).metrics.work for times in (2, 8))
        for name in ("t3", "flow", "vocoder"):
            floors = [floor_of(work[name], RATES) for work in (short, long)]
            assert 0 < floors[0] < floors[1]
            assert short[name].bytes > 0
        assert long["vocoder"].flops > 3 * short["vocoder"].flops
        assert long["flow"].flops > short["flow"].flops
        list(stream := tts.stream("Hello there. " * 8, **told))
        assert stream.metrics.work["flow"].flops > long["flow"].flops  # each piece sees the voice's prompt again
        assert stream.metrics.work["vocoder"].flops >= long["vocoder"].flops
        together = tts.generate_batch(["Hello there. " * 2] * 2, **told)
        assert all(floor_of(speech.metrics.work["vocoder"], RATES) for speech in together)
