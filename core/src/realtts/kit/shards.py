"""Weights that are saved in several files: the names of their index files, and what these say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.documents import MALFORMED, read_json_table
from realtts.kit.reading import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from realtts.contract.spec import WantedFile

__all__ = ["INDEX_SUFFIX", "index_of", "is_index", "read_index", "with_shards"]

INDEX_SUFFIX = ".index.json"
"""A file so named lists the parts that big weights are cut into, and brings them with it."""

_WEIGHTS = (".safetensors", ".bin")
"""Ends of the names of files that transformers cuts into parts."""


def index_of(name: str) -> str:
    """Return the name of the file that lists the parts of a file of weights."""
    return f"{name}{INDEX_SUFFIX}"


def is_index(path: Path) -> bool:
    """Tell whether a file lists the parts of weights."""
    return path.name.endswith(INDEX_SUFFIX)


def with_shards(files: Sequence[WantedFile]) -> tuple[WantedFile, ...]:
    """Return what a checkpoint needs, with the index of its parts in place of every file of weights that is missing.

    Args:
        files: As `realtts.ProviderSpec` has them.
    """
    return tuple(_alternatives(item) for item in files)


def read_index(path: Path) -> Mapping[str, str]:
    """Return the file of every tensor, each beside the index.

    Raises:
        CheckpointCorrupt: It is no index, or names a file elsewhere.
    """
    try:
        parts = dict(read_json_table(path)["weight_map"])
        for part in parts.values():
            if not isinstance(part, str) or part.strip(". ") == "" or set(part) & set("/\\:\0"):
                raise ValueError(f"it names the part {part!r:.80}")
    except MALFORMED as error:
        raise unreadable(path, error) from error
    return parts


def _alternatives(item: WantedFile) -> WantedFile:
    names = (item,) if isinstance(item, str) else tuple(item)
    more = [each for name in names for each in (name, *_indexes(name))]
    return item if len(more) == len(names) else tuple(more)


def _indexes(name: str | None) -> tuple[str, ...]:
    return (index_of(name),) if name is not None and name.endswith(_WEIGHTS) and "*" not in name else ()
