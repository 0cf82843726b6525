"""The suite of `generate_continuous`: the fake provider passes it, and flawed ones do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from realtts import Chunk, RealProvider, hookimpl
from realtts.contract.continuous import RowEnd, RowFailed
from realtts.errors import InvalidChunk
from realtts.testing import (
    ContinuousConformance,
    ContinuousFakeProvider,
    FastFakeProvider,
    ProviderConformance,
    fake_spec,
)
from realtts.testing.conformance.running import drive, has_continuous

SHORT = "one two three"
LONG = "alpha beta gamma delta epsilon zeta eta theta iota kappa"


class TestContinuousFakeProvider(ContinuousConformance, ProviderConformance):
    """A word of each row per step."""

    @pytest.fixture
    def spec(self):
        """The spec."""
        return fake_spec(optimized="realtts.testing:ContinuousFakeProvider")


class TestContinuousFakeProviderInPieces(ContinuousConformance):
    """Texts of two sentences at most, two places."""

    @pytest.fixture
    def spec(self):
        """The spec."""
        return fake_spec(optimized="realtts.testing:ContinuousFakeProvider", max_chars=130, batch_size=2)


class TestFakeProviderWithoutTheHook(ContinuousConformance):
    """Nothing to test: all are skipped."""

    @pytest.fixture
    def spec(self):
        """The spec."""
        return fake_spec()


class Flawed(ContinuousFakeProvider):
    """Lets a function change what the fake provider yields."""

    def change(self, items):
        """Yield all, with a flaw."""
        raise NotImplementedError

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Yield what the fake provider yields, changed."""
        yield from self.change(super().generate_continuous(context, model, arrivals))


class TwoEnds(Flawed):
    """Ends every row twice."""

    def change(self, items):
        """Yield ends again."""
        for item in items:
            yield item
            if isinstance(item[1], RowEnd):
                yield item


class NoEnd(Flawed):
    """Forgets the ends of rows."""

    def change(self, items):
        """Leave them out."""
        return (item for item in items if not isinstance(item[1], RowEnd))


class Closed(Flawed):
    """Takes rows when it has none, as a closed batch does."""

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Speak batch after batch."""
        while rows := arrivals.take(context.spec.batch_size):
            for index, chunk in FastFakeProvider().generate_batch(context, model, [row.request for row in rows]):
                yield rows[index].number, chunk
            for row in rows:
                yield row.number, RowEnd()


class Coupled(Flawed):
    """Speaks louder when more rows are there."""

    def change(self, items):
        """Raise the level with the number of rows that were seen."""
        rows = set()
        for number, content in items:
            rows.add(number)
            chunk = isinstance(content, Chunk)
            yield number, replace(content, samples=content.samples * (1 - len(rows) / 50)) if chunk else content


class Deaf(Flawed):
    """Does not ask whether a row is cancelled."""

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Hide the cancellations."""

        class Hiding:
            def take(self, most, fits=None):
                taken = arrivals.take(most, fits)
                return [replace(row, request=replace(row.request, cancelled=lambda: False)) for row in taken]

        yield from ContinuousFakeProvider().generate_continuous(context, model, Hiding())


class Forgetful(Flawed):
    """Speaks other words after it was started again."""

    starts = 0

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Change the seed with each start."""
        Forgetful.starts += 1
        start = Forgetful.starts

        class Changing:
            def take(self, most, fits=None):
                return [
                    replace(row, request=replace(row.request, seed=row.request.seed + start))
                    for row in arrivals.take(most, fits)
                ]

        yield from ContinuousFakeProvider().generate_continuous(context, model, Changing())


class Raising(Flawed):
    """Lets one row's failure end all."""

    def change(self, items):
        """Raise it."""
        for number, content in items:
            if isinstance(content, RowFailed):
                raise content.error
            yield number, content


class Hoarding(Flawed):
    """Yields the audio of a row when it is complete."""

    def change(self, items):
        """Keep all until the end."""
        yield from list(items)


class Greedy(Flawed):
    """Takes more rows than it has places."""

    @hookimpl
    def generate_continuous(self, context, model, arrivals):
        """Take all."""
        wide = replace(context, spec=replace(context.spec, batch_size=100))
        yield from ContinuousFakeProvider().generate_continuous(wide, model, arrivals)


FLAWS = [
    (TwoEnds, "test_every_row_gets_one_end"),
    (NoEnd, "test_every_row_gets_one_end"),
    (Greedy, "test_every_row_gets_one_end"),
    (Closed, "test_a_row_joins_while_another_is_spoken"),
    (Coupled, "test_a_row_is_what_it_is_alone"),
    (Deaf, "test_a_cancelled_row_ends_within_a_step"),
    (Deaf, "test_a_row_that_nobody_wants_any_more_is_not_spoken"),
    (Forgetful, "test_it_ends_and_is_started_again"),
    (Raising, "test_a_row_that_fails_fails_alone"),
    (Hoarding, "test_it_yields_at_every_step"),
]


@pytest.mark.parametrize(("flawed", "test"), FLAWS, ids=lambda value: getattr(value, "__name__", value))
def test_flawed_hooks_do_not_pass(flawed, test):
    """Each flaw is found by the test that is there for it, and the test passes without the flaw."""
    arguments = {"short_text": SHORT, "row_text": LONG, "tolerance": 0.0, "broken_row": {"options": Unreadable()}}
    method = getattr(ContinuousConformance(), test)
    names = method.__code__.co_varnames[2 : method.__code__.co_argcount]
    for cls in (ContinuousFakeProvider, flawed):
        spec = fake_spec(optimized=f"{cls.__module__}:{cls.__qualname__}", batch_size=4)
        batch = drive(spec, lambda driven: RealProvider(driven, strict=True), SHORT, {})
        if cls is ContinuousFakeProvider:
            method(batch, **{name: arguments[name] for name in names})
            continue
        with pytest.raises((AssertionError, InvalidChunk, Broken)):
            method(batch, **{name: arguments[name] for name in names})


class Broken(RuntimeError):
    """What unreadable options raise."""


class Unreadable(fake_spec().options):
    """Options that raise when the loudness is read."""

    def __getattribute__(self, name):
        if name == "loudness":
            raise Broken
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        ({}, False),
        ({"optimized": None}, False),
        ({"optimized": "realtts.testing:ContinuousFakeProvider"}, True),
        ({"optimized": "realtts.testing:FastFakeProvider"}, False),
        ({"optimized": None, "plain": f"{__name__}:PlainContinuous"}, True),
        ({"plain": f"{__name__}:PlainContinuous"}, True),
    ],
)
def test_who_has_the_hook(variants, expected):
    """Either variant may have it: an optimized one without it takes plain's."""
    assert has_continuous(fake_spec(**variants)) is expected


class PlainContinuous(ContinuousFakeProvider):
    """A plain variant that rows can join."""

    @hookimpl
    def load(self, context):
        """Load nothing."""
        return object()
