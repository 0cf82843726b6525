"""``realtts wyoming``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.cli.parsing import add_command

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add ``realtts wyoming`` to the command line of realtts."""
    parser = add_command(
        commands,
        "wyoming",
        _wyoming,
        """Serve models to Home Assistant, over the Wyoming protocol.

        The first provider is the default one. Without a provider an embedded voice speaks. All options can stand in
        realtts.toml, in the table [wyoming], and in the environment, as REALTTS_WYOMING_URI and so on. The protocol
        knows no passwords: everybody who reaches the address may speak.

        Examples:

            realtts wyoming --uri tcp://0.0.0.0:10200 espeak
            realtts wyoming --uri tcp://0.0.0.0:10200 --zeroconf espeak qwen3 --model qwen3=0.6b-base --max-loaded 1
        """,
    )
    parser.add_argument("providers", nargs="*", metavar="PROVIDER", help="who speaks, the default one first")
    parser.add_argument(
        "--model", action="append", default=[], metavar="PROVIDER=MODEL", help="checkpoint, hub id or local folder"
    )
    parser.add_argument("--uri", help="tcp://HOST:PORT or unix://PATH (default: tcp://127.0.0.1:10200; port 0: any)")
    parser.add_argument("--zeroconf", action="store_true", help="announce the server in the local network")
    parser.add_argument("--zeroconf-name", metavar="NAME", help="announce it by this name (default: realtts)")
    parser.add_argument("--max-loaded", type=int, metavar="N", help="most models in memory at a time")
    parser.add_argument("--memory-mb", type=int, metavar="N", help="unload models above this much memory, in MiB")
    parser.add_argument("--preload", action="store_true", default=None, help="load the models before the first request")
    parser.add_argument("--device", help="auto, cpu, mps, cuda or cuda:N")


def _wyoming(arguments: argparse.Namespace) -> int:
    from realtts.serving.configuration import name_pairs
    from realtts_wyoming.config import resolve_config
    from realtts_wyoming.serving import serve

    overrides = {
        "providers": tuple(arguments.providers) or None,
        "models": name_pairs(arguments.model, "--model", "realtts wyoming") or None,
        "zeroconf": arguments.zeroconf_name or ("realtts" if arguments.zeroconf else None),
        **{name: getattr(arguments, name) for name in ("uri", "max_loaded", "memory_mb", "preload")},
    }
    return serve(resolve_config(overrides), **({"device": arguments.device} if arguments.device else {}))
