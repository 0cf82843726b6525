"""Many requests at once, disturbed on purpose: each must say what it says alone.

For plugins with `generate_continuous`::

    from realtts.testing.load import mixed_load

    @pytest.mark.parametrize("fault", ["none", "rows", "rung"])
    def test_every_request_is_what_it_is_alone(fault):
        settings = {"model": folder, "device": "cpu", "dtype": "float32", "quantization": "none"}
        mixed_load(spec, settings, texts=["One.", "Some more words."], fault=fault)
"""

from __future__ import annotations

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from realtts.contract.continuous import Arrival, RowEnd, RowFailed
from realtts.contract.hooks import hookimpl
from realtts.contract.types import Chunk
from realtts.errors import StageFailed
from realtts.provider.facade import RealProvider
from realtts.registry.variants import import_object
from realtts.testing.faults import InjectedFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import Voice

    Samples = NDArray[np.float32]
    Fault = Literal["none", "rows", "rung"]

__all__ = ["LoadReport", "mixed_load"]

_TIMEOUT_S = 600
_ONE_IN = 20
_numbers = itertools.count()


@dataclass(frozen=True)
class LoadReport:
    """What a load was.

    Attributes:
        requests: How many there were.
        most_rows: Most rows that were spoken beside each other.
        faults: Rows that were made to fail, or failures of the rung.
        cancelled: Streams that were left after their first chunk.
        ended: Streams that ended with a typed error, because the rung failed when they had been heard.
    """

    requests: int
    most_rows: int
    faults: int
    cancelled: int
    ended: int


@dataclass(frozen=True, eq=False)
class _Ask:
    text: str
    seed: int
    voice: Voice | str | None
    options: Mapping[str, Any]

    def whole(self, tts: RealProvider) -> Samples:
        """Return the samples of the whole."""
        return tts.generate(self.text, seed=self.seed, voice=self.voice, **self.options).samples

    def streamed(self, tts: RealProvider) -> Samples:
        """Return the samples of a stream."""
        with tts.stream(self.text, seed=self.seed, voice=self.voice, **self.options) as chunks:
            return np.concatenate([chunk.samples for chunk in chunks])

    def left(self, tts: RealProvider) -> Samples:
        """Return the samples of a stream's first chunk, behind which nobody listens."""
        with tts.stream(self.text, seed=self.seed, voice=self.voice, **self.options) as chunks:
            return next(iter(chunks)).samples


