"""Which files a checkpoint needs: names, patterns and alternatives, chosen from what there is."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from realtts.documents import MALFORMED, read_json_table, reason_of
from realtts.errors import CheckpointCorrupt, CheckpointMissing, InvalidPlugin, enumeration
from realtts.kit.shards import INDEX_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from realtts.contract.spec import WantedFile

    Entry = tuple[str | None, ...]

__all__ = ["choose", "is_pattern", "is_safe", "matching", "names_in_index", "parse"]

_MAGIC = re.compile(r"[*?\[]")
_UNSAFE = re.compile(r'[\x00-\x1f\\:"<>|]')


def is_safe(name: str) -> bool:
    """Tell whether a name stays inside its folder on every platform: relative, no ``..``, no drive, no backslash."""
    parts = name.split("/")
    return not _UNSAFE.search(name) and all(part.strip(". ") for part in parts)


def is_pattern(name: str) -> bool:
    """Tell whether a name holds ``*``, ``?`` or ``[``."""
    return _MAGIC.search(name) is not None


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that a pattern matches, in order; ``*`` does not cross a ``/``."""
    parts = pattern.count("/")
    return sorted(name for name in names if name.count("/") == parts and PurePosixPath(name).match(pattern))


def parse(files: Sequence[WantedFile], who: str) -> tuple[Entry, ...]:
    """Check the entries, and return them as tuples of alternatives.

    Raises:
        InvalidPlugin: There is none, or one is not as the contract has it.
    """
    if isinstance(files, (str, bytes)) or not files:
        raise InvalidPlugin(
            f"its files are {files!r}", who=who, fix="list the files that it needs, in the spec or in the call of fetch"
        )
    return tuple(_entry(item, who) for item in files)


def _entry(item: Any, who: str) -> Entry:
    entry = (item,) if isinstance(item, str) else tuple(item) if isinstance(item, (tuple, list)) else ()
    names = entry[:-1] if entry and entry[-1] is None else entry
    if not names or not all(isinstance(name, str) and is_safe(name) and "**" not in name for name in names):
        raise InvalidPlugin(
            f"{item!r:.120} is no file that it can need", who=who,
            fix="give a relative name or pattern such as 'model.safetensors', or a tuple of alternatives, best first; "
            "None as the last one lets the file be missing",
        )  # fmt: skip
    return entry


def choose(
    entries: Sequence[Entry],
    has: Callable[[str], bool],
    match: Callable[[str], Sequence[str]],
    *,
    who: str,
    where: str,
) -> list[str]:
    """Return the names of the files to use: of each entry the first alternative that exists.

    Args:
        entries: What is wanted.
        has: Whether a file is there.
        match: The files that a pattern fits.
        who: The checkpoint, for messages.
        where: Repository and revision, or folder, for messages.

    Raises:
        CheckpointMissing: Of some entries no alternative is there; names them all.
    """
    names: dict[str, None] = {}
    missing: list[str] = []
    sharded: list[str] = []
    for entry in entries:
        chosen = _alternative(entry, has, match)
        if chosen is None:
            missing.append(" or ".join(name for name in entry if name is not None))
            sharded += [name for name in entry if name is not None and has(f"{name}{INDEX_SUFFIX}")]
        names.update(dict.fromkeys(chosen or ()))
    if sharded:
        raise CheckpointMissing(
            f"{enumeration(sharded)} is saved in shards in {where}, which this provider does not read", who=who,
            fix="save it as one file, such as with save_pretrained(folder, max_shard_size='100GB')",
        )  # fmt: skip
    if missing:
        raise CheckpointMissing(
            f"{enumeration(missing)} missing in {where}", who=who,
            fix="check model= and its revision: this provider needs those files",
        )  # fmt: skip
    return list(names)


def _alternative(
    entry: Entry, has: Callable[[str], bool], match: Callable[[str], Sequence[str]]
) -> Sequence[str] | None:
    for name in entry:
        if name is None:
            return ()
        names = match(name) if is_pattern(name) else [name] if has(name) else []
        if names:
            return names
    return None


def names_in_index(path: Path, name: str, who: str) -> list[str]:
    """Return the parts that an index file lists, as names in its folder.

    Raises:
        CheckpointCorrupt: It is no index, or a part lies outside the checkpoint.
    """
    folder = name.rpartition("/")[0]
    try:
        parts = sorted(set(read_json_table(path)["weight_map"].values()))
    except MALFORMED as error:
        raise CheckpointCorrupt(
            f"{name} is no index of weights: {reason_of(error)}", who=who,
            fix="remove the file and fetch it again, or report it to whoever published it",
        ) from error  # fmt: skip
    for part in parts:
        if not isinstance(part, str) or not is_safe(part):
            raise CheckpointCorrupt(
                f"{name} names {part!r:.120}, which lies outside the checkpoint", who=who,
                fix="do not use it, and report it to whoever published it",
            )  # fmt: skip
    return [f"{folder}/{part}" if folder else part for part in parts]
