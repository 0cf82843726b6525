"""Tiny random checkpoints of all models, and short ways to use them."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("realtts_qwen3")

import torch

from realtts import RealProvider
from realtts.spec import Checkpoint
from realtts_qwen3 import loading, spec
from realtts_qwen3.testing import write_random_checkpoint
from realtts_qwen3.upstream import load_upstream, why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MODELS = ("0.6b-custom-voice", "0.6b-base", "1.7b-base", "1.7b-custom-voice", "1.7b-voice-design")


@pytest.fixture(scope="session", autouse=True)
def _imported_modules_stay() -> Iterator[None]:
    """Leave what is imported out of the collections that every unload makes, which else take most of the time."""
    if why_not() is None:
        load_upstream()
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Checkpoints by their model, written when they are first asked for; not to be changed."""
    written: dict[str, Path] = {}

    def folder(model: str) -> Path:
        if model not in written:
            written[model] = tmp_path_factory.mktemp(model)
            write_random_checkpoint(written[model], model=model)
        return written[model]

    return folder


@pytest.fixture(scope="session")
def weights_of(folders: Callable[[str], Path]) -> Callable[[str], loading.Weights]:
    """The same checkpoints, opened."""
    opened: dict[str, loading.Weights] = {}

    def weights(model: str) -> loading.Weights:
        if model not in opened:
            opened[model] = loading.open_checkpoint(loading.fetch(Checkpoint(name=model, path=folders(model))))
        return opened[model]

    return weights


@pytest.fixture(scope="session")
def upstream_of(folders: Callable[[str], Path]) -> Callable[[str], object]:
    """The same checkpoints as upstream's own ``Qwen3TTSModel.from_pretrained`` loads them."""
    made: dict[str, object] = {}

    def upstream(model: str) -> object:
        if model not in made:
            from realtts_qwen3.upstream import module, quiet

            wrapper = module("qwen_tts.inference.qwen3_tts_model").Qwen3TTSModel
            with quiet():
                made[model] = wrapper.from_pretrained(str(folders(model)), local_files_only=True)
        return made[model]

    if why_not() is not None:
        pytest.skip(str(why_not()))
    return upstream


@pytest.fixture
def plain(folders: Callable[[str], Path]) -> Iterator[Callable[..., RealProvider]]:
    """Makes providers of the plain variant, closed at the end of the test."""
    made: list[RealProvider] = []

    def make(model: str = "0.6b-custom-voice", **settings: object) -> RealProvider:
        given = {"device": "cpu", "threads": 1, "strict": True, **settings}
        made.append(RealProvider(replace(spec, optimized=None), model=folders(model), **given))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture(scope="session")
def recording() -> tuple[np.ndarray, int]:
    """Two seconds and a bit of a voice-like sound at 24 kHz: not a whole number of frames."""
    rate, samples = 24_000, 48_700
    time = np.arange(samples) / rate
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    glottal = sum(np.sin(k * phase) / k for k in range(1, 25))
    wave = glottal * (0.55 - 0.45 * np.cos(2 * np.pi * 2.5 * time))
    wave += 0.01 * np.random.default_rng(0).standard_normal(len(wave))
    return np.asarray(0.3 * wave / np.abs(wave).max(), np.float32), rate
