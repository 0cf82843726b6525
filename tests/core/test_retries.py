"""What is out of proportion to its text: spoken again by the core as a whole, or by its provider in part."""

from __future__ import annotations

import numpy as np
import pytest

from realtts import Chunk, RealProvider
from realtts.contract.checks import check_chunk
from realtts.contract.hooks import hookimpl
from realtts.errors import InvalidChunk
from realtts.kit.retries import retry_seed, retry_warning, wrong_length
from realtts.testing import fake_spec
from realtts.wire.messages import ChunkMessage, from_json, to_json

SEEDS = []


class InParts:
    """Has spoken one part of every text twice; of a text with "cut" in it the second try was cut, too."""

    @hookimpl
    def load(self, context):
        """Nothing to load."""

    @hookimpl
    def generate(self, context, model, request):
        """A tone."""
        SEEDS.append(request.seed)
        samples = np.full(1600, 0.1, np.float32)
        reason = "length" if "cut" in request.text else "stop"
        yield Chunk(samples, 16_000, finish_reason=reason, retries=1, warnings=(retry_warning("A part.", "ran away"),))


@pytest.fixture
def tts():
    """A provider of it."""
    SEEDS.clear()
    with RealProvider(fake_spec(plain=f"{__name__}:InParts", optimized=None)) as provider:
        yield provider


def test_what_is_wrong_with_a_length():
    """A cap that was reached, or less than the fastest speaker takes for its letters and digits."""
    assert wrong_length("ten letters", 9.0, "length", least=0.02) == "ran into its length cap"
    assert wrong_length("ten letters", 0.19, "stop", least=0.02) == "ended too early (0.19 s)"
    assert wrong_length("ten letters", 0.19, "stop", least=0.02, speed=2.0) == ""
    assert wrong_length("ten letters", 0.2, "stop", least=0.02) == ""
    assert wrong_length("ten letters", 0.1, "cancelled", least=0.02) == ""


def test_a_long_text_is_shown_by_its_beginning():
    """In quotes, with what happened behind it; and the second seed is another one, always the same."""
    assert retry_warning("Hello.", "ran away") == "'Hello.' ran away and was spoken again with another seed"
    assert retry_warning("word " * 20, "ran away").startswith("'word word word word word word word wo...' ran away")
    assert retry_seed(5) == retry_seed(5) != 5


@pytest.mark.parametrize("text", ["Hello there", "This is cut"])
def test_a_provider_that_spoke_a_part_again_is_not_asked_again(tts, text):
    """Its retries are counted, its words kept, and what is still wrong is told."""
    speech = tts.generate(text, seed=5)
    assert SEEDS == [5]
    assert (speech.metrics.retries, speech.finish_reason) == (1, "length" if "cut" in text else "stop")
    assert speech.warnings[0] == "'A part.' ran away and was spoken again with another seed"
    assert any("was cut" in warning for warning in speech.warnings) == ("cut" in text)


def test_a_stream_counts_them_too(tts):
    """In its metrics."""
    with tts.stream("Hello there", seed=5) as stream:
        list(stream)
    assert stream.metrics.retries == 1


def test_they_travel_and_are_checked():
    """Between processes; a number that is none is refused."""
    chunk = Chunk(np.zeros(3, np.float32), 24_000, retries=2)
    assert (
        from_json(ChunkMessage, to_json(ChunkMessage.of(0, chunk))).chunk(bytearray(chunk.samples.tobytes())).retries
        == 2
    )
    with pytest.raises(InvalidChunk, match="retries is -1"):
        check_chunk(Chunk(np.zeros(3, np.float32), 24_000, retries=-1), (24_000,), None, "test", 3)
