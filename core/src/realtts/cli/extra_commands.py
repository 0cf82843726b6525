"""Commands of other distributions, such as ``serve`` of realtts-http (entry points ``realtts.commands``)."""

from __future__ import annotations

import logging
from typing import Any

from realtts.exception_text import describe_error

__all__ = ["GROUP", "add_extra_commands", "where_to_get"]

GROUP = "realtts.commands"
"""Each entry point is a function ``add_parser(commands)``, which calls `realtts.cli.parsing.add_command`."""

_OFFERED = {"serve": "realtts[serve]", "wyoming": "realtts[wyoming]"}
_log = logging.getLogger("realtts")


def add_extra_commands(commands: Any, word: str | None) -> None:
    """Add the installed commands, where a word may mean one: the start of other commands costs nothing more.

    Args:
        commands: Result of `realtts.cli.parsing.commands_of`.
        word: The first word behind the program's name; None: there is none.
    """
    if word in commands.choices:
        return
    from realtts.registry.entry_points import entry_points

    for point in sorted(entry_points(GROUP), key=lambda point: point.name):
        if point.name in commands.choices:
            continue
        try:
            point.load()(commands)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # of a distribution that is damaged or does not fit this one
            _log.warning("the command %r is left out: %s", point.name, describe_error(error))


def where_to_get(command: str) -> str:
    """Return how a command is installed that is not there; empty for one that does not exist."""
    return f" (install it: pip install '{_OFFERED[command]}')" if command in _OFFERED else ""
