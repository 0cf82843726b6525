"""Tiny random checkpoints of every configuration, upstream's own inference, and short ways to use them."""

from __future__ import annotations

import gc
import os
import sys
import types
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("f5_tts")

import soundfile
import torch

from realtts import RealProvider
from realtts.spec import Checkpoint
from realtts_f5 import loading, spec
from realtts_f5.testing import write_random_checkpoint
from realtts_f5.upstream import load_upstream, module, quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WORDS = "These are the words of the recording."


@pytest.fixture(scope="session", autouse=True)
def _imported_modules_stay() -> Iterator[None]:
    """Leave what is imported out of the collections that every unload makes, which else take most of the time."""
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
    """Checkpoints by their configuration, written when they are first asked for; not to be changed."""
    written: dict[str, Path] = {}

    def folder(model: str) -> Path:
        if model not in written:
            written[model] = tmp_path_factory.mktemp(f"random-{model}")
            write_random_checkpoint(written[model], model=model)
        return written[model]

    return folder


@pytest.fixture(scope="session")
def parts_of(folders: Callable[[str], Path]) -> Callable[[str], loading.Parts]:
    """The same checkpoints as networks."""
    read: dict[str, loading.Parts] = {}

    def parts(model: str) -> loading.Parts:
        if model not in read:
            files = loading.fetch(Checkpoint(name=model, path=folders(model)))
            read[model] = loading.read_parts(files, "cpu")
        return read[model]

    return parts


@pytest.fixture
def plain(folders: Callable[[str], Path]) -> Iterator[Callable[..., RealProvider]]:
    """Makes providers of the plain variant, closed at the end of the test."""
    made: list[RealProvider] = []

    def make(model: str = "f5-v1-base", **settings: object) -> RealProvider:
        given = {"device": "cpu", "threads": 1, "strict": True, **settings}
        made.append(RealProvider(replace(spec, optimized=None), model=folders(model), **given))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture(scope="session")
def recording() -> tuple[np.ndarray, int]:
    """Five seconds of a voice-like sound at 24 kHz in 16 bits, half a second of silence before and behind it."""
    rate, seconds = 24_000, 5
    time = np.arange(seconds * rate) / rate
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    glottal = sum(np.sin(k * phase) / k for k in range(1, 25))
    wave = glottal * (0.55 - 0.45 * np.cos(2 * np.pi * 2.5 * time))
    wave = 0.2 * wave / np.abs(wave).max()
    silence = np.zeros(rate // 2)
    wave = np.concatenate([silence, wave, silence])
    return (np.rint(wave * 32767) / 32768).astype(np.float32), rate


@pytest.fixture(scope="session")
def upstream_infer(tmp_path_factory: pytest.TempPathFactory) -> types.ModuleType:
    """Upstream's `utils_infer`, without what it needs for plots and transcription, silent, reading files by itself."""
    load_upstream()
    before = dict(os.environ), list(sys.path)
    names = ("matplotlib", "matplotlib.pylab", "transformers")
    placed = [name for name in names if name not in sys.modules]
    for name in placed:
        sys.modules[name] = types.ModuleType(name)
    sys.modules["matplotlib"].__dict__.setdefault("use", lambda _: None)
    sys.modules["transformers"].__dict__.setdefault("pipeline", None)
    with quiet():
        infer = module("f5_tts.infer.utils_infer")
    for name in placed:
        del sys.modules[name]
    os.environ.clear()
    os.environ.update(before[0])
    sys.path[:] = before[1]
    infer.tempfile_kwargs = {"delete": False, "dir": str(tmp_path_factory.mktemp("upstream"))}
    infer.print = lambda *_, **__: None
    infer.torchaudio = types.SimpleNamespace(load=_load, transforms=module("torchaudio.transforms"))
    return infer


def _load(path: str) -> tuple[torch.Tensor, int]:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return torch.from_numpy(samples.T.copy()), rate
