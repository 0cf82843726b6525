"""A provider that needs no model: each word is a short tone whose pitch follows from seed, word and voice.

It does everything that the contract knows (marks, voices, cloning, batches, a runaway on demand), so that applications
and the core itself can be tested against it.
"""

from __future__ import annotations

import re
import time
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from realtts.contract.continuous import RowEnd, RowFailed
from realtts.contract.hooks import hookimpl
from realtts.contract.options import Options
from realtts.contract.spec import ProviderSpec
from realtts.contract.types import Chunk, Mark, Voice, VoiceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.types import Request

__all__ = ["ContinuousFakeProvider", "FakeOptions", "FakeProvider", "FastFakeProvider", "fake_spec"]

RATE = 16_000
WORD_S = 0.1
_WORD = re.compile(r"\S+")


class FakeOptions(Options):
    """The options of the fake provider."""

    loudness: float = Field(0.3, gt=0, le=2.0, description="Peak of the tones; above 1 the core has to clip.")
    delay_s: float = Field(0.0, ge=0, le=10, description="Seconds of waiting before each word.")
    runaway: bool = Field(False, description="Never end; a seed derived from the first one does end.")
    runaway_seeds: tuple[int, ...] = Field((), description="Seeds that never end.")
    hasty_seeds: tuple[int, ...] = Field((), description="Seeds that end after the first word.")
    silent: bool = Field(False, description="Yield zeros.")
    max_new_tokens: int | None = Field(None, ge=1, description="Most words; reaching it is no runaway.")


class FakeModel:
    """The model that `load` returns: weights that `unload` empties."""

    def __init__(self) -> None:
        self.weights: np.ndarray[Any, np.dtype[np.float32]] | None = np.ones(1024, np.float32)


class FakeProvider:
    """The plain variant."""

    @hookimpl
    def load(self, context: Context) -> FakeModel:
        """Make a model."""
        context.log.debug("loading the fake model on %s", context.device)
        return FakeModel()

    @hookimpl
    def generate(self, context: Context, model: FakeModel, request: Request) -> Iterator[Chunk]:
        """Yield one chunk per word."""
        assert model.weights is not None, "used after unload"
        return _tones(request)

    @hookimpl
    def voices(self, context: Context, model: FakeModel) -> Sequence[VoiceInfo]:
        """Return two voices, an octave apart."""
        return [VoiceInfo("low", "Low", "en", "male"), VoiceInfo("high", "High", "en", "female")]

    @hookimpl
    def unload(self, context: Context, model: FakeModel) -> None:
        """Empty the weights, so that a use after this is seen."""
        model.weights = None


class FastFakeProvider:
    """The optimized variant: the same tones, also for several requests at once."""

    @hookimpl
    def convert_precision(self, context: Context, model: FakeModel) -> None:
        """Cast the weights."""
        assert model.weights is not None
        model.weights = model.weights.astype(np.float32)

    @hookimpl
    def compile(self, context: Context, model: FakeModel) -> None:
        """Do nothing: there is nothing to compile."""

    @hookimpl
    def warmup(self, context: Context, model: FakeModel) -> None:
        """Do nothing: there is nothing to warm up."""

    @hookimpl
    def generate(self, context: Context, model: FakeModel, request: Request) -> Iterator[Chunk]:
        """Yield one chunk per word."""
        assert model.weights is not None, "used after unload"
        return _tones(request)

    @hookimpl
    def generate_batch(
        self, context: Context, model: FakeModel, requests: Sequence[Request]
    ) -> Iterator[tuple[int, Chunk]]:
        """Yield the rows' words in turn."""
        rows = [(index, _tones(request)) for index, request in enumerate(requests)]
        while rows:
            ended = []
            for row in rows:
                chunk = next(row[1], None)
                if chunk is None:
                    ended.append(row)
                else:
                    yield row[0], chunk
            rows = [row for row in rows if row not in ended]


class ContinuousFakeProvider(FastFakeProvider):
    """An optimized variant whose requests join and leave while others are spoken: a word of each per step."""

    @hookimpl
    def generate_continuous(self, context: Context, model: FakeModel, arrivals: Arrivals) -> Iterator[RowItem | None]:
        """Yield a word of every row in turn."""
        rows: dict[int, Iterator[Chunk]] = {}
        while True:
            assert model.weights is not None, "used after unload"
            for arrival in arrivals.take(context.spec.batch_size - len(rows)):
                rows[arrival.number] = _tones(arrival.request)
            if not rows:
                return
            for number, tones in list(rows.items()):
                item = _next_of_row(tones)
                if not isinstance(item, Chunk):
                    del rows[number]
                yield number, item


def _next_of_row(tones: Iterator[Chunk]) -> Chunk | RowEnd | RowFailed:
    """Return a row's next word or its end; what it raises is its own failure and nobody else's."""
    try:
        return next(tones, None) or RowEnd()
    except Exception as error:
        return RowFailed(error)


def fake_spec(**changes: Any) -> ProviderSpec:
    """Return the fake provider's spec, with any field changed."""
    fields: dict[str, Any] = {
        "name": "fake",
        "summary": "Tones instead of speech, for tests",
        "sample_rates": (RATE,),
        "plain": "realtts.testing.fake:FakeProvider",
        "optimized": "realtts.testing.fake:FastFakeProvider",
        "options": FakeOptions,
        "capabilities": frozenset({"clone", "voices", "marks", "streaming"}),
        "languages": ("en", "de", "pt-br"),
        "licence": "Apache-2.0",
        "reference_text": "optional",
    }
    return ProviderSpec(**{**fields, **changes})


def _tones(request: Request) -> Iterator[Chunk]:
    options = FakeOptions.of(request)
    for spoken, word in enumerate(_words(request, options)):
        if options.delay_s:
            time.sleep(options.delay_s)
        if request.cancelled():
            return
        if options.max_new_tokens is not None and spoken == options.max_new_tokens:
            yield Chunk(np.zeros(0, np.float32), RATE, finish_reason="length")
            return
        mark = Mark(spoken * WORD_S, (spoken + 1) * WORD_S, word.span())
        yield Chunk(_tone(word.group(), request, options), RATE, marks=(mark,), tokens=1)


def _words(request: Request, options: FakeOptions) -> Iterator[re.Match[str]]:
    words = list(_WORD.finditer(request.text))
    yield from words[:1] if request.seed in options.hasty_seeds else words
    while options.runaway or request.seed in options.runaway_seeds:
        yield words[-1]


def _tone(word: str, request: Request, options: FakeOptions) -> np.ndarray[Any, np.dtype[np.float32]]:
    samples = int(RATE * WORD_S)
    if options.silent:
        return np.zeros(samples, np.float32)
    key = zlib.crc32(f"{request.seed}|{word}|{_voice_key(request)}".encode("utf-8", "surrogatepass"))
    octave = 2.0 if request.voice == "high" else 1.0
    frequency = octave * (150 + key % 150)
    wave = np.sin(2 * np.pi * frequency * np.arange(samples) / RATE) * np.hanning(samples)
    return (options.loudness * wave).astype(np.float32)


def _voice_key(request: Request) -> str:
    if isinstance(request.voice, Voice):
        return request.voice.digest
    return request.language or ""
