"""Whether a request is still wanted: its caller may lose interest, and its time may run out."""

from __future__ import annotations

import threading
import time

from realtts.errors import RequestTimeout

__all__ = ["Cancellation", "Deadline"]


class Deadline:
    """The time that a request may take: a clock that runs from its beginning, and rests while a reader is awaited.

    Args:
        seconds: The limit, the setting ``request_timeout_s``.
        who: Provider, for the message.
    """

    def __init__(self, seconds: float, who: str) -> None:
        self._seconds = seconds
        self._who = who
        self._clock: tuple[float, float | None] = (0.0, None)  # seconds until it last rested, and since when it runs

    def resume(self) -> None:
        """Let the clock run."""
        spent, since = self._clock
        if since is None:
            self._clock = (spent, time.monotonic())

    def rest(self) -> None:
        """Stop the clock: the provider waits for the reader of its stream."""
        self._clock = (self._spent(), None)

    def remaining(self) -> float:
        """Return the seconds that are left, 0 when there are none."""
        return max(0.0, self._seconds - self._spent())

    def passed(self) -> bool:
        """Tell whether the time has run out."""
        return self._spent() >= self._seconds

    def error(self) -> RequestTimeout:
        """Make the error for the caller."""
        return RequestTimeout(
            f"the request took longer than request_timeout_s={self._seconds:g}",
            who=self._who,
            fix="raise request_timeout_s, send shorter texts, or call load() first: the first request loads the model",
        )

    def _spent(self) -> float:
        spent, since = self._clock  # at once: the provider's thread may change it
        return spent if since is None else spent + time.monotonic() - since


class Cancellation:
    """The end of a request's being wanted; implementations ask for it at every step, from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._deadline: Deadline | None = None

    def limit(self, deadline: Deadline) -> None:
        """End it also when a time has run out."""
        self._deadline = deadline

    def set(self) -> None:
        """End it: the caller has lost interest."""
        self._event.set()

    def is_set(self) -> bool:
        """Tell whether the request is no longer wanted."""
        return self._event.is_set() or (self._deadline is not None and self._deadline.passed())

    def check(self) -> None:
        """Raise what the caller of a request has to know.

        Raises:
            RequestTimeout: Its time has run out, and its caller had not lost interest.
        """
        if self._deadline is not None and not self._event.is_set() and self._deadline.passed():
            raise self._deadline.error()
