"""The running core as a wheel, so that an environment gets the core that will talk to it, from wherever it came."""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import importlib_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["core_digest", "pack_core"]

_WHEEL = "Wheel-Version: 1.0\nGenerator: realtts\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_BEGIN_OF_ZIP = (1980, 1, 1, 0, 0, 0)


def pack_core(folder: Path) -> Path:
    """Write the package that this process runs as a wheel.

    A checkout, an editable install and a version that no index has are no different, and nothing is built.

    Args:
        folder: Where to write it.

    Returns:
        The wheel. The same files give the same bytes.

    Raises:
        OSError: It cannot be written.
    """
    version = re.sub(r"[^\w.+]", "_", importlib_metadata.version("realtts"))
    path = folder / f"realtts-{version}-py3-none-any.whl"
    record: list[str] = []
    info = f"realtts-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in (*_package(), *((f"{info}/{name}", content) for name, content in _about())):
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}")
            wheel.writestr(zipfile.ZipInfo(name, _BEGIN_OF_ZIP), content, zipfile.ZIP_DEFLATED)
        lines = "\n".join([*record, f"{info}/RECORD,,", ""])
        wheel.writestr(zipfile.ZipInfo(f"{info}/RECORD", _BEGIN_OF_ZIP), lines)
    return path


def core_digest() -> str:
    """Return a digest of the package's files, equal where the same core runs."""
    digest = hashlib.sha256()
    for name, content in _package():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _package() -> Iterator[tuple[str, bytes]]:
    home = Path(__file__).parents[2]
    for file in sorted(home.rglob("*")):
        inside = file.relative_to(home.parent)
        if file.is_file() and "__pycache__" not in inside.parts and file.suffix != ".pyc":
            yield inside.as_posix(), file.read_bytes()


def _about() -> Iterator[tuple[str, bytes]]:
    distribution = importlib_metadata.distribution("realtts")
    for name in ("METADATA", "entry_points.txt", "licenses/LICENSE"):
        content = distribution.read_text(name)
        if content is not None:
            yield name, content.encode()
    yield "WHEEL", _WHEEL.encode()
