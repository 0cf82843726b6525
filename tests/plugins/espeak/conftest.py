"""A loaded espeak and short ways to speak with it: without the facade, but for SSML, which the core reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from realtts import RealProvider
from realtts.contract.types import Chunk, Mark, Request, Voice
from realtts_espeak.options import EspeakOptions
from realtts_espeak.plain import Espeak, Plain

RATE = 22050


@dataclass
class Spoken:
    """The chunks of one request, and what tests ask of them."""

    text: str
    chunks: list[Chunk] = field(default_factory=list)

    @property
    def samples(self) -> NDArray[np.float32]:
        """All audio."""
        return np.concatenate([chunk.samples for chunk in self.chunks])

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / RATE

    @property
    def marks(self) -> list[Mark]:
        """All marks in order."""
        return [mark for chunk in self.chunks for mark in chunk.marks]

    @property
    def words(self) -> list[str]:
        """The text under the marks of words."""
        return [self.text[slice(*mark.span)] for mark in self.marks if mark.kind == "word"]

    @property
    def warnings(self) -> list[str]:
        """All warnings."""
        return [warning for chunk in self.chunks for warning in chunk.warnings]


@dataclass
class Speaker:
    """The plugin's hooks, called as the core calls them."""

    plain: Plain
    model: Espeak
    provider: RealProvider

    def stream(
        self,
        text: str,
        *,
        voice: Voice | str | None = None,
        language: str | None = None,
        speed: float = 1.0,
        cancelled: Callable[[], bool] = lambda: False,
        ssml: bool = False,
        **options: Any,
    ) -> Iterator[Chunk]:
        """Chunks as they come."""
        if ssml:
            return self.provider.stream(text, voice=voice, language=language, speed=speed, ssml=True, **options)
        request = Request(text, voice, language, 0, speed, EspeakOptions(**options), cancelled)
        return self.plain.generate(None, self.model, request)  # type: ignore[arg-type]

    def __call__(self, text: str, **arguments: Any) -> Spoken:
        return Spoken(text, list(self.stream(text, **arguments)))


@pytest.fixture(scope="session")
def say() -> Iterator[Speaker]:
    """Speaks a text and returns what came."""
    plain = Plain()
    with RealProvider("espeak") as provider:
        yield Speaker(plain, plain.load(None), provider)  # type: ignore[arg-type]
