"""What a command says while a model is fetched, loaded, compiled and warmed up."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.progress import DownloadProgress

if TYPE_CHECKING:
    from typing_extensions import Self

    from realtts import RealProvider
    from realtts.contract.events import Event

__all__ = ["Loading"]

_NOTICED_S = 0.5
"""A load that is over before this is not spoken of; nobody has waited for it."""

_SHORTEST_S = 0.05
"""Shorter stages get no line: most of them had nothing to do."""

_START = "start"
_WORDS = {
    _START: "starting",
    "load": "loading the model",
    "convert_precision": "converting the precision",
    "compile": "compiling",
    "warmup": "warming up",
}


class Loading:
    """Lines on standard error about a provider's load: one for each stage, completed with its time.

    As a context manager it ends what is open. A line is begun as soon as the load is noticed, so that nobody looks at
    an empty screen, and holds no control characters.

    Args:
        tts: The provider; its events are listened to from now on.
        wanted: False says nothing.
    """

    def __init__(self, tts: RealProvider, *, wanted: bool = True) -> None:
        self._name = tts.spec.name
        self._lock = threading.RLock()
        self._stage: str | None = None
        self._stage_began = 0.0
        self._unsaid: list[str] = []  # lines of stages that ended before the load was noticed
        self._noticed = False
        self._ready = self._told = False
        self._timer: threading.Timer | None = None
        self._download = DownloadProgress(self._name)
        if wanted:
            tts.add_listener(self._on_event)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._end(None)
            self._ready = True

    def _on_event(self, event: Event) -> None:
        handler = _HANDLERS.get(event.name)
        with self._lock:
            if handler is not None and not self._ready:
                handler(self, event.data)

    def _start(self, _about: Any) -> None:
        if self._stage is None:
            self._begin(_START)

    def _stage_started(self, about: Any) -> None:
        if self._stage == _START:
            self._finish(time.monotonic() - self._stage_began)
        self._begin(str(about["stage"]))

    def _stage_finished(self, about: Any) -> None:
        self._finish(float(about["seconds"]))

    def _given_up(self, about: Any) -> None:
        if self._stage is not None and about["stage"] != "probe":
            self._finish(time.monotonic() - self._stage_began, "failed after ")
        self._begin(_START)

    def _packing(self, _about: Any) -> None:
        """Say why this start takes longer than the next."""
        if self._told:
            return
        self._told, line = True, f"{self._name}: packing weights for the next start"
        if self._noticed:
            console.err(line)
        else:
            self._unsaid.append(line)

    def _end(self, _about: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        console.end_line()
        self._download.close()
        self._stage, self._unsaid = None, []

    def _rung_ready(self, about: Any) -> None:
        self._end(about)
        self._ready = True

    def _on_download(self, event: str, about: Any) -> None:
        console.end_line()
        self._download.show(event, about)

    def _begin(self, stage: str) -> None:
        self._stage, self._stage_began = stage, time.monotonic()
        if self._noticed:
            # What takes no time gets no line, so it is begun a moment later.
            self._later(_SHORTEST_S)
        elif self._timer is None:
            self._later(_NOTICED_S)

    def _later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds <= 0:
            self._notice()
            return
        self._timer = threading.Timer(seconds, self._notice)
        self._timer.daemon = True
        self._timer.start()

    def _notice(self) -> None:
        with self._lock:
            if self._stage is None:
                return
            self._noticed = True
            for line in self._unsaid:
                console.err(line)
            self._unsaid = []
            console.begin_line(f"{self._head(self._stage)} ...")

    def _finish(self, seconds: float, how: str = "") -> None:
        """End the current stage's line, or write it."""
        assert self._stage is not None
        line, self._stage = f"{self._head(self._stage)} ... {how}{console.duration(seconds, digits=1)}", None
        if not self._noticed:
            if seconds >= _SHORTEST_S:
                self._unsaid.append(line)
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not console.end_line(f" {how}{console.duration(seconds, digits=1)}") and seconds >= _SHORTEST_S:
            console.err(line)

    def _head(self, stage: str) -> str:
        return f"{self._name}: {_WORDS.get(stage, stage)}"


def _download_handler(name: str) -> Any:
    return lambda loading, about: loading._on_download(name, about)


_HANDLERS: dict[str, Any] = {
    "request.started": Loading._start,
    "stage.started": Loading._stage_started,
    "stage.finished": Loading._stage_finished,
    "rung.given_up": Loading._given_up,
    "weights.packing": Loading._packing,
    "rung.ready": Loading._rung_ready,
    "request.failed": Loading._end,
    **{
        name: _download_handler(name)
        for name in ("download.started", "download.waiting", "download.progress", "download.finished")
    },
}
