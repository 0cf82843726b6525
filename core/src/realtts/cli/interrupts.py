"""Ctrl-C and SIGTERM at the right moment: never in the middle of a write."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from typing_extensions import Self

__all__ = ["Interrupts"]

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Interrupts:
    """A context in which a signal to end raises `KeyboardInterrupt`, at once or after a section that holds it.

    libsndfile writes through a callback into Python, and an exception raised there is lost: the interrupt would do
    nothing, and the file would have a hole.
    """

    def __init__(self) -> None:
        self._holding = False
        self._pending = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in _NAMES:
                number = getattr(signal, name, None)
                # What is ignored stays ignored: nohup and background jobs mean it.
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._arrive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Run the body to its end before an interrupt is raised; may be nested."""
        before, self._holding = self._holding, True
        try:
            yield
        finally:
            self._holding = before
        if self._pending and not before:
            self._pending = False
            raise KeyboardInterrupt

    def _arrive(self, _number: int, _frame: FrameType | None) -> None:
        if self._holding:
            self._pending = True
        else:
            raise KeyboardInterrupt
