"""Speaking on a loaded rung: rows that join and leave, whichever of the three hooks the provider has.

`generate_continuous` takes rows while others run. A provider that has `generate_batch` speaks what has come together,
and the next ones when those are done; one that has neither speaks one row at a time.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from realtts.contract.checks import ChunkChecks, check_end, check_index
from realtts.contract.continuous import RowEnd, RowFailed
from realtts.errors import InvalidChunk
from realtts.exception_text import format_traceback
from realtts.ladder.failures import CLOSE, StageError, failing
from realtts.machine import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from realtts.contract.context import Context
    from realtts.contract.continuous import Arrival, Arrivals, RowItem
    from realtts.contract.types import Chunk, Request

__all__ = ["RowRun", "run_batches"]

_END = object()
"""What an exhausted iterator gives."""


class RowRun:
    """The running of rows on one rung. Used by one thread at a time.

    Args:
        context: The rung's.
        call: Calls one of its hooks, with arguments by name.
        scope: Makes the block that the provider's code runs in, with its global flags.
        who: Provider and variant, for messages.
    """

    def __init__(
        self,
        context: Context,
        call: Callable[..., Any],
        scope: Callable[[], contextlib.AbstractContextManager[None]],
        who: str,
    ) -> None:
        self._context = context
        self._call = call
        self._scope = scope
        self._who = who
        self._checks = ChunkChecks(context.spec.sample_rates, who)

    def continuous(self, arrivals: Arrivals) -> Generator[RowItem | None, None, None]:
        """Yield what comes of rows that join while others are spoken; None after a step that has made nothing.

        Raises:
            StageError: The rung failed.
        """
        taking = _Taking(arrivals, self._checks)
        with self._iterated(lambda: self._call("generate_continuous", arrivals=taking)) as items:
            for item in items:
                with failing("generate"):
                    checked = None if item is None else self._checked(item)
                yield checked
        if self._checks.rows:
            raise StageError("generate", self._lost(self._checks.rows))

    def batch(self, rows: Sequence[Arrival]) -> Generator[RowItem, None, None]:
        """Yield what comes of rows that are spoken together, or of one that is alone, and the end of each.

        Raises:
            StageError: The rung failed. InputError: a request is wrong after all.
        """
        for row in rows:
            self._checks.begin(row.number, row.request.text)
        requests = [row.request for row in rows]
        with self._iterated(lambda: self._generate(requests)) as items:
            for item in items:
                with failing("generate"):
                    number, chunk = self._of_batch(rows, item)
                yield number, chunk
                if all(request.cancelled() for request in requests):
                    items.abandon()
        for row in rows:
            yield self._checks.end(row.number), RowEnd()

    def _generate(self, requests: Sequence[Request]) -> Any:
        if len(requests) == 1:
            return self._call("generate", request=requests[0])
        return self._call("generate_batch", requests=requests)

    def _of_batch(self, rows: Sequence[Arrival], item: Any) -> tuple[int, Chunk]:
        """Return a checked chunk with its row's number."""
        if len(rows) == 1:
            return self._checks.check(rows[0].number, item)
        pair = item if isinstance(item, tuple) and len(item) == 2 else (None, None)
        index = check_index(pair[0], len(rows))
        if index is None:
            raise self._checks.no_row(item)
        return self._checks.check(rows[index].number, pair[1])

    def _checked(self, item: Any) -> RowItem:
        """Return what `generate_continuous` has yielded, if it keeps the contract.

        Raises:
            InvalidChunk: It does not.
        """
        if not (isinstance(item, tuple) and len(item) == 2):
            raise self._checks.no_row(item)
        row, content = item
        if isinstance(content, (RowEnd, RowFailed)):
            return self._checks.end(row), check_end(content, self._who)
        return self._checks.check(row, content)

    def _lost(self, rows: Sequence[int]) -> InvalidChunk:
        numbers = ", ".join(map(str, rows[:8]))
        return InvalidChunk(
            f"generate_continuous returned without an end of the rows {numbers}", who=self._who,
            fix="yield (number, RowEnd()) or (number, RowFailed(error)) for every row that it has taken",
        )  # fmt: skip

    @contextlib.contextmanager
    def _iterated(self, make: Callable[[], Any]) -> Iterator[_Items]:
        """Make a hook's iterator, hand out what it yields, and close it.

        It advances under the provider's global flags, which are restored at every yield.

        Raises:
            StageError: The rung failed, in the stage ``"close"`` when only the end of the iterator did.
        """
        began = time.perf_counter()
        items = _Items(make, self._working)
        try:
            yield items
        except BaseException as error:
            if isinstance(error, StageError):
                error.seconds = time.perf_counter() - began
            self._close(items)
            raise
        else:
            fault = self._close(items)
            if fault is not None and not items.abandoned:
                raise StageError(CLOSE, fault, time.perf_counter() - began) from fault
        finally:
            self._context.stages.stop()

    def _close(self, items: _Items) -> BaseException | None:
        """Close the hook's iterator, where it can be closed; return what it raised, which is logged."""
        try:
            items.close()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._context.log.error("closing the provider's iterator failed\n%s", format_traceback(error))
            memory.clear_frames(error)
            return error
        return None

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        """Run a step of `generate` under the provider's global flags and the clock of its stages."""
        with self._scope():
            self._context.stages.resume()
            try:
                yield
            finally:
                self._context.stages.pause()


class _Items:
    """What a hook's iterator yields.

    Args:
        make: Calls the hook.
        working: Makes the block that the provider's code runs in.

    Attributes:
        abandoned: Nothing more of it is wanted.
    """

    def __init__(self, make: Callable[[], Any], working: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self.abandoned = False
        self._make = make
        self._working = working
        self._iterator: Any = None

    def abandon(self) -> None:
        """End it: whatever its end raises is no failure any more."""
        self.abandoned = True

    def close(self) -> None:
        """Close the iterator, where it can be closed."""
        with self._working():
            close = getattr(self._iterator, "close", None)
            if close is not None:
                close()

    def __iter__(self) -> Iterator[Any]:
        with failing("generate"), self._working():
            self._iterator = iter(self._make())
        while not self.abandoned:
            with failing("generate"), self._working():
                item = next(self._iterator, _END)
            if item is _END:
                return
            yield item


class _Taking:
    """Arrivals whose chunks are expected from the moment that the provider takes them."""

    def __init__(self, arrivals: Arrivals, checks: ChunkChecks) -> None:
        self._arrivals = arrivals
        self._checks = checks

    def take(self, most: int, fits: Callable[[Arrival], bool] | None = None) -> list[Arrival]:
        """Return requests that have come, see `realtts.contract.continuous.Arrivals`."""
        taken = self._arrivals.take(most, fits)
        for row in taken:
            self._checks.begin(row.number, row.request.text)
        return taken


def run_batches(
    arrivals: Arrivals, most: int, batch: Callable[[Sequence[Arrival]], Generator[RowItem, None, None]]
) -> Generator[RowItem, None, None]:
    """Yield what comes of batches, one after the other, as long as there are rows.

    Args:
        arrivals: Where rows come from.
        most: Rows of one batch.
        batch: Speaks the rows of one.
    """
    while rows := arrivals.take(most):
        with contextlib.closing(batch(rows)) as items:
            yield from items
