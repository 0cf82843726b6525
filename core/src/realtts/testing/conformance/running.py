"""A running batch that a test drives itself: rows that arrive when it says so, and what comes of each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.contract.checks import ChunkChecks
from realtts.contract.continuous import Arrival, RowEnd, RowFailed
from realtts.contract.hooks import hookimpl
from realtts.contract.types import Chunk
from realtts.errors import InputError
from realtts.registry.variants import import_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import Request
    from realtts.provider.facade import RealProvider

    Hook = Callable[[Arrivals], Iterator[RowItem | None]]

__all__ = ["ContinuousRow", "RunningBatch", "drive", "has_continuous"]

MOST_EMPTY_STEPS = 100_000
"""Yields in a row without audio or an end, after which a running batch is taken for one that never ends."""

_numbers = itertools.count()


@dataclass(eq=False)
class ContinuousRow:
    """A row of a running batch.

    Attributes:
        number: Its name in what is yielded.
        request: What is spoken.
        taken: Whether the provider has taken it.
        chunks: Its audio so far.
        end: How it ended; None: not yet.
        asked: Times that the provider has asked whether it is cancelled, since the last yield.
    """

    number: int
    request: Request
    taken: bool = False
    chunks: list[Chunk] = field(default_factory=list)
    end: RowEnd | RowFailed | None = None
    asked: int = 0
    _wanted: bool = True

    def __post_init__(self) -> None:
        self.request = replace(self.request, cancelled=self._cancelled)

    @property
    def samples(self) -> NDArray[np.float32]:
        """Its audio, float32 of shape (n,)."""
        return np.concatenate([np.zeros(0, np.float32), *(chunk.samples for chunk in self.chunks)])

    @property
    def running(self) -> bool:
        """Whether it was taken and has not ended."""
        return self.taken and self.end is None

    def cancel(self) -> None:
        """Want nothing of it any more."""
        self._wanted = False

    def _cancelled(self) -> bool:
        self.asked += 1
        return not self._wanted


class RunningBatch:
    """The hook `generate_continuous` of a loaded provider, fed and advanced by a test.

    Everything that comes is checked as the core checks it: chunks by the contract, one end per row, no unknown number.

    Args:
        hook: Calls it with arrivals.
        request: A request as the core makes it, which those of rows are made from.
        spec: The provider's.

    Attributes:
        rows: All rows that were added.
        places: Most rows that may run at a time.
        longest_silence: Most times that a row was asked for its cancellation between two yields.
    """

    def __init__(self, hook: Hook, request: Request, spec: ProviderSpec) -> None:
        self.rows: list[ContinuousRow] = []
        self.places = spec.batch_size
        self.longest_silence = 0
        self._hook = hook
        self._request = request
        self._checks = ChunkChecks(spec.sample_rates, f"provider {spec.name!r}")
        self._run: Iterator[RowItem | None] | None = None
        self._next = 0

    def add(self, text: str, *, number: int | None = None, **fields: Any) -> ContinuousRow:
        """Let a row arrive; the provider takes it when it asks for one.

        Args:
            text: What to say.
            number: Default: one above the last.
            **fields: Further fields of its `Request`.
        """
        self._next = self._next if number is None else number
        row = ContinuousRow(self._next, replace(self._request, text=text, **fields))
        self._next += 1
        self.rows.append(row)
        return row

    def take(self, most: int, fits: Callable[[Arrival], bool] | None = None) -> list[Arrival]:
        """Hand over rows that have arrived, see `realtts.contract.continuous.Arrivals`."""
        arrived = [row for row in self.rows if not row.taken]
        taken: list[Arrival] = []
        for row in arrived:
            arrival = Arrival(row.number, row.request)
            if len(taken) < most and (fits is None or fits(arrival)):
                row.taken = True
                self._checks.begin(row.number, row.request.text)
                taken.append(arrival)
        assert len(self._checks.rows) <= self.places, f"it has taken more than batch_size={self.places} rows at a time"
        return taken

    def step(self) -> bool:
        """Advance to the next yield; False when the hook has returned."""
        for row in self.rows:
            row.asked = 0
        if self._run is None:
            self._run = iter(self._hook(self))
        item = next(self._run, self)
        self.longest_silence = max([self.longest_silence, *(row.asked for row in self.rows)])
        if item is self:
            self._run = None
            assert not self._checks.rows, f"it returned without an end of the rows {self._checks.rows}"
            return False
        if item is not None:
            assert isinstance(item, tuple), f"it yielded {item!r}"
            self._take_item(*item)
        return True

    def until(self, condition: Callable[[], object]) -> None:
        """Advance until a condition holds."""
        for _ in range(MOST_EMPTY_STEPS):
            if condition():
                return
            assert self.step(), "it returned before that"
        raise AssertionError("it never came")

    def finish(self) -> None:
        """Advance until all rows have ended, beginning the hook again where it returned before."""
        while not all(row.end for row in self.rows):
            before = [row for row in self.rows if row.end]
            for _ in range(MOST_EMPTY_STEPS):
                if not self.step():
                    break
            else:
                raise AssertionError("it never returns")
            assert len(before) < len([row for row in self.rows if row.end]), "it returned and took none of the rows"

    def close(self) -> None:
        """Close the hook's iterator."""
        close = getattr(self._run, "close", None)
        self._run = None
        if close is not None:
            close()

    def _take_item(self, number: Any, content: Any) -> None:
        if isinstance(content, (RowEnd, RowFailed)):
            number = self._checks.end(number)
        else:
            number, content = self._checks.check(number, content)
        row = next(row for row in self.rows if row.number == number and row.running)
        if isinstance(content, Chunk):
            row.chunks.append(content)
        else:
            row.end = content


