"""The load that plugins are tested with: it passes who keeps requests apart, and finds who does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from realtts import Chunk, hookimpl
from realtts.testing import ContinuousFakeProvider, fake_spec, mixed_load

TEXTS = ["one", "one two", "one two three four five", "some more words of a text that is longer", "x " * 20]
VOICES = (None, "low", "high")


def spec_of(variant):
    """The fake provider with an optimized variant of this module."""
    return fake_spec(optimized=f"{variant.__module__}:{variant.__qualname__}")


@pytest.mark.parametrize("fault", ["none", "rows", "rung"])
@pytest.mark.parametrize("requests", [12, 40, pytest.param(200, marks=pytest.mark.full)])
def test_requests_that_are_kept_apart(fault, requests):
    """All faults happen and harm nobody."""
    load = mixed_load(
        spec_of(ContinuousFakeProvider), {}, texts=TEXTS, voices=VOICES, requests=requests, fault=fault, seed=requests
    )
    assert load.requests == requests
    assert load.most_rows > 2
    assert load.cancelled == requests // 6
    assert bool(load.faults) == (fault != "none")


class Changing(ContinuousFakeProvider):
    """Changes what rows say while others are there."""

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Yield a word of every row in turn."""
        numbers = set()
        for item in super().generate_continuous(context, model, arrivals):
            number, content = item or (None, None)
            if isinstance(content, Chunk):
                numbers.add(number)
                yield number, self.changed(content, len(numbers))
            else:
                numbers.discard(number)
                yield item

    def changed(self, chunk, rows):
        """Return what is heard in place of a chunk."""
        raise NotImplementedError


class Louder(Changing):
    """By a little."""

    def changed(self, chunk, rows):
        """A sample in a thousand."""
        return replace(chunk, samples=chunk.samples * np.float32(1.001 if rows > 2 else 1))


class Longer(Changing):
    """By a sample."""

    def changed(self, chunk, rows):
        """One more."""
        return replace(chunk, samples=np.append(chunk.samples, np.float32(0))) if rows > 2 else chunk


class Failing(Changing):
    """Not at all any more."""

    def changed(self, chunk, rows):
        """Nothing."""
        if rows > 2:
            raise ValueError("too many rows")
        return chunk


class Single(ContinuousFakeProvider):
    """Takes one row at a time."""

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Speak one after the other."""

        class One:
            def take(self, most, fits=None):
                return arrivals.take(min(most, 1), fits) if most == context.spec.batch_size else []

        return super().generate_continuous(context, model, One())


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (Louder, "differs by"),
        (Longer, "alone"),
        (Failing, "given up|failed"),
        (Single, "no row was spoken beside another"),
    ],
)
def test_requests_that_are_not(variant, message):
    """The first request that says something else is named."""
    with pytest.raises(AssertionError, match=message):
        mixed_load(spec_of(variant), {}, texts=TEXTS, voices=VOICES)


def test_what_may_differ():
    """Within the tolerance nothing is said."""
    mixed_load(spec_of(Louder), {}, texts=TEXTS, voices=VOICES, tolerance=0.01)
