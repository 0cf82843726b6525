"""``realtts default``: who speaks when a command or a program names nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.parsing import add_command

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

__all__ = ["add_parser"]

_FIELD = "provider"


def add_parser(commands: Any) -> None:
    """Add ``realtts default``."""
    parser = add_command(
        commands,
        "default",
        _default,
        """Show or choose the provider that speaks when none is named.

        Without a choice it is an embedded voice, whatever models are installed: hibari for English, espeak for the
        rest. NAME is written into the user's realtts.toml; a realtts.toml in the working folder and REALTTS_PROVIDER
        come before that.

        Examples:

            realtts default
            realtts default chatterbox
            realtts default --unset
        """,
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="provider; default: show which it is")
    parser.add_argument("--unset", action="store_true", help="take the choice back")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _default(arguments: argparse.Namespace) -> None:
    from realtts.cli.settings_file import change_setting, file_to_change
    from realtts.errors import InvalidOption

    if arguments.name is not None and arguments.unset:
        raise InvalidOption("NAME and --unset are both given", who="realtts default", fix="give one of the two")
    if arguments.name is not None:
        _check(arguments.name)
    if arguments.name is not None or arguments.unset:
        path = file_to_change()
        changed = change_setting(path, _FIELD, arguments.name)
        if not arguments.json:
            console.err(_done(path, arguments.name, changed=changed))
    _show(arguments)


def _check(name: str) -> None:
    """Check that there is such a provider.

    Raises:
        PluginError: There is not, or it is broken.
    """
    from realtts.provider.choice import choose

    choose(name, {}, None)


def _done(path: Path, name: str | None, *, changed: bool) -> str:
    if name is None:
        return f"{path}: the choice is removed" if changed else f"{path}: nothing was chosen there"
    return f"{path}: {_FIELD} is {name!r}" if changed else f"{path}: {_FIELD} is {name!r} already"


def _show(arguments: argparse.Namespace) -> None:
    from realtts.provider.choice import default
    from realtts.settings_sources import resolve_settings

    chosen = default(resolve_settings())
    if arguments.json:
        console.out_json({"name": chosen.name, "why": chosen.why})
    else:
        console.out(f"{chosen.name}: {chosen.why}")
    if arguments.name is not None and chosen.name != arguments.name:
        console.warn(f"here it is {chosen.name!r} all the same: {chosen.why}")
