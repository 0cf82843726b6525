"""Upstream's sizes: tokens equal upstream's, and memory comes back. Minutes, and 3 GB of random weights."""

from __future__ import annotations

import gc

import psutil
import pytest
import torch

from realtts import RealProvider
from realtts_chatterbox import loading, spec
from realtts_chatterbox.conditioning import to_upstream
from realtts_chatterbox.engines import utterance_of
from realtts_chatterbox.files import T3_FILES
from realtts_chatterbox.frontend import Ask
from realtts_chatterbox.network import STOP, T3
from realtts_chatterbox.reference import draw
from realtts_chatterbox.testing import write_random_checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A checkpoint of English."""
    folder = tmp_path_factory.mktemp("full")
    write_random_checkpoint(folder, "full", f0_bias=120.0)
    return folder


def ask_for(number):
    """One of several requests of 60 tokens."""
    ids = torch.randint(1, 254, (20 + 10 * number,), generator=torch.Generator().manual_seed(number)).tolist()
    return Ask(
        "english", (255, *ids, 0), "en", 0.5, 0.5, 0.8, 1.2, 0.05, 1.0, 0, 1, 60, False, 10, number, False, 25, 3
    )


def test_tokens_are_upstreams(full):
    """In float32, three texts of 60 tokens."""
    files = {path.name: path for path in full.iterdir()}
    voice, asks = loading.read_builtin(files), [ask_for(number) for number in range(3)]
    upstream = loading.read_t3(files, "english", "cpu")
    expected = [draw(upstream, to_upstream(voice, 0.5)[0], ask, lambda: False) for ask in asks]
    del upstream
    gc.collect()
    ours = T3(loading.read_t3_state(files[T3_FILES["english"]]), multilingual=False)
    for ask, wanted in zip(asks, expected, strict=True):
        blocks = list(ours.decode([utterance_of(ask, voice)]))
        found = [token for block in blocks for token in block.tokens[0]]
        assert found + [STOP] * blocks[-1].stopped[0] == wanted


def test_memory_comes_back(full):
    """Unloaded, the process holds what it held after the first load and unload, within 5 %."""
    with RealProvider(spec, model=full, device="cpu", force_tokens_per_char=1.0) as tts:
        levels = []
        for _ in range(3):
            tts.generate("Hm, hm.", seed=1, watermark=False, n_cfm_timesteps=1)
            tts.unload()
            levels.append(psutil.Process().memory_info().rss)
    assert levels[-1] <= 1.05 * levels[0]
