"""Checked by mypy, never run: the types that users see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

from realtts import (
    Chunk,
    ChunkStream,
    Context,
    Mark,
    Options,
    ProviderSpec,
    RealProvider,
    Request,
    Rung,
    Settings,
    Speech,
    VoiceInfo,
    hookimpl,
    installed,
)


def application(tts: RealProvider) -> None:
    """What an application writes."""
    speech = tts.generate("Hello", voice="speaker.wav", language="en", seed=1, speed=1.1, exaggeration=0.5)
    assert_type(speech, Speech)
    assert_type(speech.samples, NDArray[np.float32])
    assert_type(speech.marks, tuple[Mark, ...])
    assert_type(speech.metrics.rtf, float | None)
    assert_type(tts.generate_batch(["One", "Two"]), list[Speech])
    assert_type(tts.voices(), list[VoiceInfo])
    assert_type(tts.get_provider_status(), dict[str, Any])
    assert_type(tts.cancel(), int)
    stream = tts.stream("Hello", voice=(np.zeros(3), 24_000))
    assert_type(stream, ChunkStream)
    for chunk in stream:
        assert_type(chunk, Chunk)
    with RealProvider("espeak", device="cpu", strict=True, settings=Settings(threads=2), queue_size=3) as entered:
        assert_type(entered, RealProvider)


async def asynchronous(tts: RealProvider) -> None:
    """What an asynchronous application writes."""
    assert_type(await tts.agenerate("Hello"), Speech)
    chunks: AsyncIterator[Chunk] = tts.astream("Hello")
    async for chunk in chunks:
        assert_type(chunk.duration, float)


class MyOptions(Options):
    """What a plugin author writes."""

    temperature: float = 0.8


class Plain:
    """What a plugin author writes."""

    @hookimpl
    def rungs(self, context: Context) -> list[Rung]:
        """Propose."""
        return [Rung("fast", {"dtype": "bfloat16"}), Rung("safe")]

    @hookimpl
    def load(self, context: Context) -> object:
        """Load."""
        context.log.info("loading on %s", context.device)
        return object()

    @hookimpl
    def generate(self, context: Context, model: object, request: Request) -> Iterator[Chunk]:
        """Speak."""
        if not request.cancelled():
            yield Chunk(np.zeros(10, np.float32), 24_000)


spec = ProviderSpec(
    name="mine", summary="Mine", sample_rates=(24_000,), plain="mine:Plain", options=MyOptions, languages=("en",)
)
for entry in installed():
    assert_type(entry.name, str)
    assert_type(entry.spec, ProviderSpec | None)
