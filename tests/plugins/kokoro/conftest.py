"""A model with random weights, the real one that packages carry, and short ways to speak with them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from realtts import RealProvider
from realtts.contract.spec import Checkpoint
from realtts.contract.stages import StageLog
from realtts.contract.types import Chunk, Request
from realtts.errors import CheckpointMissing
from realtts.kit.english import Pronunciation
from realtts_kokoro import spec
from realtts_kokoro.files import files_at_hand
from realtts_kokoro.options import KokoroOptions
from realtts_kokoro.plain import Kokoro, Plain, load_kokoro
from realtts_kokoro.testing import write_random_checkpoint

PACKAGES = next(each for each in spec.checkpoints if each.name == "packages")


@dataclass(frozen=True)
class Speaker:
    """The plugin's hooks, called as the core calls them, without the core's front end."""

    context: Any
    model: Kokoro

    def stream(self, text: str, *, cancelled: Callable[[], bool] = lambda: False, **more: Any) -> Iterator[Chunk]:
        """Chunks as they come."""
        options = {name: more.pop(name) for name in tuple(more) if name not in Request.__dataclass_fields__}
        request = Request(text, cancelled=cancelled, options=KokoroOptions(**options), **more)
        return Plain().generate(self.context, self.model, request)

    def samples(self, text: str, **more: Any) -> np.ndarray:
        """All audio of a text."""
        return np.concatenate([chunk.samples for chunk in self.stream(text, **more)])


def make_context(checkpoint: Checkpoint | None = None) -> Any:
    """What `load` reads of a context."""
    settings = SimpleNamespace(threads=1, device="auto", language=None)
    given = {"spec": spec, "settings": settings, "rung": None, "report": lambda _: None, "stages": StageLog()}
    return SimpleNamespace(checkpoint=checkpoint, device="cpu", dtype="float32", **given)


@pytest.fixture(scope="session")
def context() -> Callable[..., Any]:
    """Makes what `load` reads of a context."""
    return make_context


@pytest.fixture(scope="session")
def load() -> Callable[[Path], Speaker]:
    """Loads the model of a folder or file."""

    def load(path: Path) -> Speaker:
        context = make_context(Checkpoint("x", path=path))
        return Speaker(context, load_kokoro(context))

    return load


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """A random model."""
    return write_random_checkpoint(tmp_path_factory.mktemp("kokoro"))


@pytest.fixture(scope="session")
def english(tmp_path_factory) -> Path:
    """A random model with English voices."""
    return write_random_checkpoint(tmp_path_factory.mktemp("english"), voices=("af_heart", "af_sky", "bm_lewis"))


@pytest.fixture(scope="session")
def say(folder) -> Speaker:
    """Speaks a text with random weights."""
    context = make_context(Checkpoint("random", path=folder))
    return Speaker(context, load_kokoro(context))


@pytest.fixture(scope="session", autouse=True)
def _tables_are_read_once() -> Iterator[None]:
    """Lexicons never change, and reading them is most of a load."""
    from realtts_kokoro import phonemizers

    @functools.cache
    def pronunciation(*, british: bool) -> Pronunciation:
        return Pronunciation(make_context(), british=british)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phonemizers, "Pronunciation", lambda _, *, british: pronunciation(british=british))
        yield


@pytest.fixture(scope="session")
def tts(folder) -> Iterator[RealProvider]:
    """The provider, as programs use it."""
    with RealProvider("kokoro", model=str(folder), threads=1) as provider:
        yield provider


@pytest.fixture(scope="session")
def real_tts(real) -> Iterator[RealProvider]:
    """The real model, as programs use it."""
    with RealProvider("kokoro", model="packages", threads=1) as provider:
        yield provider


@pytest.fixture(scope="session")
def real() -> Speaker:
    """The real model of the packages, with its Japanese voices."""
    try:
        files_at_hand(PACKAGES)
    except CheckpointMissing as error:
        pytest.skip(f"the real weights: {error.what}")
    context = make_context(PACKAGES)
    return Speaker(context, load_kokoro(context))
