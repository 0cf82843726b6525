"""``realtts verify``: whether the optimized path says what the plain one says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.parsing import add_command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add ``realtts verify``."""
    from realtts.cli.bench import add_workload

    parser = add_command(
        commands,
        "verify",
        _verify,
        """Check a provider's optimized path against its plain one, on the same weights.

        Compares tokens and outputs where the plugin shows them, audio always, and streams with the whole. The exit
        code is 1 when a tolerance is missed.

        Examples:

            realtts verify espeak
            realtts verify chatterbox --random-weights tiny
            realtts verify qwen3 --text "Hello there." --json
        """,
    )
    add_workload(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _verify(arguments: argparse.Namespace) -> int:
    from realtts.bench import run_verify
    from realtts.cli.bench import check_weights, find_spec, read_settings, read_workload

    spec = find_spec(arguments)
    workload = read_workload(arguments, spec)
    check_weights(arguments)
    record = run_verify(spec.name, workload, settings=read_settings(arguments), random_weights=arguments.random_weights)
    if arguments.json:
        console.out_json(record)
    else:
        _show(record)
    return 0 if record["ok"] else 1


def _show(record: Mapping[str, Any]) -> None:
    words = {True: "ok", False: "MISSED", None: "skipped"}
    rows = [
        [check["name"], _value(check["value"]), _value(check["tolerance"]), words[check["ok"]]]
        for check in record["checks"]
    ]
    console.table(["check", "value", "tolerance", ""], rows)
    for check in record["checks"]:
        if check["ok"] is not True and check["note"]:
            console.err(f"{check['name']}: {console.one_line(check['note'])}")
    if record["plain"].get("why"):
        console.err(f"Upstream's package took no part: {record['plain']['why']}. {_how_to_get_it(record)}.")
    if record["testing_module"] is None:
        console.err("The plugin ships no testing module, so audio alone was compared.")
    if record["left_out"]:
        console.err(f"Left out, since the provider does not speak them: {', '.join(record['left_out'])}.")


def _how_to_get_it(record: Mapping[str, Any]) -> str:
    """Return how what the plain variant lacks is installed."""
    from realtts.bench.remote import install_into

    name, extras = record["provider"], record["lacking_extras"]
    if record["isolated"]:
        return f"To compare with it, {install_into(name, extras)}"
    wanted = " ".join(["realtts install", name, *(f"--extra {extra}" for extra in extras)])
    return f"To compare with it, give the provider an environment of its own ({wanted}), and set isolation='always'"


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
