"""``realtts models``: the weights on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.parsing import add_command, commands_of
from realtts.errors import InvalidOption

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

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
        lies, its size, whether it is complete, when it was last used; and how much is kept of packed weights.

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
        """Remove weights from the hub's cache, or the packed weights.

        Files that another checkpoint shares are kept. Other programs that use the same cache lose the files too, and
        fetch them again when they need them.

        Examples:

            realtts models remove f5
            realtts models remove owner/finetune@v2 --yes
            realtts models remove --packed
        """,
    )
    parser.add_argument("--packed", action="store_true", help="remove the packed weights kept for the next start")
    parser.add_argument("names", nargs="*", metavar="NAME", help="checkpoint, provider, provider/checkpoint or hub id")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _list(arguments: argparse.Namespace) -> None:
    from realtts.checkpoints import inventory
    from realtts.checkpoints.cache import cache_dir
    from realtts.settings_sources import packed_dir

    models, packed = inventory(), _packed()
    size = sum(path.stat().st_size for path in packed)
    if arguments.json:
        about = {"folder": str(packed_dir()), "files": len(packed), "bytes": size}
        console.out_json({
            "cache": str(cache_dir()), "models": [_described(model) for model in models], "packed": about,
        })  # fmt: skip
        return
    if packed:
        console.out(f"packed weights in {packed_dir()}: {console.size(size)}")
    if not models:
        console.out("No installed provider has weights on the hub, and none were fetched.")
        return
    columns = ("checkpoint", "provider", "state", "size", "used", "licence", "source")
    console.table(columns, [_row(model) for model in models])
    console.out(f"in {cache_dir()}: {console.size(sum(model.size_bytes for model in models))}")


def _remove(arguments: argparse.Namespace) -> None:
    from realtts.checkpoints import inventory, remove

    if arguments.packed:
        _remove_packed()
        if not arguments.names:
            return
    elif not arguments.names:
        raise InvalidOption("nothing is named", who="realtts models remove", fix="name checkpoints, or give --packed")
    models = inventory()
    chosen = list(dict.fromkeys(model for name in arguments.names for model in _find(name, models)))
    here = [model for model in chosen if model.state != "absent"]
    if not here:
        console.out("Nothing of it is on this machine.")
        return
    if not arguments.yes and not _confirmed(here):
        console.out("Nothing was removed.")
        return
    for model in here:
        console.out(f"removed {model.name!r}: {console.size(remove(model))} freed")


def _packed() -> list[Path]:
    """List the files of packed weights; half-written ones too."""
    from realtts.settings_sources import packed_dir

    folder = packed_dir()
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _remove_packed() -> None:
    freed = 0
    for path in _packed():
        freed += path.stat().st_size
        path.unlink(missing_ok=True)
    console.out(f"removed the packed weights: {console.size(freed)} freed")


def _find(name: str, models: Sequence[Kept]) -> list[Kept]:
    from realtts.errors import UnknownCheckpoint, closest

    chosen = [model for model in models if name in _names(model)]
    if not chosen:
        names = sorted({names for model in models for names in _names(model)})
        raise UnknownCheckpoint(
            f"there is no checkpoint of that name{closest(name, names)}", who=repr(name),
            fix="'realtts models' lists them",
        )  # fmt: skip
    return chosen


def _names(model: Kept) -> set[str]:
    of_provider = {model.provider, f"{model.provider}/{model.name}"} if model.provider else set()
    return {model.name, model.repo, f"{model.repo}@{model.revision}", *of_provider}


def _confirmed(chosen: Sequence[Kept]) -> bool:
    if not sys.stdin.isatty():
        raise InvalidOption("nobody can be asked here", who="realtts models remove", fix="add --yes")
    for model in chosen:
        console.err(f"{model.name}: {console.size(model.size_bytes)} in {model.folder}")
    console.err("Remove? [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _described(model: Kept) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(model), "names": list(model.names), "folder": str(model.folder) if model.folder else None}


def _row(model: Kept) -> tuple[str, ...]:
    size = console.size(model.size_bytes) if model.size_bytes else "-"
    source = f"{model.repo} at {model.revision[:12]}"
    return (
        model.name,
        model.provider or "-",
        model.state,
        size,
        _day(model.used),
        model.licence or "not stated",
        source,
    )


def _day(used: float | None) -> str:
    import time

    return time.strftime("%Y-%m-%d", time.localtime(used)) if used is not None else "never"