def mixed_load(
    spec: ProviderSpec,
    settings: Mapping[str, Any],
    *,
    texts: Sequence[str],
    voices: Sequence[Voice | str | None] = (None,),
    options: Sequence[Mapping[str, Any]] = ({},),
    requests: int = 40,
    fault: Fault = "none",
    tolerance: float = 0.0,
    seed: int = 0,
) -> LoadReport:
    """Speak many requests at once and compare each with what it is alone.

    They have mixed texts, voices, options and seeds. Half of them are whole speeches, a third streams, the others
    streams that are left after their first chunk. Rows join at random steps, drawn from ``seed``, however fast the
    machine is.

    Args:
        spec: A provider whose optimized variant has `generate_continuous`.
        settings: Of the provider; float32, where rows must not depend on their neighbours.
        texts: Each one piece; of different lengths.
        voices: Voices to choose from.
        options: Options to choose from.
        requests: How many.
        fault: ``"rows"``: one row in twenty fails once, before it is heard. ``"rung"``: the hook raises once, with
            several rows in it; streams that were heard may end with `StageFailed` then. Both leave the rung in place.
        tolerance: Most that a sample may differ, for models whose sound is computed for several rows together.
        seed: Of all that is drawn.

    Raises:
        AssertionError: A request says something else, or fails; rows were not spoken beside each other; the fault did
            not happen; or the rung was given up.
    """
    draw = random.Random(seed)
    asks = [
        _Ask(texts[n % len(texts)], draw.randrange(2**40), draw.choice(voices), draw.choice(options))
        for n in range(max(2, len(texts), requests // 4))
    ]
    disturbance = _Disturbance(fault, random.Random(seed + 1))
    with RealProvider(_disturbed(spec, disturbance), **{"queue_size": 2 * requests, **settings}) as tts:
        tts.load()
        ways: list[Callable[[_Ask, RealProvider], Samples]] = [_Ask.whole, _Ask.streamed, _Ask.left]
        jobs = [(draw.choice(asks), ways[n % 6 // 3 + (n % 6 == 5)]) for n in range(requests)]
        draw.shuffle(jobs)
        alone = {(ask, way.__name__): way(ask, tts) for ask, way in _distinct(jobs)}
        disturbance.active = True
        with ThreadPoolExecutor(min(requests, 16)) as pool:
            futures = [pool.submit(way, ask, tts) for ask, way in jobs]
            results = [(future.exception(_TIMEOUT_S) or future.result()) for future in futures]
        attempts = tts.get_provider_status()["attempts"]
    ended = 0
    for (ask, way), result in zip(jobs, results, strict=True):
        if fault == "rung" and way is not _Ask.whole and isinstance(result, StageFailed):
            ended += 1
            continue
        assert not isinstance(result, BaseException), f"{way.__name__} of {ask} failed: {result!r}"
        expected = alone[ask, way.__name__]
        assert result.shape == expected.shape, f"{way.__name__} of {ask}: {result.shape}, alone {expected.shape}"
        most = float(np.abs(result - expected).max(initial=0.0))
        assert most <= tolerance, f"{way.__name__} of {ask} differs by {most:.2g} from itself alone"
    assert attempts == [], "the rung was given up"
    assert disturbance.most_rows > 1, "no row was spoken beside another"
    assert fault == "none" or disturbance.faults, "the fault did not happen"
    cancelled = sum(way is _Ask.left for _, way in jobs)
    return LoadReport(requests, disturbance.most_rows, disturbance.faults, cancelled, ended)


def _distinct(jobs: Sequence[tuple[_Ask, Any]]) -> Iterator[tuple[_Ask, Any]]:
    seen = set()
    for ask, way in jobs:
        key = (id(ask), way)
        if key not in seen:
            seen.add(key)
            yield ask, way


@dataclass(eq=False)
class _Disturbance:
    """What is done to the rows of a hook; nothing until it is active."""

    fault: Fault
    draw: random.Random
    active: bool = False
    most_rows: int = 0
    faults: int = 0
    seen: int = 0
    owed: int = 0
    struck: set[tuple[str, int]] = field(default_factory=set)

    def strikes(self, arrival: Arrival) -> bool:
        """Tell whether a row is made to fail: one in twenty, none twice, since a second time gives up the rung."""
        key = (arrival.request.text, arrival.request.seed)
        self.seen += self.active
        self.owed += self.active and self.fault == "rows" and self.seen % _ONE_IN == 3
        if not self.owed or key in self.struck:
            return False
        self.owed -= 1
        self.struck.add(key)
        return True

    def spared(self, arrival: Arrival) -> None:
        """Let another row fail in place of one that was to."""
        self.owed += 1
        self.struck.discard((arrival.request.text, arrival.request.seed))

    @property
    def collapse_to_come(self) -> bool:
        """Whether the hook is to raise and has not."""
        return self.active and self.fault == "rung" and not self.faults

    def collapses(self, rows: Mapping[int, Arrival]) -> bool:
        """Tell whether the hook raises now: once, with whole speeches of several callers in it."""
        if not self.collapse_to_come or self.seen < 4:
            return False
        return sum(not arrival.request.streaming for arrival in rows.values()) >= 2


class _Joining:
    """Arrivals that come at random steps while others are there."""

    def __init__(self, arrivals: Arrivals, disturbance: _Disturbance) -> None:
        self._arrivals, self._disturbance = arrivals, disturbance
        self.rows: dict[int, Arrival] = {}
        self.stopped: set[int] = set()  # made to fail

    def take(self, most: int, fits: Callable[[Arrival], bool] | None = None) -> list[Arrival]:
        """Return one or all or none of those that have come."""
        disturbance = self._disturbance
        if disturbance.active and self.rows and not disturbance.collapse_to_come:
            if disturbance.draw.random() < 0.6:
                return []
            most = min(most, disturbance.draw.choice([1, 1, 2, 8]))
        taken = [self._watched(arrival) for arrival in self._arrivals.take(most, fits)]
        disturbance.most_rows = max(disturbance.most_rows, len(self.rows))
        return taken

    def _watched(self, arrival: Arrival) -> Arrival:
        number, cancelled = arrival.number, arrival.request.cancelled
        self.rows[number] = arrival
        if not self._disturbance.strikes(arrival):
            return arrival
        self.stopped.add(number)
        request = replace(arrival.request, cancelled=lambda: cancelled() or number not in self.rows)
        return Arrival(number, request)

    def pass_on(self, item: RowItem) -> RowItem | None:
        """Return what comes of a row; the failure of one that is to fail in place of its first chunk."""
        number, content = item
        if number not in self.rows:  # what comes of it after its failure
            return None
        if number in self.stopped and isinstance(content, Chunk):
            if len(self.rows) == 1:  # the failure of a row that is alone would give up the rung
                self.stopped.remove(number)
                self._disturbance.spared(self.rows[number])
                return item
            self._disturbance.faults += 1
            del self.rows[number]
            return number, RowFailed(InjectedFault("this row was told to fail"))
        if isinstance(content, (RowEnd, RowFailed)):
            del self.rows[number]
        return item


def _disturbed(spec: ProviderSpec, disturbance: _Disturbance) -> ProviderSpec:
    """Return the provider with a disturbed `generate_continuous`."""
    base: Any = import_object(spec.optimized or spec.plain)

    def generate_continuous(self: Any, context: Context, model: Any, arrivals: Arrivals) -> Iterator[RowItem | None]:
        joining = _Joining(arrivals, disturbance)
        items = base.generate_continuous(self, context, model, joining)
        try:
            for item in items:
                if disturbance.collapses(joining.rows):
                    disturbance.faults += 1
                    raise InjectedFault("the rung was told to fail")
                yield None if item is None else joining.pass_on(item)
        finally:
            items.close()

    name = f"Disturbed{next(_numbers)}"
    globals()[name] = type(name, (base,), {"generate_continuous": hookimpl(generate_continuous)})
    return replace(spec, optimized=f"{__name__}:{name}")
