"""``realtts new-plugin``: a plugin that works, to be changed into one's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.parsing import add_command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

__all__ = ["add_parser", "write_plugin"]

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_PREFIX = "realtts-"
_SUFFIX = ".template"
_WHO = "realtts new-plugin"


def add_parser(commands: Any) -> None:
    """Add ``realtts new-plugin``."""
    parser = add_command(
        commands,
        "new-plugin",
        _new_plugin,
        """Write a working plugin of your own, with its test.

        NAME is what users will pass as --provider. The folder realtts-NAME is written whole or not at all; it speaks
        and passes the conformance suite as it is.

        Examples:

            realtts new-plugin hum
            realtts new-plugin my-model --output ~/code/my-model --author "Ada Lovelace"
            realtts new-plugin my-voice --onnx
        """,
    )
    parser.add_argument("name", metavar="NAME", help="lower case letters, digits, - and _")
    parser.add_argument("--output", type=Path, metavar="DIR", help="the folder to write; default: realtts-NAME")
    parser.add_argument("--author", default="Your Name", help="for pyproject.toml")
    parser.add_argument("--onnx", action="store_true", help="for a graph on ONNX Runtime, without torch")


def _new_plugin(arguments: argparse.Namespace) -> None:
    name: str = arguments.name
    folder: Path = arguments.output or Path(_PREFIX + name)
    write_plugin(name, folder, author=arguments.author, onnx=arguments.onnx)
    import shlex

    shown = str(folder) if folder.is_absolute() else f"./{folder}"
    console.out(f"wrote {folder}. Next:")
    console.out(f"  pip install -e {shlex.quote(f'{shown}[test]')}")
    console.out(f'  realtts say "Hello there." -p {name} -o hello.wav')
    console.out(f"  pytest {shlex.quote(shown)}")


def write_plugin(name: str, folder: Path, *, author: str, onnx: bool = False) -> None:
    """Write the project of a new plugin.

    Args:
        name: Provider name.
        folder: Where; it must not exist, or be empty.
        author: For ``pyproject.toml``.
        onnx: Whether it speaks by a graph on ONNX Runtime.

    Raises:
        InvalidOption: The name cannot be used or is taken.
        OutputError: The folder is not empty, or cannot be written.
    """
    import json
    import secrets
    import shutil

    from realtts import __version__
    from realtts.errors import OutputError

    _check_name(name)
    values = {
        "name": name,
        "package": f"realtts_{name.replace('-', '_')}",
        "author": json.dumps(author, ensure_ascii=False),  # a JSON string is a TOML string
        "version": ".".join(__version__.split(".")[:2]),
    }
    working = folder.absolute().with_name(f".{_PREFIX}{secrets.token_hex(6)}")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError("there is something already", who=str(folder), fix="choose another --output")
        _write(working, values, onnx=onnx)
        if folder.exists():
            folder.rmdir()  # not every system renames over an empty folder
        working.rename(folder)
    except OSError as error:
        raise OutputError(
            f"it cannot be written: {error.strerror or error}", who=str(folder), fix="choose another --output"
        ) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _check_name(name: str) -> None:
    from realtts.errors import InvalidOption
    from realtts.registry.providers import EMBEDDED, MODELS, installed

    fix = None
    if name.startswith(("realtts-", "realtts_")):
        what, fix = f"{name!r} begins with 'realtts'", "leave that out: it is put in front by itself"
    elif _NAME.fullmatch(name) is None:
        what, fix = f"{name!r} is no provider name", "use lower case letters, digits, '-' and '_', a letter first"
    elif name in {*MODELS, *EMBEDDED, *(entry.name for entry in installed())}:
        what, fix = f"there is a provider {name!r} already", "choose another name"
    if fix is not None:
        raise InvalidOption(what, who=_WHO, fix=fix)


def _write(folder: Path, values: dict[str, str], *, onnx: bool) -> None:
    from string import Template

    files = {**dict(_template("template")), **(dict(_template("template_onnx")) if onnx else {})}
    for parts, content in files.items():
        places = ["src", values["package"], *parts[1:]] if parts[0] == "package" else list(parts)
        path = folder.joinpath(*places)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(content).substitute(values), encoding="utf-8")


def _template(name: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the template's files: path without the suffix that hides them from Python's tools, and content."""
    from importlib.resources import files

    waiting: list[tuple[tuple[str, ...], Any]] = [((), files("realtts.cli") / name)]
    while waiting:
        parts, place = waiting.pop()
        if place.is_dir():
            waiting += [((*parts, child.name), child) for child in place.iterdir()]
        elif place.name.endswith(_SUFFIX):
            yield (*parts[:-1], parts[-1].removesuffix(_SUFFIX)), place.read_text(encoding="utf-8")
