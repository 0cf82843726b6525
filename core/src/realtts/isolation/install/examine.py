"""A program: say of an environment which files are gone or changed, what is installed, and whether it imports."""

from __future__ import annotations

import base64
import csv
import hashlib
import sys
from pathlib import Path
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
    """Yield the files of a distribution that are gone, have another size or, of Python, another content."""
    # Not `files`, which leaves out those that are gone.
    for name, digest, size in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        path = Path(distribution.locate_file(name))
        try:
            found = path.stat().st_size
            if size and found != int(size):
                yield f"{name} ({found} bytes instead of {size})"
            elif digest and path.suffix == ".py" and not _has_digest(path.read_bytes(), digest):
                yield f"{name} (changed)"
        except OSError:
            if path.suffix != ".pyc":
                yield f"{name} (gone)"


def _has_digest(content: bytes, expected: str) -> bool:
    """Tell whether a content has a digest such as ``sha256=...``."""
    kind, _, value = expected.partition("=")
    return base64.urlsafe_b64encode(hashlib.new(kind, content).digest()).rstrip(b"=").decode() == value


if __name__ == "__main__":
    sys.exit(serve(examine))
