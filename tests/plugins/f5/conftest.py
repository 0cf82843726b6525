"""Tiny random checkpoints of every configuration, upstream's own inference, and short ways to use them."""

from __future__ import annotations

import functools
import os
import sys
import types
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("f5_tts")

import soundfile
import torch

from realtts.accel.upstream.calls import quiet
from realtts.contract.spec import Checkpoint
from realtts.testing import voice_like
from realtts_f5 import spec
from realtts_f5.loading import fetch, open_checkpoint
from realtts_f5.plain import PlainModel
from realtts_f5.reference import Upstream
from realtts_f5.upstream import load_upstream, module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from realtts import RealProvider
    from realtts.contract.spec import ProviderSpec

WORDS = "These are the words of the recording."


@pytest.fixture(scope="session")
def imported() -> None:
    """Upstream's package."""
    load_upstream()


@pytest.fixture(autouse=True)
def _few_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of three lengths: each takes as long as some steps."""
    monkeypatch.setattr("realtts_f5.model.LONGEST_FRAMES", 192)


@pytest.fixture(scope="session")
def plugin() -> ProviderSpec:
    """The plugin's own."""
    return spec


@pytest.fixture(scope="session")
def loaded(folders: Callable[[str], Path]) -> Callable[[str], PlainModel]:
    """The same checkpoints in upstream's networks."""

    @functools.cache
    def load(model: str) -> PlainModel:
        weights = open_checkpoint(fetch(Checkpoint("test", path=folders(model))))
        return PlainModel(weights, Upstream(weights, "cpu"))

    return load


@pytest.fixture
def make(make: Callable[..., RealProvider]) -> Callable[..., RealProvider]:
    """Of the lengths that the text has."""
    return functools.partial(make, force_tokens_per_char=None)


@pytest.fixture(scope="session")
def recording() -> tuple[np.ndarray, int]:
    """Five seconds of a voice-like sound at 24 kHz in 16 bits, half a second of silence before and behind it."""
    wave, rate = voice_like(5)
    wave = np.pad(wave * (0.2 / 0.3), rate // 2)
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
