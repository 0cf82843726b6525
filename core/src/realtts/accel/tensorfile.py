"""Tensors of a safetensors file, read one at a time.

safetensors' own reader maps the file, and pages of the mapping count as the process's memory until it is closed. Here
every tensor is read into memory of its own and nothing else stays, so that weights which are packed one after the
other never lie in memory twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from realtts.errors import CheckpointCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

__all__ = ["TensorFile", "Tensors"]

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_MOST_HEADER = 100 << 20


class TensorFile(Mapping[str, "Tensor"]):
    """A safetensors file; its tensors are read when they are asked for, anew each time.

    Args:
        path: Of the file.

    Attributes:
        shapes: Of every tensor, known without reading it.

    Raises:
        CheckpointCorrupt: It is no safetensors file, or is cut short.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            header, self._begin = _header(path)
            self._entries = {name: _entry(about) for name, about in header.items() if name != "__metadata__"}
            end = max((end for _, _, _, end in self._entries.values()), default=0) + self._begin
            if path.stat().st_size < end:
                raise ValueError("it is cut short")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._unreadable(error) from error
        self.shapes: dict[str, tuple[int, ...]] = {name: shape for name, (_, shape, _, _) in self._entries.items()}

    def __getitem__(self, name: str) -> Tensor:
        dtype, shape, begin, end = self._entries[name]
        return self._read([(begin, end)]).view(dtype).view(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def rows(self, name: str, numbers: Sequence[int]) -> Tensor:
        """Some rows of a tensor, without reading the others: of an embedding that is too large to keep.

        Args:
            name: Of a tensor of at least one dimension.
            numbers: Of the rows, in the order in which they are wanted; each may come more than once.

        Returns:
            Shape (len(numbers), ...).

        Raises:
            IndexError: There is no such row.
            CheckpointCorrupt: The file cannot be read.
        """
        dtype, shape, begin, _ = self._entries[name]
        if any(not 0 <= number < shape[0] for number in numbers):
            raise IndexError(f"{name} has {shape[0]} rows")
        size = math.prod(shape[1:]) * dtype.itemsize
        spans = [(begin + number * size, begin + (number + 1) * size) for number in numbers]
        return self._read(spans).view(dtype).view(len(numbers), *shape[1:])

    def _read(self, spans: Sequence[tuple[int, int]]) -> Tensor:
        """The bytes of these spans, one after the other."""
        memory = torch.empty(sum(end - begin for begin, end in spans), dtype=torch.uint8)
        left = memory.numpy().data
        try:
            with self._path.open("rb", buffering=0) as file:
                for begin, end in spans:
                    file.seek(self._begin + begin)
                    _fill(file, left[: end - begin])
                    left = left[end - begin :]
        except (OSError, EOFError) as error:
            raise self._unreadable(error) from error
        return memory

    def _unreadable(self, error: Exception) -> CheckpointCorrupt:
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        return CheckpointCorrupt(
            f"it cannot be read: {type(error).__name__}: {reason}", who=f"file {self._path.name!r}",
            fix="remove the file and fetch it again",
        )  # fmt: skip


class Tensors(Mapping[str, "Tensor"]):
    """Those of a file whose names begin in one way, by the rest of their names.

    Args:
        file: The file.
        prefix: What their names begin with.

    Attributes:
        shapes: Of every tensor, known without reading it.
    """

    def __init__(self, file: TensorFile, prefix: str) -> None:
        self._file, self._prefix = file, prefix
        names = (name for name in file.shapes if name.startswith(prefix))
        self.shapes: dict[str, tuple[int, ...]] = {name[len(prefix) :]: file.shapes[name] for name in names}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.shapes:
            raise KeyError(name)
        return self._file[self._prefix + name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def rows(self, name: str, numbers: Sequence[int]) -> Tensor:
        """As `TensorFile.rows`."""
        return self._file.rows(self._prefix + name, numbers)


def _header(path: Path) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_MOST_HEADER, path.stat().st_size - 8):
            raise ValueError("it is no safetensors file")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise TypeError("its header is no table")
    return header, 8 + length


def _entry(about: dict[str, Any]) -> tuple[torch.dtype, tuple[int, ...], int, int]:
    dtype, shape = _DTYPES[about["dtype"]], tuple(int(size) for size in about["shape"])
    begin, end = (int(place) for place in about["data_offsets"])
    if min((0, *shape)) < 0 or begin < 0 or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError("a tensor's size does not fit its shape")
    return dtype, shape, begin, end


def _fill(file: Any, memory: memoryview) -> None:
    while len(memory):
        read = file.readinto(memory)
        if not read:
            raise EOFError("it is cut short")
        memory = memory[read:]
