"""``realtts serve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.cli.parsing import add_command

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add ``realtts serve`` to the command line of realtts."""
    parser = add_command(
        commands,
        "serve",
        _serve,
        """Serve models over HTTP, as OpenAI's clients know it.

        The first provider is the default one. Without a provider an embedded voice speaks. All options can stand in
        realtts.toml, in the table [serve], and in the environment, as REALTTS_SERVE_PORT and so on.

        Examples:

            realtts serve espeak
            realtts serve qwen3 chatterbox --model qwen3=0.6b-base --max-loaded 1 --preload
            realtts serve --host 0.0.0.0 --api-key-file keys.txt
        """,
    )
    parser.add_argument("providers", nargs="*", metavar="PROVIDER", help="who speaks, the default one first")
    parser.add_argument(
        "--model", action="append", default=[], metavar="PROVIDER=MODEL", help="checkpoint, hub id or local folder"
    )
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: 8000; 0: any free one)")
    parser.add_argument("--api-key-file", type=Path, metavar="FILE", help="accepted API keys, one a line")
    parser.add_argument("--no-key", action="store_true", default=None, help="let everybody in who reaches the address")
    parser.add_argument(
        "--allowed-host", action="append", metavar="NAME", help="a name in the Host header to accept; may be repeated"
    )
    parser.add_argument(
        "--cors-origin", action="append", metavar="ORIGIN", help="an origin whose pages may call; may be repeated"
    )
    parser.add_argument("--max-loaded", type=int, metavar="N", help="most models in memory at a time")
    parser.add_argument("--memory-mb", type=int, metavar="N", help="unload models above this much memory, in MiB")
    parser.add_argument("--preload", action="store_true", default=None, help="load the models before the first request")
    parser.add_argument("--no-studio", action="store_true", help="serve no page at /")
    parser.add_argument("--device", help="auto, cpu, mps, cuda or cuda:N")


def _serve(arguments: argparse.Namespace) -> int:
    from realtts.serving.configuration import name_pairs
    from realtts_http.config import resolve_config
    from realtts_http.serving import serve

    overrides = {
        "providers": tuple(arguments.providers) or None,
        "models": name_pairs(arguments.model, "--model", "realtts serve") or None,
        "allowed_hosts": tuple(arguments.allowed_host) if arguments.allowed_host else None,
        "cors_origins": tuple(arguments.cors_origin) if arguments.cors_origin else None,
        "studio": False if arguments.no_studio else None,
        **{
            name: getattr(arguments, name)
            for name in ("host", "port", "api_key_file", "no_key", "max_loaded", "memory_mb", "preload")
        },
    }
    return serve(resolve_config(overrides), **({"device": arguments.device} if arguments.device else {}))
