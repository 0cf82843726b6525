"""Requests of many callers: what they ask for, and when they come. The same seed makes the same ones."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realtts.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.bench.workload import Text

__all__ = ["Load", "Mix", "Order"]

DEFAULT_CONCURRENCY = 8
MOST_REQUESTS = 20_000
_LONG = 300
"""Characters above which a text is asked for by itself."""

_SENTENCES = (1, 1, 1, 2, 2, 4)
"""Numbers of texts that a request joins; half of the requests have one."""


@dataclass(frozen=True)
class Order:
    """What one caller asks for.

    Attributes:
        number: Counts the requests of a round, from 0.
        text: What to say.
        language: BCP 47 tag, or None.
        voice: As `RealProvider.generate`.
        seed: Of the request.
    """

    number: int
    text: str
    language: str | None = None
    voice: Any = None
    seed: int = 0


@dataclass(frozen=True)
class Load:
    """How many callers there are.

    Attributes:
        rate: Requests per second that come whether others have ended or not, at random times (open loop); None: see
            ``concurrency``.
        concurrency: Callers, each of whom asks again as soon as its request has ended (closed loop).
        duration_s: Seconds in which requests begin, of all rounds together.
        rounds: Parts of that time, between which the contenders take turns.
        seed: Of the times, the texts and the voices.
    """

    rate: float | None = None
    concurrency: int | None = None
    duration_s: float = 30.0
    rounds: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rate is not None and self.concurrency is not None:
            raise InvalidOption("rate and concurrency are both given", who="bench --load", fix="give one of the two")
        if self.rate is None and self.concurrency is None:
            object.__setattr__(self, "concurrency", DEFAULT_CONCURRENCY)
        for name, low, high in (("rate", 0.001, 10_000), ("concurrency", 1, 1024), ("duration_s", 0.01, 86_400),
                                ("rounds", 1, 1000)):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                what = f"{name.removesuffix('_s')} is {value}"
                raise InvalidOption(what, who="bench --load", fix=f"give a number from {low} to {high}")
        if self.rate is not None and self.rate * self.duration_s > MOST_REQUESTS:
            what = f"these are {self.rate * self.duration_s:.0f} requests"
            fix = f"give a rate and a duration of {MOST_REQUESTS} at most"
            raise InvalidOption(what, who="bench --load", fix=fix)

    @property
    def round_s(self) -> float:
        """Seconds of a round."""
        return self.duration_s / self.rounds

    def times(self, part: int) -> list[float]:
        """Return when the requests of a round come, in seconds from its beginning: a Poisson process, at least one.

        Args:
            part: Number of the round.
        """
        assert self.rate is not None, "a closed loop has no times of its own"
        draw = random.Random(f"{self.seed}|{part}")  # noqa: S311 - no secret
        times = [0.0]
        while (at := times[-1] + draw.expovariate(self.rate)) < self.round_s:
            times.append(at)
        return times


class Mix:
    """Requests of different lengths and voices.

    Args:
        texts: Of which each request has one, or several of the same language.
        voices: One of which each request has.
        seed: Of the choice.
    """

    def __init__(self, texts: Sequence[Text], voices: Sequence[Any] = (None,), seed: int = 0) -> None:
        self._texts = texts
        self._voices = voices
        self._seed = seed

    def order(self, part: int, number: int) -> Order:
        """Return a request of a round; it depends on nothing but the numbers."""
        draw = random.Random(f"{self._seed}|{part}|{number}")  # noqa: S311 - no secret
        first = draw.choice(self._texts)
        others = [text for text in self._texts if text.language == first.language and len(text.text) <= _LONG]
        wanted = draw.choice(_SENTENCES) if first in others and len(others) > 1 else 1
        texts = [first, *(draw.choice(others) for _ in range(wanted - 1))]
        voice = draw.choice(self._voices)
        return Order(number, " ".join(text.text for text in texts), first.language, voice, draw.randrange(2**31))
