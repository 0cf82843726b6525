"""Upstream's sizes: tokens equal upstream's, and memory comes back. Minutes, and 6 GB of random weights."""

from __future__ import annotations

import gc

import psutil
import pytest
import torch

from realtts import RealProvider
from realtts.contract.spec import Checkpoint
from realtts.contract.stages import never
from realtts_chatterbox import spec
from realtts_chatterbox.engine import utterance_of
from realtts_chatterbox.frontend import Ask
from realtts_chatterbox.loading import fetch, open_checkpoint
from realtts_chatterbox.network import T3
from realtts_chatterbox.reference import Upstream
from realtts_chatterbox.testing import write_random_checkpoint
from realtts_chatterbox.utterance import STOP

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Checkpoints by their model, written when they are first asked for."""
    written = {}

    def folder(kind):
        if kind not in written:
            written[kind] = tmp_path_factory.mktemp(kind)
            write_random_checkpoint(written[kind], "full", model=kind, f0_bias=120.0)
        return written[kind]

    return folder


def ask_for(number, kind):
    """One of several requests of 60 tokens."""
    ids = torch.randint(1, 254, (20 + 10 * number,), generator=torch.Generator().manual_seed(number)).tolist()
    if kind == "turbo":
        return Ask(kind, tuple(ids), "en", 0.0, 0.0, 0.8, 1.2, 0.0, 0.95, 1000, 1, 60, False, 2, number, False, 25, 3)
    return Ask(kind, (255, *ids, 0), "en", 0.5, 0.5, 0.8, 1.2, 0.05, 1.0, 0, 1, 60, False, 10, number, False, 25, 3)


@pytest.mark.parametrize("kind", ["english", "multilingual", "turbo"])
def test_tokens_are_upstreams(full, kind):
    """In float32, three texts of 60 tokens."""
    weights = open_checkpoint(fetch(Checkpoint(name=kind, path=full(kind))))
    voice, asks = weights.builtin, [ask_for(number, kind) for number in range(3)]
    networks = Upstream(weights, "cpu")
    expected = [networks.draw(ask, voice, never) for ask in asks]
    del networks
    gc.collect()
    ours = T3.from_state_dict(weights.t3_state, kind=kind)
    for ask, wanted in zip(asks, expected, strict=True):
        blocks = list(ours.decode([utterance_of(ask, voice)]))
        found = [token for block in blocks for token in block.tokens]
        assert found == [token for token in wanted if token != STOP]
        assert (blocks[-1].end == "stop") == (len(wanted) < ask.most or wanted[-1] == STOP)


def test_memory_comes_back(full):
    """Unloaded, the process holds what it held after the first load and unload, within 5 %."""
    with RealProvider(spec, model=full("english"), device="cpu", force_tokens_per_char=1.0) as tts:
        levels = []
        for _ in range(3):
            tts.generate("Hm, hm.", seed=1, watermark=False, n_cfm_timesteps=1)
            tts.unload()
            levels.append(psutil.Process().memory_info().rss)
    assert levels[-1] <= 1.05 * levels[0]
