"""Progress of a long text, on a terminal only."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Progress"]


class Progress:
    """A bar on standard error that counts characters.

    Args:
        chars: Characters of the whole text.
        wanted: False shows nothing; nor is anything shown where standard error is no terminal.
    """

    def __init__(self, chars: int, *, wanted: bool) -> None:
        self._stack = contextlib.ExitStack()
        self._chars = chars
        self._shown = wanted and sys.stderr.isatty()

    def __enter__(self) -> Self:
        if self._shown:
            self._show()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def update(self, chars: int, seconds: float) -> None:
        """Show how many characters were spoken, and the seconds of audio that they made."""
        if self._shown:
            self._bar.update(self._task, completed=chars, audio=_clock(seconds))

    def _show(self) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.BarColumn(bar_width=20),  # the ^C that a terminal shows must still fit into the line
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.completed:,.0f}/{task.total:,.0f} chars"),
            progress.TextColumn("{task.fields[audio]} of audio"),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=self._chars, audio=_clock(0.0))
        self._stack.enter_context(self._bar)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
