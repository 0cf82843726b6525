"""Files of a checkpoint, as a plugin gets them: names and paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from realtts.errors import CheckpointMissing, enumeration
from realtts.kit.shards import index_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Files"]


class Files(Mapping[str, "Path"]):
    """The files of a checkpoint by their names in the repository or folder. Immutable.

    Args:
        paths: Name -> where it lies.
        source: Hub id or local folder, for messages.
        revision: Commit that the files are of; None for a local folder.

    Attributes:
        source: As given.
        revision: As given.
    """

    def __init__(self, paths: Mapping[str, Path], *, source: str, revision: str | None = None) -> None:
        self._paths = dict(paths)
        self.source = source
        self.revision = revision

    def __getitem__(self, name: str) -> Path:
        return self._paths[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def first(self, *names: str) -> Path:
        """Return the path of the first of these names that exists, for files with alternatives.

        Of weights that are saved in parts it is the index of them, see `realtts.kit.shards`.

        Raises:
            CheckpointMissing: None of them is there.
        """
        for name in names:
            for each in (name, index_of(name)):
                if each in self._paths:
                    return self._paths[each]
        raise CheckpointMissing(
            f"it has no {' or '.join(names)}", who=f"checkpoint {self.source!r}",
            fix=f"choose from its files: {enumeration(self._paths)}",
        )  # fmt: skip

    def identity(self, *names: str) -> str:
        """Return a value that changes with the content of these files, as a key for what is computed from them.

        A commit of the hub says it by itself; of a local folder it is each file's size and time of change.

        Args:
            names: Which files; those that are not there are left out.
        """
        if self.revision is not None:
            return f"{self.source}@{self.revision}"
        wanted = {each for name in names for each in (name, *self._parts(name))}
        facts = [(name, path.stat()) for name, path in self._paths.items() if name in wanted]
        return f"{self.source}?" + "&".join(f"{name}={fact.st_size}.{fact.st_mtime_ns}" for name, fact in facts)

    def _parts(self, name: str) -> list[str]:
        """Return the index of a file of weights, and the files beside it that its parts are among."""
        if name in self._paths or index_of(name) not in self._paths:
            return []
        folder, _, file = name.rpartition("/")
        suffix = file[file.rindex(".") :]
        beside = [each for each in self._paths if each.rpartition("/")[0] == folder and each.endswith(suffix)]
        return [index_of(name), *beside]

    def __repr__(self) -> str:
        return f"Files({self.source!r}, revision={self.revision!r}, names={list(self._paths)!r})"
