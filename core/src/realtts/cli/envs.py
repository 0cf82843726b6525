"""``realtts envs``: the environments on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.parsing import add_command

if TYPE_CHECKING:
    import argparse

    from realtts.isolation.install import InstalledEnvironment

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add ``realtts envs``."""
    parser = add_command(
        commands,
        "envs",
        _envs,
        """List the isolated environments, with their versions, sizes and health.

        What an environment shares with uv's cache counts in its size, although it takes no further room. The exit code
        is 1 when one cannot be used.

        Examples:

            realtts envs
            realtts envs --check
            realtts envs --json
        """,
    )
    parser.add_argument("--check", action="store_true", help="import each plugin in its environment: takes seconds")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _envs(arguments: argparse.Namespace) -> int:
    from realtts.isolation.environments import folder
    from realtts.isolation.install import installed_environments
    from realtts.settings_sources import resolve_settings

    settings = resolve_settings().settings
    environments = installed_environments(settings, check=arguments.check)
    if arguments.json:
        console.out_json({"folder": str(folder(settings)), "environments": [_described(one) for one in environments]})
    elif not environments:
        console.out("There is no isolated environment. 'realtts install NAME' makes one.")
    else:
        console.table(
            ("provider", "plugin", "core", "python", "torch", "size", "state"), [_row(one) for one in environments]
        )
        console.out(f"in {folder(settings)}")
        for one in environments:
            if one.fault is not None:
                console.err(f"{one.name}: {one.fault}. Fix: {_fix(one)}")
    return 1 if any(one.fault is not None for one in environments) else 0


def _described(one: InstalledEnvironment) -> dict[str, Any]:
    environment = one.environment
    return {
        "name": one.name,
        "folder": str(one.folder),
        "distribution": one.distribution,
        "python": str(environment.python) if environment else None,
        "versions": dict(environment.versions) if environment else {},
        "size_bytes": one.size_bytes,
        "broken": one.fault,
        "fix": _fix(one) if one.fault is not None else "",
        "lock": str(one.lockfile) if one.lockfile else None,
    }


def _row(one: InstalledEnvironment) -> tuple[str, ...]:
    versions = one.environment.versions if one.environment else {}
    columns = (versions.get(name, "-") for name in ("realtts", "python", "torch"))
    return (
        one.name,
        versions.get(one.distribution, "-"),
        *columns,
        console.size(one.size_bytes),
        "BROKEN" if one.fault else "ok",
    )


def _fix(one: InstalledEnvironment) -> str:
    from realtts.isolation.environments import install_command

    return f"{install_command(one.name)} --upgrade"
