"""Conformance of the hook `generate_continuous`: rows join and leave, and each is what it is alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from realtts.contract.continuous import RowFailed
from realtts.synthesis.validate import options_class
from realtts.testing.conformance.fixtures import ConformanceFixtures
from realtts.testing.conformance.running import drive, has_continuous
from realtts.testing.conformance.speaking import assert_same
from realtts.testing.faults import InjectedFault
from realtts.text import pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.spec import ProviderSpec
    from realtts.provider.facade import RealProvider
    from realtts.testing.conformance.running import ContinuousRow, RunningBatch

    Drive = Callable[[Callable[[RunningBatch], None]], None]

__all__ = ["ContinuousConformance"]

MOST_ASKED = 8
"""Times that a provider may ask whether one row is cancelled before it yields: a step asks before its prefill, its
decoding, its solver and its vocoder."""

MOST_PLACES = 4
"""Rows at a time in these tests, which many places would make longer and not better."""

MOST_ITEMS = 4
"""Items of one row that a step may yield: what was under way, a chunk, an end, and None for the step itself."""

_FLOAT32 = {"strict": True, "dtype": "float32", "quantization": "none", "force_tokens_per_char": 1.0}


class ContinuousConformance(ConformanceFixtures):
    """Tests of `generate_continuous`, in float32; put it before `ProviderConformance` or a subclass.

    The tests feed the hook themselves, so that rows come and go at the same steps in every run. They are skipped where
    a provider does not have it. Beside the suite's fixtures, ``short_text``, ``row_text`` and ``broken_row`` may be
    overridden; where rows depend on each other, ``tolerance`` says how much.
    """

    @pytest.fixture
    def short_text(self, spec: ProviderSpec, text: str) -> str:
        """Return the text of a row that ends early."""
        return _first(text, spec)

    @pytest.fixture
    def row_text(self, spec: ProviderSpec, long_text: str) -> str:
        """Return the text of a row that takes several steps, no longer than the provider takes at a time."""
        return _first(long_text, spec)

    @pytest.fixture
    def broken_row(self, spec: ProviderSpec) -> dict[str, Any]:
        """Return fields of a `Request` that cannot be spoken; by default options that raise when they are read."""
        cls = options_class(spec)
        if not cls.model_fields:
            pytest.skip("the provider has no options; override the fixture 'broken_row'")
        return {"options": _unreadable(cls)}

    @pytest.fixture
    def batch(self, spec: ProviderSpec, make: Callable[..., RealProvider], text: str, options: dict[str, Any]) -> Drive:
        """Return what calls a function with a running batch of the loaded provider."""
        if not has_continuous(spec):
            pytest.skip("the provider has no generate_continuous")
        if spec.batch_size < 2:
            pytest.skip("the provider speaks one row at a time")
        few = replace(spec, batch_size=min(spec.batch_size, MOST_PLACES))
        return drive(few, lambda driven: make(driven, **_FLOAT32), text, options)

    def test_every_row_gets_one_end(self, batch: Drive, short_text: str, row_text: str) -> None:
        """More rows than places, of two lengths: each has audio and one end, and the hook returns when none is left."""

        def test(running: RunningBatch) -> None:
            for seed in range(running.places + 2):
                running.add(row_text if seed % 3 == 1 else short_text, seed=seed)
            running.finish()
            assert not running.step()
            for row in running.rows:
                assert not isinstance(row.end, RowFailed), row.end
                assert len(row.samples)

        batch(test)

    def test_a_row_joins_while_another_is_spoken(self, batch: Drive, short_text: str, row_text: str) -> None:
        """It is taken before the other one's end."""

        def test(running: RunningBatch) -> None:
            first = running.add(row_text, seed=1)
            running.until(lambda: first.taken)
            assert running.step()
            assert first.running
            second = running.add(short_text, seed=2)
            running.until(lambda: second.taken or not first.running)
            assert second.taken
            assert first.running
            running.finish()

        batch(test)

    def test_a_row_is_what_it_is_alone(self, batch: Drive, short_text: str, row_text: str, tolerance: float) -> None:
        """Whoever else is there, whenever it came and whichever place it has."""

        def add(running: RunningBatch, seed: int) -> ContinuousRow:
            return running.add(short_text if seed % 2 else row_text, seed=seed, streaming=seed > 1)

        def test(running: RunningBatch) -> None:
            alone = []
            for seed in range(4):
                alone.append(add(running, seed))
                running.finish()
            together = []
            for seed in range(4):
                together.append(add(running, seed))
                running.until(lambda: together[-1].taken)
                running.step()
            running.finish()
            for one, other in zip(alone, together, strict=True):
                assert not isinstance(one.end, RowFailed), one.end
                assert not isinstance(other.end, RowFailed), other.end
                assert_same(other.samples, one.samples, tolerance)

        batch(test)

    def test_a_cancelled_row_ends_within_a_step(self, batch: Drive, row_text: str, tolerance: float) -> None:
        """Of it comes what was under way and its end; its neighbour goes on as if it were alone."""

        def test(running: RunningBatch) -> None:
            alone = running.add(row_text, seed=1)
            running.finish()
            stays, leaves = running.add(row_text, seed=1), running.add(row_text, seed=2)
            running.until(lambda: stays.taken and leaves.taken)
            running.step()
            leaves.cancel()
            heard = len(leaves.chunks)
            for _ in range(2 * MOST_ITEMS * len([row for row in running.rows if row.running])):
                if leaves.end is None:
                    assert running.step()
            assert leaves.end is not None
            assert not isinstance(leaves.end, RowFailed), leaves.end
            assert len([chunk for chunk in leaves.chunks[heard:] if len(chunk.samples)]) <= 1
            running.finish()
            assert_same(stays.samples, alone.samples, tolerance)

        batch(test)

    def test_a_row_that_nobody_wants_any_more_is_not_spoken(self, batch: Drive, short_text: str, row_text: str) -> None:
        """One that was cancelled before it is taken gets its end and no audio."""

        def test(running: RunningBatch) -> None:
            other, unwanted = running.add(short_text, seed=1), running.add(row_text, seed=2)
            unwanted.cancel()
            running.finish()
            assert len([chunk for chunk in unwanted.chunks if len(chunk.samples)]) <= 1
            assert len(unwanted.samples) < len(other.samples) or not len(unwanted.samples)

        batch(test)

    def test_it_ends_and_is_started_again(self, batch: Drive, short_text: str, tolerance: float) -> None:
        """All that lasts lies in the model: the next start speaks the same, under any numbers, also once closed."""

        def test(running: RunningBatch) -> None:
            assert not running.step()  # nothing has arrived
            rows = []
            for number in (0, 7, 1_000_000_007, 2**40):
                rows.append(running.add(short_text, number=number, seed=3))
                running.finish()
                assert not running.step()
            running.close()
            rows.append(running.add(short_text, seed=3))
            running.finish()
            for row in rows[1:]:
                assert_same(row.samples, rows[0].samples, tolerance)

        batch(test)

    def test_a_row_that_fails_fails_alone(
        self, batch: Drive, short_text: str, row_text: str, broken_row: dict[str, Any], tolerance: float
    ) -> None:
        """A request that cannot be spoken is a `RowFailed`; those beside it and after it are what they are alone."""

        def test(running: RunningBatch) -> None:
            alone = running.add(row_text, seed=1)
            running.finish()
            before = running.add(row_text, seed=1)
            running.until(lambda: before.taken)
            broken = running.add(short_text, seed=2, **broken_row)
            after = running.add(row_text, seed=1)
            running.finish()
            assert isinstance(broken.end, RowFailed)
            assert not len(broken.samples)
            for row in (before, after):
                assert not isinstance(row.end, RowFailed), row.end
                assert_same(row.samples, alone.samples, tolerance)

        batch(test)

    def test_it_yields_at_every_step(self, batch: Drive, short_text: str, row_text: str) -> None:
        """Cancellations, new requests and other models pass between two yields; every step asks whether it goes on."""

        def test(running: RunningBatch) -> None:
            running.add(row_text, seed=1)
            running.add(short_text, seed=2)
            running.finish()
            assert 0 < running.longest_silence <= MOST_ASKED

        batch(test)


def _first(text: str, spec: ProviderSpec) -> str:
    """Return as much of a text as the provider takes at a time."""
    if spec.max_chars is None or len(text) <= spec.max_chars:
        return text
    cut = pieces(text, spec.max_chars)[0]
    return text[cut.start : cut.end]


def _unreadable(cls: type[Any]) -> Any:
    """Return options that raise when one of them is read."""

    def read(self: Any, name: str) -> Any:
        if name in cls.model_fields:
            raise InjectedFault(f"the option {name} was told to fail")
        return object.__getattribute__(self, name)

    return type("Broken", (cls,), {"__getattribute__": read, "__module__": __name__})()
