"""Tensors of a checkpoint whose weights are saved in several files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from realtts.errors import CheckpointCorrupt
from realtts.kit.shards import read_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

__all__ = ["Shards"]


class Shards(Mapping[str, "Tensor"]):
    """The tensors of all parts that an index lists, each read at each access.

    Args:
        path: The index, such as ``model.safetensors.index.json``; its parts lie beside it.
        open_part: Opens a part as a mapping with ``shapes`` and ``rows``.

    Attributes:
        shapes: Of every tensor, known without reading it.
        paths: The index and its parts.

    Raises:
        CheckpointCorrupt: The index or a part cannot be read, or a part lacks a tensor that the index says is in it.
    """

    def __init__(self, path: Path, open_part: Callable[[Path], Any]) -> None:
        index = read_index(path)
        parts = {name: open_part(path.with_name(name)) for name in sorted(set(index.values()))}
        self.paths = (path, *(path.with_name(name) for name in parts))
        self._parts = {name: parts[part] for name, part in index.items()}
        for name, part in index.items():
            if name not in parts[part]:
                raise CheckpointCorrupt(
                    f"the tensor {name:.80} is missing, which {path.name} says is in it", who=f"file {part!r:.80}",
                    fix="fetch or save the parts and their index again",
                )  # fmt: skip
        self.shapes: dict[str, tuple[int, ...]] = {name: part.shapes[name] for name, part in self._parts.items()}

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor = self._parts[name][name]
        return tensor

    def __contains__(self, name: object) -> bool:
        return name in self._parts  # the mapping's own would read the tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def rows(self, name: str, numbers: Sequence[int]) -> Tensor:
        """Read some rows of a tensor, as `realtts.accel.weights.tensorfile.TensorFile.rows`."""
        rows: Tensor = self._parts[name].rows(name, numbers)
        return rows
