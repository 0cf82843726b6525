"""A program: say of an environment which files are gone or changed, what is installed, and whether it imports."""

from __future__ import annotations

import base64
import hashlib
import sys
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts.isolation.install.packing import core_digest
from realtts.machine import survey
from realtts.registry import providers as registry
from realtts.registry.variants import import_object
from realtts.wire.child import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["examine"]


def examine(job: dict[str, str], _: Callable[[str], None]) -> dict[str, Any]:
    """Look at the environment that this runs in.

    Returns:
        ``versions`` of all distributions by name, ``damaged`` files, ``core`` (a digest of its files), ``fault`` (why
        the provider ``name`` cannot be imported, or None) and ``torch``.
    """
    distributions = list(importlib_metadata.distributions())
    found: dict[str, Any] = {
        "versions": {one.metadata["Name"]: one.version for one in distributions},
        "damaged": sorted(name for one in distributions for name in _damaged(one)),
        "core": core_digest(),
        "fault": None,
    }
    try:
        spec = registry.get_spec(job["name"])
        import_object(spec.plain)
        found["torch"] = survey.torch() if spec.torch else None
    except (Exception, SystemExit) as error:
        found["fault"] = f"{type(error).__name__}: {error}"
    return found


def _damaged(distribution: Any) -> Iterator[str]:
    """Yield the files of a distribution that are gone or have another size; of small ones also another content."""
    for file in distribution.files or ():
        path = file.locate()
        try:
            size = path.stat().st_size
            if file.size is not None and size != file.size:
                yield f"{file} ({size} bytes instead of {file.size})"
            elif file.hash is not None and file.suffix == ".py" and not _has_hash(path.read_bytes(), file.hash):
                yield f"{file} (changed)"
        except OSError:
            if file.suffix != ".pyc":
                yield f"{file} (gone)"


def _has_hash(content: bytes, expected: importlib_metadata.FileHash) -> bool:
    digest = hashlib.new(expected.mode, content).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == expected.value


if __name__ == "__main__":
    sys.exit(serve(examine))
