"""A loaded hibari and short ways to speak with it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from realtts import RealProvider
from realtts.contract.stages import StageLog
from realtts.contract.types import Chunk, Request
from realtts.kit.english import Pronunciation
from realtts_hibari import spec
from realtts_hibari.network import Network
from realtts_hibari.plain import Hibari, Plain


@dataclass(frozen=True)
class Speaker:
    """The plugin's hooks, called as the core calls them, without the core's front end."""

    context: Any
    model: Hibari

    def stream(
        self,
        text: str,
        *,
        seed: int = 0,
        speed: float = 1.0,
        cancelled: Callable[[], bool] = lambda: False,
        **more: Any,
    ) -> Iterator[Chunk]:
        """Chunks as they come."""
        request = Request(text, seed=seed, speed=speed, cancelled=cancelled, **more)
        return Plain().generate(self.context, self.model, request)

    def samples(self, text: str, **more: Any) -> np.ndarray:
        """All audio of a text."""
        return np.concatenate([chunk.samples for chunk in self.stream(text, **more)])


def _context(**changes: Any) -> Any:
    settings = SimpleNamespace(threads=1, device="auto")
    given = {"spec": spec, "settings": settings, "rung": None, "checkpoint": None, "report": lambda _: None}
    return SimpleNamespace(**{**given, "stages": StageLog(), "dtype": "float32", **changes})


@pytest.fixture(scope="session")
def context() -> Callable[..., Any]:
    """Makes what `load` reads of a context."""
    return _context


@pytest.fixture(scope="session")
def say() -> Speaker:
    """Speaks a text."""
    return Speaker(_context(), Plain().load(_context()))


@pytest.fixture(scope="session")
def tts() -> Iterator[RealProvider]:
    """The provider, as programs use it."""
    with RealProvider("hibari", threads=1) as provider:
        yield provider


@pytest.fixture(scope="session", autouse=True)
def _tables_are_read_once() -> Iterator[None]:
    """Lexicon and graphs never change, and reading them is most of a load; `test_files` reads them anew."""
    from realtts_hibari import plain

    @functools.cache
    def pronunciation(*, british: bool) -> Pronunciation:
        return Pronunciation(_context(), british=british)

    @functools.cache
    def network(content: bytes, name: str) -> Network:
        return Network(content, _context(), name=name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "Pronunciation", lambda _, *, british: pronunciation(british=british))
        patch.setattr(plain, "Network", lambda content, _, *, name: network(content, name))
        yield
