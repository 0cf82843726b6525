"""A fleet on paper: replicas whose throughput by concurrency was measured, requests that come at random, one queue.

`stationary` is a birth-death process. With k requests in the fleet, they lie evenly on the replicas, and together they
end at the rate ``replicas * throughput(k / replicas) / mean_s``; beyond all places they wait, and beyond the limit they
are refused. A single measured concurrency makes it Erlang's C formula (A. K. Erlang, 1917), and no place to wait his B
formula. `simulate` plays the same with other lengths and a router, to show how far the formula carries. Lengths are
seconds of audio.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, field

__all__ = ["Fleet", "Load", "Outcome", "Replica", "admission", "admitted_load", "needed", "simulate", "stationary"]


@dataclass(frozen=True)
class Replica:
    """One model in one process.

    Attributes:
        throughput: Seconds of audio per second, of all requests together, by their number; from 1, growing numbers.
    """

    throughput: tuple[tuple[int, float], ...]

    @property
    def rows(self) -> int:
        """Most requests at a time that were measured."""
        return self.throughput[-1][0]

    def at(self, requests: float) -> float:
        """Return seconds of audio per second with so many requests; between measurements on a straight line."""
        below = (0, 0.0)
        for number, rate in self.throughput:
            if requests <= number:
                return below[1] + (rate - below[1]) * (requests - below[0]) / (number - below[0])
            below = (number, rate)
        return below[1]

    def in_time(self, headroom: float) -> Replica:
        """Return the replica with as many requests as it speaks faster than their listeners hear.

        Args:
            headroom: How much faster at least: 0.2 is 1.2 seconds of audio per second and request.

        Raises:
            ValueError: Not even one request is spoken so fast.
        """
        rows = [number for number in range(1, self.rows + 1) if self.at(number) / number >= 1.0 + headroom]
        if not rows:
            message = (
                f"one request alone is spoken at {self.at(1):.2f} times real time, which is too slow for a listener"
            )
            raise ValueError(message)
        return self.limited(rows[-1])

    def limited(self, rows: int) -> Replica:
        """Return the replica with at most so many requests at a time."""
        kept = [(number, rate) for number, rate in self.throughput if number < rows]
        return Replica((*kept, (rows, self.at(rows))))


@dataclass(frozen=True)
class Fleet:
    """Replicas of one kind behind a router.

    Attributes:
        replica: One of them.
        replicas: How many.
        waiting: Most requests that wait; more are refused.
    """

    replica: Replica
    replicas: int
    waiting: int = 100_000

    @property
    def places(self) -> int:
        """Requests that are spoken at a time."""
        return self.replicas * self.replica.rows

    def rate(self, requests: int) -> float:
        """Return seconds of audio per second with so many requests in the fleet."""
        return self.replicas * self.replica.at(min(requests, self.places) / self.replicas)


@dataclass(frozen=True)
class Load:
    """What comes.

    Attributes:
        streams: Listeners at a time: each hears one request to its end and sends the next one.
        mean_s: Seconds of audio of a request, on average.
    """

    streams: float
    mean_s: float = 6.0

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.streams / self.mean_s


@dataclass(frozen=True)
class Outcome:
    """How a fleet does under a load.

    Attributes:
        used: Share of the fleet's throughput that is used.
        refused: Share of requests that are refused.
        waits: Share of the others that wait at all.
        mean_wait_s: How long those others wait, on average.
        later: Share of those others that wait longer than what was asked.
    """

    used: float
    refused: float
    waits: float
    mean_wait_s: float
    later: float


def stationary(fleet: Fleet, load: Load, wait_s: float) -> Outcome:
    """Return what the birth-death process comes to.

    Args:
        fleet: What speaks.
        load: What comes.
        wait_s: For `Outcome.later`.
    """
    full, most = fleet.places, fleet.places + fleet.waiting
    weights, log, top = [0.0], 0.0, 0.0
    for number in range(1, most + 1):
        log += math.log(load.per_second * load.mean_s / fleet.rate(number))
        weights.append(log)
        top = max(top, log)
        if number > full and log < top - 60:  # what is beyond weighs nothing
            break
    shares = [math.exp(log - top) for log in weights]
    total = math.fsum(shares)
    shares = [share / total for share in shares]
    refused = shares[-1] if len(shares) == most + 1 else 0.0
    admitted, ends = 1.0 - refused, fleet.rate(full) / load.mean_s
    waiting = [share for share in shares[full:] if share] if refused == 0.0 else shares[full:-1]
    later = math.fsum(share * _poisson_at_most(place, ends * wait_s) for place, share in enumerate(waiting))
    mean = math.fsum(share * (place + 1) / ends for place, share in enumerate(waiting))
    return Outcome(
        used=load.per_second * load.mean_s * admitted / fleet.rate(full),
        refused=refused,
        waits=math.fsum(waiting) / admitted,
        mean_wait_s=mean / admitted,
        later=later / admitted,
    )


def needed(replica: Replica, load: Load, wait_s: float, late: float) -> int:
    """Return the fewest replicas of which at most a share of requests waits longer.

    Args:
        replica: One replica.
        load: What comes.
        wait_s: The wait.
        late: The share.
    """
    low = high = max(1, math.ceil(load.streams / replica.at(replica.rows)))
    while not _holds(replica, high, load, wait_s, late):
        low, high = high + 1, high * 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _holds(replica, middle, load, wait_s, late) else (middle + 1, high)
    return low


def admission(fleet: Fleet, load: Load, wait_s: float) -> int:
    """Return how many requests may wait at most, so that the last one begins within a time, on average."""
    return math.floor(fleet.rate(fleet.places) / load.mean_s * wait_s)


def admitted_load(fleet: Fleet, mean_s: float, refused: float) -> float:
    """Return the streams at which a share of requests is refused: below it hardly any, above it more and more."""
    low, high = 0.0, 2.0 * fleet.rate(fleet.places)
    for _ in range(40):
        middle = (low + high) / 2
        few = middle == 0 or stationary(fleet, Load(middle, mean_s), 1.0).refused <= refused
        low, high = (middle, high) if few else (low, middle)
    return low


def _holds(replica: Replica, replicas: int, load: Load, wait_s: float, late: float) -> bool:
    fleet = Fleet(replica, replicas)
    if load.streams >= fleet.rate(fleet.places):
        return False
    return stationary(fleet, load, wait_s).later <= late


def _poisson_at_most(number: int, mean: float) -> float:
    """Return the probability of at most so many events: that this many requests before one have not all begun."""
    if mean <= 0:
        return 1.0
    if number > mean + 12 * math.sqrt(mean) + 30:
        return 1.0
    log = -mean
    parts = [log]
    for each in range(1, number + 1):
        log += math.log(mean / each)
        parts.append(log)
    return min(1.0, math.fsum(map(math.exp, parts)))


@dataclass(eq=False)
class _Worker:
    """A replica at work: all its requests advance together, at the same speed."""

    replica: Replica
    heard: float = 0.0  # seconds of audio that each request has got which was there from the beginning
    at: float = 0.0
    ends: list[float] = field(default_factory=list)
    version: int = 0

    def advance(self, now: float) -> None:
        if self.ends:
            self.heard += (now - self.at) * self.replica.at(len(self.ends)) / len(self.ends)
        self.at = now

    def next_end(self) -> float:
        return self.at + (self.ends[0] - self.heard) * len(self.ends) / self.replica.at(len(self.ends))


def simulate(fleet: Fleet, load: Load, wait_s: float, *, requests: int, spread: float = 1.0, seed: int = 0) -> Outcome:
    """Play requests one by one: each goes to the replica that has the fewest, or waits for a place.

    Args:
        fleet: The fleet.
        load: What comes.
        wait_s: For `Outcome.later`.
        requests: So many in all.
        spread: Standard deviation of the lengths over their mean; they are log-normal.
        seed: Of the draws.
    """
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    sigma = math.sqrt(math.log(1.0 + spread**2))
    workers = [_Worker(fleet.replica) for _ in range(fleet.replicas)]
    events: list[tuple[float, int, int]] = []
    queue: deque[tuple[float, float]] = deque()
    waits: list[float] = []
    refused, spoken, now, left = 0, 0.0, 0.0, requests
    coming = draw.expovariate(load.per_second)

    def begin(length: float) -> None:
        nonlocal spoken
        number = min(range(len(workers)), key=lambda each: len(workers[each].ends))
        workers[number].advance(now)
        heapq.heappush(workers[number].ends, workers[number].heard + length)
        spoken += length
        plan(number)

    def plan(number: int) -> None:
        worker = workers[number]
        worker.version += 1
        if worker.ends:
            heapq.heappush(events, (worker.next_end(), number, worker.version))

    while left or events:
        if left and (not events or coming <= events[0][0]):
            now, left = coming, left - 1
            coming = now + draw.expovariate(load.per_second)
            length = load.mean_s * math.exp(draw.gauss(-sigma * sigma / 2, sigma))
            if sum(len(worker.ends) for worker in workers) < fleet.places:
                waits.append(0.0)
                begin(length)
            elif len(queue) < fleet.waiting:
                queue.append((now, length))
            else:
                refused += 1
            continue
        at, number, version = heapq.heappop(events)
        if version != workers[number].version:
            continue
        now = at
        workers[number].advance(now)
        heapq.heappop(workers[number].ends)
        plan(number)
        if queue:
            came, length = queue.popleft()
            waits.append(now - came)
            begin(length)
    count = len(waits) or 1
    return Outcome(
        used=spoken / now / fleet.rate(fleet.places),
        refused=refused / requests,
        waits=sum(wait > 0 for wait in waits) / count,
        mean_wait_s=math.fsum(waits) / count,
        later=sum(wait > wait_s for wait in waits) / count,
    )
