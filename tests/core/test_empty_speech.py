"""The sample rate of a speech in which nothing was said."""

from __future__ import annotations

import numpy as np
import pytest

from realtts import Checkpoint, Chunk, RealProvider, hookimpl
from realtts.provider.calls import CallArguments
from realtts.testing import fake_spec


class Fast:
    """Speaks at the second of the spec's rates."""

    @hookimpl
    def load(self, context):
        """Load nothing."""
        return object()

    @hookimpl
    def generate(self, context, model, request):
        """A tone, unless nobody wants it any more."""
        if not request.cancelled():
            yield Chunk(np.full(4800, 0.1, np.float32), 48_000)


def spec_of(rate=None):
    """Two rates; its checkpoint may name one."""
    return fake_spec(
        plain=f"{__name__}:Fast", optimized=None, sample_rates=(24_000, 48_000),
        checkpoints=(Checkpoint("small", sample_rate=rate),),
    )  # fmt: skip


def cancelled(tts):
    """A speech that was cancelled before its turn."""
    arguments = CallArguments(None, None, None, 1, 1.0, None, False, None, None, "interactive", {})
    plan = tts._calls.plan("Hello", tts._calls.ask(arguments))
    plan.cancelled.set()
    return tts._turn.run(tts._calls.job([plan]))[0]


@pytest.mark.parametrize(("rate", "expected"), [(None, 24_000), (24_000, 24_000), (48_000, 48_000)])
def test_before_anything_was_said(rate, expected):
    """As the checkpoint says, else the provider's first."""
    with RealProvider(spec_of(rate)) as tts:
        speech = cancelled(tts)
    assert (len(speech.samples), speech.sample_rate) == (0, expected)


def test_after_something_was_said():
    """As the model speaks."""
    with RealProvider(spec_of()) as tts:
        assert tts.generate("Hello").sample_rate == 48_000
        assert cancelled(tts).sample_rate == 48_000
