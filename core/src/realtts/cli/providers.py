"""``realtts providers``: what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.parsing import add_command
from realtts.cli.places import HERE

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser"]

_FEW = 12


def add_parser(commands: Any) -> None:
    """Add ``realtts providers``."""
    parser = add_command(
        commands,
        "providers",
        _providers,
        """List the installed providers and extensions.

        Those that run in an environment of their own are listed too, broken ones with the reason. Nothing is loaded,
        so this takes a fraction of a second.

        Examples:

            realtts providers
            realtts providers --json
        """,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _providers(arguments: argparse.Namespace) -> None:
    from realtts.cli.discovery import find_default, list_extensions, list_providers

    entries, extensions = list_providers(), list_extensions()
    default, why = find_default()
    name = default.name if default is not None else None
    if arguments.json:
        console.out_json({"providers": entries, "extensions": extensions, "default": {"name": name, "why": why}})
        return
    if not entries:
        console.out("No provider is installed. A voice that speaks at once: pip install realtts-espeak")
    for provider in entries:
        _show(provider, why if provider["name"] == name else "")
    if entries and name not in {provider["name"] for provider in entries}:
        console.heading("default")
        console.entry(name or "none", why if name is None else f"not installed; {why}")
    if extensions:
        console.heading("extensions")
    for extension in extensions:
        state = f"BROKEN: {extension['broken']}" if extension["broken"] else "ok"
        console.entry(extension["name"], f"{extension['distribution']} {extension['version']}, {state}")


def _show(provider: dict[str, Any], default: str) -> None:
    console.heading(f"{provider['name']} {provider['version']}".rstrip())
    if provider["broken"] is not None:
        console.entry("BROKEN", provider["broken"])
        return
    console.entry("summary", provider["summary"])
    if default:
        console.entry("default", default)
    if provider["place"] != HERE:
        console.entry("runs", f"{provider['place']}: {provider['why']}")
    console.entry("capabilities", ", ".join(provider["capabilities"]) or "-")
    console.entry("languages", _languages(provider["languages"]))
    console.entry("licence", f"{provider['licence'] or 'not stated'} ({provider['distribution']})")
    for checkpoint in provider["checkpoints"]:
        console.entry("weights", _checkpoint(checkpoint))


def _languages(tags: list[str]) -> str:
    if not tags:
        return "not stated"
    listed = ", ".join(tags[:_FEW])
    return listed if len(tags) <= _FEW else f"{len(tags)}: {listed}, ..."


def _checkpoint(checkpoint: dict[str, Any]) -> str:
    licence = checkpoint["licence"] or "licence not stated"
    amount = f", {console.size(checkpoint['size_bytes'])}" if checkpoint["size_bytes"] else ""
    source = f" ({checkpoint['source']})" if checkpoint["source"] else ""
    return f"{checkpoint['name']}{source}: {licence}{amount}"
