"""``realtts status``: how a provider would run, or does run, on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.parsing import add_command, add_model

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add ``realtts status``."""
    parser = add_command(
        commands,
        "status",
        _status,
        """Show how a provider runs here, and what was given up.

        Loads nothing unless --load is given.

        Examples:

            realtts status
            realtts status espeak --load
            realtts status chatterbox --load --device cpu --json
        """,
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="provider; default: see 'realtts default'")
    parser.add_argument("--load", action="store_true", help="load the model first, and show which path works")
    add_model(parser)
    parser.add_argument("--device", help="auto, cpu, mps, cuda or cuda:N")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _status(arguments: argparse.Namespace) -> None:
    from realtts import RealProvider
    from realtts.cli.loading import Loading
    from realtts.errors import StageFailed

    model, configuration = arguments.model, arguments.configuration
    with (
        RealProvider(arguments.name, model=model, configuration=configuration, device=arguments.device) as tts,
        Loading(tts),
    ):
        failure = None
        if arguments.load:
            try:
                tts.load()
            except StageFailed as error:
                failure = error  # the status says more than the error does
        status = tts.get_provider_status()
    if arguments.json:
        console.out_json(status)
    else:
        _show(status, default=arguments.name is None)
    if failure is not None:
        # Shown in the status already.
        failure.attempts = ()
        raise failure


def _show(status: dict[str, Any], *, default: bool) -> None:
    from realtts.cli.discovery import find_default

    console.heading(status["provider"])
    path = f"{status['variant']}, rung {status['rung']}" if status["variant"] else "not loaded (see --load)"
    checkpoint = status["checkpoint"]
    details = {key: value for key, value in status["optimization_details"].items() if value is not None}
    if default:
        console.entry("default", find_default()[1])
    console.entry("state", status["state"])
    console.entry("path", path)
    if checkpoint is not None:
        console.entry("checkpoint", f"{checkpoint['name']} ({checkpoint['path'] or checkpoint['source'] or 'bundled'})")
    if details:
        console.entry("details", _pairs(details))
    if status["timings"]:
        console.entry("timings", ", ".join(f"{stage} {_seconds(s)}" for stage, s in status["timings"].items()))
    versions = (f"{name} {version or 'missing'}" for name, version in status["versions"].items())
    console.entry("versions", ", ".join(versions))
    for attempt in status["attempts"]:
        console.entry("given up", console.given_up(attempt).removeprefix("gave up "))


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_value(value)}" for key, value in values.items())


def _value(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _seconds(value: float) -> str:
    return console.duration(value) if value >= 1 else f"{value * 1000:.1f} ms"
