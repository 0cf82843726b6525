"""``realtts models``: the weights on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.parsing import add_command, commands_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from realtts.checkpoints import Kept

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add ``realtts models`` with its own command."""
    group = add_command(
        commands,
        "models",
        _list,
        """List or remove the weights on this machine.

        Without a command it lists every checkpoint of the installed providers and what else was fetched: where it
        lies, its size, whether it is complete, when it was last used.

        Examples:

            realtts models
            realtts models --json
            realtts models remove chatterbox
        """,
    )
    group.add_argument("--json", action="store_true", help="print JSON")
    parser = add_command(
        commands_of(group),
        "remove",
        _remove,
        """Remove weights from the hub's cache.

        Files that another checkpoint shares are kept. Other programs that use the same cache lose the files too, and
        fetch them again when they need them.

        Examples:

            realtts models remove f5
            realtts models remove owner/finetune@v2 --yes
        """,
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="checkpoint, provider, provider/checkpoint or hub id")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _list(arguments: argparse.Namespace) -> None:
    from realtts.checkpoints import inventory
    from realtts.checkpoints.cache import cache_dir

    found = inventory()
    if arguments.json:
        console.out_json({"cache": str(cache_dir()), "models": [_described(kept) for kept in found]})
        return
    if not found:
        console.out("No installed provider has weights on the hub, and none were fetched.")
        return
    columns = ("checkpoint", "provider", "state", "size", "used", "licence", "source")
    console.table(columns, [_row(kept) for kept in found])
    console.out(f"in {cache_dir()}: {console.size(sum(kept.size_bytes for kept in found))}")


def _remove(arguments: argparse.Namespace) -> None:
    from realtts.checkpoints import inventory, remove

    found = inventory()
    chosen = list(dict.fromkeys(kept for name in arguments.names for kept in _find(name, found)))
    here = [kept for kept in chosen if kept.state != "absent"]
    if not here:
        console.out("Nothing of it is on this machine.")
        return
    if not arguments.yes and not _confirmed(here):
        console.out("Nothing was removed.")
        return
    for kept in here:
        console.out(f"removed {kept.name!r}: {console.size(remove(kept))} freed")


def _find(name: str, found: Sequence[Kept]) -> list[Kept]:
    from realtts.errors import UnknownCheckpoint, closest

    chosen = [kept for kept in found if name in _names(kept)]
    if not chosen:
        known = sorted({known for kept in found for known in _names(kept)})
        raise UnknownCheckpoint(
            f"there is no checkpoint of that name{closest(name, known)}", who=repr(name),
            fix="'realtts models' lists them",
        )  # fmt: skip
    return chosen


def _names(kept: Kept) -> set[str]:
    of_provider = {kept.provider, f"{kept.provider}/{kept.name}"} if kept.provider else set()
    return {kept.name, kept.repo, f"{kept.repo}@{kept.revision}", *of_provider}


def _confirmed(chosen: Sequence[Kept]) -> bool:
    from realtts.errors import InvalidOption

    if not sys.stdin.isatty():
        raise InvalidOption("nobody can be asked here", who="realtts models remove", fix="add --yes")
    for kept in chosen:
        console.err(f"{kept.name}: {console.size(kept.size_bytes)} in {kept.folder}")
    console.err("Remove? [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _described(kept: Kept) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(kept), "names": list(kept.names), "folder": str(kept.folder) if kept.folder else None}


def _row(kept: Kept) -> tuple[str, ...]:
    size = console.size(kept.size_bytes) if kept.size_bytes else "-"
    source = f"{kept.repo} at {kept.revision[:12]}"
    return (kept.name, kept.provider or "-", kept.state, size, _day(kept.used), kept.licence or "not stated", source)


def _day(used: float | None) -> str:
    import time

    return time.strftime("%Y-%m-%d", time.localtime(used)) if used is not None else "never"
