"""Tiny random checkpoints of the three models, and short ways to use them."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("realtts_chatterbox")

import torch

from realtts import RealProvider
from realtts.spec import Checkpoint
from realtts_chatterbox import loading, spec
from realtts_chatterbox.testing import write_random_checkpoint
from realtts_chatterbox.upstream import load_upstream, quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KINDS = ("english", "multilingual", "turbo")


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
    """Checkpoints by their model, written when they are first asked for; not to be changed."""
    written: dict[str, Path] = {}

    def folder(model: str) -> Path:
        if model not in written:
            written[model] = tmp_path_factory.mktemp(model)
            write_random_checkpoint(written[model], model=model, f0_bias=120.0)
        return written[model]

    return folder


@pytest.fixture(scope="session")
def parts_of(folders: Callable[[str], Path]) -> Callable[[str], loading.Parts]:
    """The same checkpoints as networks."""
    read: dict[str, loading.Parts] = {}

    def parts(model: str) -> loading.Parts:
        if model not in read:
            kind, files = loading.fetch(Checkpoint(name=model, path=folders(model)))
            read[model] = loading.read_parts(files, kind, "cpu")
        return read[model]

    return parts


@pytest.fixture(scope="session")
def upstream_of(folders: Callable[[str], Path]) -> Callable[[str], object]:
    """Upstream's own objects around the same weights; its sizes are fixed, so its networks are filled here."""
    made: dict[str, object] = {}

    def upstream(model: str) -> object:
        if model not in made:
            made[model] = _upstream(model, folders(model))
        return made[model]

    return upstream


@pytest.fixture
def plain(folders: Callable[[str], Path]) -> Iterator[Callable[..., RealProvider]]:
    """Makes providers of the plain variant, closed at the end of the test."""
    made: list[RealProvider] = []

    def make(model: str = "english", **settings: object) -> RealProvider:
        given = {"device": "cpu", "threads": 1, "strict": True, **settings}
        made.append(RealProvider(replace(spec, optimized=None), model=folders(model), **given))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture(scope="session")
def recording() -> tuple[np.ndarray, int]:
    """Six seconds of a voice-like sound at 24 kHz."""
    rate, seconds = 24_000, 6
    time = np.arange(seconds * rate) / rate
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    glottal = sum(np.sin(k * phase) / k for k in range(1, 25))
    wave = glottal * (0.55 - 0.45 * np.cos(2 * np.pi * 2.5 * time))
    wave += 0.01 * np.random.default_rng(0).standard_normal(len(wave))
    return np.asarray(0.3 * wave / np.abs(wave).max(), np.float32), rate


def _upstream(model: str, folder: Path) -> object:
    """Upstream's own object around networks of its own, without its constructor's watermarker."""
    kind, files = loading.fetch(Checkpoint(name=model, path=folder))
    parts = loading.read_parts(files, kind, "cpu")
    with quiet():
        from chatterbox import mtl_tts, tts, tts_turbo

        by_kind = {
            "english": (tts, tts.ChatterboxTTS),
            "multilingual": (mtl_tts, mtl_tts.ChatterboxMultilingualTTS),
            "turbo": (tts_turbo, tts_turbo.ChatterboxTurboTTS),
        }
        module, cls = by_kind[model]
    made = object.__new__(cls)
    made.sr, made.device = 24_000, "cpu"
    made.t3, made.s3gen, made.ve = parts.t3, parts.s3gen, parts.ve
    made.tokenizer = parts.tokenizer._upstream
    made.conds = module.Conditionals.load(folder / "conds.pt")
    made.watermarker = type("NoMark", (), {"apply_watermark": lambda self, wave, sample_rate: wave})()
    return made
