"""Progress on standard error: a bar on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from realtts.cli import console

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

__all__ = ["DownloadProgress", "Progress"]

_LINE_S = 10.0
"""Time between two plain lines."""


class Progress:
    """How far a long text is: characters and seconds of audio.

    Args:
        chars: Characters of the whole text.
        wanted: False shows nothing.
    """

    def __init__(self, chars: int, *, wanted: bool) -> None:
        self._stack = contextlib.ExitStack()
        self._chars = chars
        self._wanted = wanted
        self._bar: Any = None
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        if self._wanted and console.is_terminal():
            self._show()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def update(self, chars: int, seconds: float, note: str = "") -> None:
        """Show how many characters were spoken, and the seconds of audio that they made.

        Args:
            chars: Characters so far.
            seconds: Of audio.
            note: What else is to be known.
        """
        audio = ", ".join(part for part in (f"{console.clock(seconds)} of audio", note) if part)
        if self._bar is not None:
            self._bar.update(self._task, completed=chars, audio=audio)
        elif self._wanted and time.monotonic() - self._last_line >= _LINE_S:
            self._last_line = time.monotonic()
            console.err(f"{_percent(chars, self._chars)}: {audio}")

    def _show(self) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.BarColumn(bar_width=20),  # the ^C that a terminal shows must still fit into the line
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.completed:,.0f}/{task.total:,.0f} chars"),
            progress.TextColumn("{task.fields[audio]}"),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=self._chars, audio="")
        self._stack.enter_context(self._bar)


class DownloadProgress:
    """How far a download is, from the events ``download.*``.

    Args:
        name: Whose download it is, for the lines; empty: only a bar is shown, and who is waited for.
    """

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._bar: Any = None
        self._task: Any = None
        self._last_line = 0.0

    def show(self, event: str, about: Mapping[str, Any]) -> None:
        """Show an event of a download."""
        if event == "download.started":
            self._begin(about)
        elif event == "download.finished":
            self.close()
            if self._name:
                took = console.duration(about["seconds"], digits=1)
                console.err(f"{self._name}: downloaded {console.size(about['bytes'])} in {took}")
        elif self._bar is not None:
            self._update(event, about)
        elif event == "download.waiting":
            console.err(f"Another process fetches {about['file']}; waiting for it.")
        elif self._name and time.monotonic() - self._last_line >= _LINE_S:
            self._last_line = time.monotonic()
            done, size = about["done_bytes"], about["bytes"]
            amount = f"{console.size(done)} of {console.size(size)} ({_percent(done, size)})"
            console.err(f"{self._name}: downloaded {amount}")

    def close(self) -> None:
        """Take the bar away. May be called again."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _begin(self, about: Mapping[str, Any]) -> None:
        self._last_line = time.monotonic()
        if self._name:
            what = f"{console.size(about['bytes'])} of {about['repo']}"
            licence = about["licence"] or "not stated"
            console.err(f"{self._name}: downloading {what} ({len(about['files'])} files, licence: {licence})")
        if not console.is_terminal():
            return
        from rich import progress
        from rich.console import Console

        columns = (
            progress.BarColumn(bar_width=20),
            progress.DownloadColumn(binary_units=True),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.description}", markup=False),
        )
        self._bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=about["bytes"])
        self._bar.start()

    def _update(self, event: str, about: Mapping[str, Any]) -> None:
        if event == "download.waiting":
            self._bar.update(self._task, description=f"{about['file']} waits for another process")
        else:
            self._bar.update(self._task, total=about["bytes"], completed=about["done_bytes"], description=about["file"])


def _percent(done: float, whole: float) -> str:
    return f"{int(100 * done / whole) if whole else 100} %"
