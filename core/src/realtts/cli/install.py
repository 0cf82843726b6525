"""``realtts install`` and ``realtts uninstall``: a provider in an environment of its own."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.parsing import add_command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from realtts.isolation.install import InstallRequest

__all__ = ["add_parser"]

_PHASES = {
    "wait": "waiting", "stage": "getting the plugin", "create": "making an environment", "resolve": "choosing versions",
    "install": "installing", "prove": "trying it", "switch": "switching to it",
}  # fmt: skip


def add_parser(commands: Any) -> None:
    """Add ``realtts install`` and ``realtts uninstall``."""
    _add_install(commands)
    _add_uninstall(commands)


def _add_install(commands: Any) -> None:
    parser = add_command(
        commands,
        "install",
        _install,
        """Install a provider into an environment of its own.

        NAME stands for the distribution realtts-NAME. Its requirements meet nobody else's there; programs use the
        provider by its name as if it were installed beside them. The environment is tried before it is used. An
        install that fails or is interrupted leaves an earlier one as it was.

        Examples:

            realtts install chatterbox
            realtts install chatterbox --extra cjk --torch cpu
            realtts install espeak --from plugins/espeak
            realtts install my-voice --from my-tts-plugin --find-links wheels
            realtts install f5 --locked requirements.lock
        """,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="provider")
    parser.add_argument("--all", action="store_true", help="every provider of realtts; with --from DIR, those in DIR")
    parser.add_argument("--from", dest="source", metavar="PATH|SPEC", help="folder, wheel, address or requirement")
    parser.add_argument(
        "--extra", dest="extras", action="append", default=[], metavar="EXTRA", help="extra of the plugin; repeatable"
    )
    parser.add_argument("--python", help="version or path; default: this one, if the plugin allows it")
    parser.add_argument(
        "--torch",
        choices=("cpu", "cuda", "auto"),
        metavar="BUILD",
        help="cpu, cuda or auto (by the driver); default: a wheel in a local folder, else the index's",
    )
    parser.add_argument(
        "--find-links", dest="links", action="append", default=[], metavar="DIR", help="where wheels lie; repeatable"
    )
    parser.add_argument("--upgrade", action="store_true", help="make it anew, with the newest versions")
    parser.add_argument(
        "--locked",
        nargs="?",
        const="",
        metavar="FILE",
        help="the versions of a requirements.lock; without FILE: of the environment that there is",
    )
    parser.add_argument("--check", action="store_true", help="let it speak, though its weights have to be fetched")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_uninstall(commands: Any) -> None:
    parser = add_command(
        commands,
        "uninstall",
        _uninstall,
        """Remove the environment of a provider.

        Weights stay where they are ('realtts models remove' removes those), saved voices too.

        Examples:

            realtts uninstall chatterbox
        """,
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="provider")


def _install(arguments: argparse.Namespace) -> int:
    from realtts.cli.interrupts import Interrupts
    from realtts.errors import InstallFailed

    order = _wanted(arguments)
    results: list[dict[str, Any]] = []
    for one in order:
        try:
            with Interrupts():
                results.append(_installed(one, debug=arguments.debug, quiet=arguments.json))
        except KeyboardInterrupt:
            console.err("Nothing was changed.")
            raise
        except InstallFailed as error:
            if len(order) == 1:
                raise
            console.err(str(error))  # the others have nothing to do with it
            results.append({"name": one.name, "error": str(error)})
    if arguments.json:
        console.out_json({"environments": results})
    return 2 if any("error" in result for result in results) else 0


def _installed(order: InstallRequest, *, debug: bool, quiet: bool) -> dict[str, Any]:
    from realtts.isolation.install import install
    from realtts.settings_sources import resolve_settings

    before = _default_name()
    with _progress(order.name, debug=debug) as tell:
        environment, made = install(order, settings=resolve_settings(order.name).settings, tell=tell)
    about = ", ".join(f"{name} {version}" for name, version in environment.versions.items())
    if not quiet:
        words = "is installed" if made else "is installed already; --upgrade makes it anew"
        console.out(f"{order.name} {words}: {about}")
        console.out(_how_to_use(order.name, before))
    versions = dict(environment.versions)
    return {"name": order.name, "made": made, "python": str(environment.python), "versions": versions}


def _how_to_use(name: str, before: str | None) -> str:
    """Return how a provider is used: only an embedded voice that comes first becomes the default by its install.

    Args:
        name: The provider.
        before: The default before it was installed.
    """
    if _default_name() == name:
        instead = f" for English now, in place of {before}" if before not in {None, name} else ""
        return f"{name} is the default: 'realtts say TEXT' uses it{instead}."
    return f"Use it with 'realtts say TEXT -p {name}'; 'realtts default {name}' makes it the default."


def _default_name() -> str | None:
    from realtts.cli.discovery import find_default

    default, _ = find_default()
    return default.name if default is not None else None


def _wanted(arguments: argparse.Namespace) -> list[InstallRequest]:
    from realtts.errors import InvalidOption
    from realtts.isolation.install import InstallRequest

    names, source = arguments.names, arguments.source
    if bool(names) == arguments.all:
        raise InvalidOption("needs a NAME, or --all", who="realtts install", fix="'realtts install chatterbox'")
    if len(names) > 1 and (source or arguments.locked):
        raise InvalidOption("stands for one provider", who="--from, --locked FILE", fix="give one NAME at a time")
    sources = _all(source) if arguments.all else dict.fromkeys(names, source)
    return [
        InstallRequest(
            name,
            source=where,
            extras=tuple(arguments.extras),
            python=arguments.python,
            torch=arguments.torch,
            links=tuple(arguments.links),
            locked=_lockfile(name, arguments.locked),
            upgrade=arguments.upgrade,
            speak=arguments.check,
        )
        for name, where in sources.items()
    ]


def _all(source: str | None) -> dict[str, str | None]:
    """Return the sources of all providers of this project."""
    from realtts.errors import InvalidOption
    from realtts.registry.providers import EMBEDDED, MODELS

    names = (*MODELS, *EMBEDDED)
    if source is None:
        return dict.fromkeys(names)
    sources: dict[str, str | None] = {
        name: str(Path(source) / name) for name in names if (Path(source) / name).is_dir()
    }
    if not sources:
        raise InvalidOption("has no folder of a provider", who=f"--from {source}", fix=f"one of {', '.join(names)}")
    return sources


def _lockfile(name: str, path: str | None) -> Path | None:
    from realtts.errors import InvalidOption
    from realtts.isolation.install import installed_environments
    from realtts.settings_sources import resolve_settings

    if path is None:
        return None
    if path:
        return Path(path).absolute()
    listed = installed_environments(resolve_settings(name).settings)
    lockfile = next((one.lockfile for one in listed if one.name == name), None)
    if lockfile is None:
        raise InvalidOption(f"there is no environment for {name!r} to repeat", who="--locked", fix="name its file")
    return lockfile


def _uninstall(arguments: argparse.Namespace) -> None:
    from realtts.cli.interrupts import Interrupts
    from realtts.isolation.install import uninstall
    from realtts.settings_sources import resolve_settings

    for name in arguments.names:
        with Interrupts():
            freed = uninstall(
                name,
                settings=resolve_settings(name).settings,
                waiting=lambda: console.err("Another process changes it; waiting."),
            )
        console.out(f"removed {name!r}: {console.size(freed)}")


@contextlib.contextmanager
def _progress(name: str, *, debug: bool) -> Iterator[Callable[[str, str], None]]:
    """Print a line per phase; on a terminal one line that changes, with what uv does at the moment."""
    if debug or not sys.stderr.isatty():
        last = ""

        def tell(phase: str, words: str) -> None:
            nonlocal last
            if words.startswith("warning:"):
                console.err(f"{name}: {words}")
            elif debug or phase != last:
                console.err(f"{name}: {words if debug or phase == 'wait' else _PHASES[phase]}")
            last = phase

        yield tell
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(name) as status:

        def show(phase: str, words: str) -> None:
            if words.startswith("warning:"):
                console.err(f"{name}: {words}")
            status.update(escape(f"{name}: {_PHASES[phase]}: {words}"[: console.width() - 4]))

        yield show