class _Done(InputError):
    """The end of a test inside of the hook: an error of the caller, which costs no rung."""


def has_continuous(spec: ProviderSpec) -> bool:
    """Tell whether a provider has the hook `generate_continuous`."""
    return _variant(spec) is not None


def drive(
    spec: ProviderSpec, make: Callable[[ProviderSpec], RealProvider], text: str, options: dict[str, Any]
) -> Callable[[Callable[[RunningBatch], None]], None]:
    """Return what calls a function with a running batch, in the provider's thread and under its global flags.

    Args:
        spec: A provider that has the hook.
        make: Makes the provider; the model is loaded as for any request.
        text: What a request says that the rows' requests are made from.
        options: Of that request.
    """

    def call(test: Callable[[RunningBatch], None]) -> None:
        raised: list[BaseException] = []
        provider = make(_wrapped(spec, test, raised))
        try:
            provider.generate(text, **options)
        except _Done:
            pass
        finally:
            provider.close()
        for error in raised:
            raise error

    return call


def _wrapped(spec: ProviderSpec, test: Callable[[RunningBatch], None], raised: list[BaseException]) -> ProviderSpec:
    """Return a provider whose hook calls a test with its real one."""
    variant = _variant(spec)
    assert variant is not None
    cls = import_object(getattr(spec, variant))

    def generate_continuous(self: Any, context: Context, model: Any, arrivals: Arrivals) -> Iterator[RowItem | None]:
        [arrival] = arrivals.take(1)
        batch = RunningBatch(
            lambda rows: cls.generate_continuous(self, context, model, rows), arrival.request, context.spec
        )
        try:
            test(batch)
            batch.close()
        except BaseException as error:
            raised.append(error)
        yield arrival.number, RowFailed(_Done("the test is over", who="the test", fix="none"))

    name = f"Driven{next(_numbers)}"
    globals()[name] = type(name, (cls,), {"generate_continuous": hookimpl(generate_continuous)})
    made = f"{__name__}:{name}"
    return replace(spec, optimized=made) if variant == "optimized" else replace(spec, plain=made)


def _variant(spec: ProviderSpec) -> str | None:
    """Return the variant that speaks first, if its class or plain's, which it falls back to, has the hook."""
    for variant in ("optimized", "plain"):
        path = getattr(spec, variant)
        if path is not None and hasattr(import_object(path), "generate_continuous"):
            return variant
    return None
