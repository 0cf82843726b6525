"""Tensors of a checkpoint's files, read one at a time.

safetensors' own reader maps the file, and pages of the mapping count as the process's memory until it is closed. Here
every tensor is read into memory of its own and nothing else stays, so that weights which are packed one after the
other never lie in memory twice.
"""

from __future__ import annotations

import json
import math
import mmap
import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from realtts.errors import CheckpointCorrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

__all__ = [
    "State",
    "TensorFile",
    "Tensors",
    "read_pickled",
    "read_state",
    "rows_of",
    "shapes_of",
    "unreadable",
]

State = Mapping[str, "Tensor"]
"""Tensors by name."""

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_MOST_HEADER = 100 << 20
_LARGE = 1 << 20


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
            raise unreadable(self._path, error) from error
        self.shapes: dict[str, tuple[int, ...]] = {name: shape for name, (_, shape, _, _) in self._entries.items()}

    def __getitem__(self, name: str) -> Tensor:
        dtype, shape, begin, end = self._entries[name]
        return self._read([(begin, end)]).view(dtype).view(shape).detach()  # no view: it can get other memory

    def __contains__(self, name: object) -> bool:
        return name in self._entries  # the mapping's own would read the tensor

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
        return self._read(spans).view(dtype).view(len(numbers), *shape[1:]).detach()

    def _read(self, spans: Sequence[tuple[int, int]]) -> Tensor:
        """The bytes of these spans, one after the other."""
        memory = _memory(sum(end - begin for begin, end in spans))
        left = memory.numpy().data
        try:
            with self._path.open("rb", buffering=0) as file:
                for begin, end in spans:
                    file.seek(self._begin + begin)
                    _fill(file, left[: end - begin])
                    left = left[end - begin :]
        except (OSError, EOFError) as error:
            raise unreadable(self._path, error) from error
        return memory


class Tensors(Mapping[str, "Tensor"]):
    """Some of a state's tensors under other names, each in memory of its own when it is asked for.

    Args:
        state: The whole.
        prefix: Those whose names begin so are meant, by the rest of their names.
        names: Or these, name here -> name there.

    Attributes:
        shapes: Of every tensor, known without reading it where the state's are.
    """

    def __init__(self, state: State, prefix: str = "", *, names: Mapping[str, str] | None = None) -> None:
        if names is None:
            names = {name[len(prefix) :]: name for name in state if name.startswith(prefix)}
        known = shapes_of(state)
        self._state, self._names = state, dict(names)
        self.shapes: dict[str, tuple[int, ...]] = {name: known[there] for name, there in names.items()}

    def __getitem__(self, name: str) -> Tensor:
        tensor = self._state[self._names[name]]
        # A tensor of a mapped file would change with the file.
        return tensor if isinstance(self._state, (TensorFile, Tensors)) else tensor.clone()

    def __contains__(self, name: object) -> bool:
        return name in self._names  # the mapping's own would read the tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def rows(self, name: str, numbers: Sequence[int]) -> Tensor:
        """As `TensorFile.rows`."""
        if isinstance(self._state, (TensorFile, Tensors)):
            return self._state.rows(self._names[name], numbers)
        return self._state[self._names[name]][list(numbers)]


def read_state(path: Path) -> TensorFile | Tensors:
    """The tensors of a ``.safetensors`` file, or of a ``.pt`` file that holds nothing else.

    Raises:
        CheckpointCorrupt: It cannot be read, or holds anything else.
    """
    if path.suffix == ".safetensors":
        return TensorFile(path)
    content = read_pickled(path)
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise unreadable(path, TypeError("it holds something else than named tensors"))
    return Tensors(content)


def read_pickled(path: Path) -> Any:
    """What a ``.pt`` file holds: tensors, numbers, text and containers of them; code in it is not run.

    Tensors lie in the file, which is mapped: what is to outlive it must be copied, as `Tensors` does.

    Raises:
        CheckpointCorrupt: It cannot be read, or holds anything else.
    """
    try:
        try:
            # Mapped, because what a trainer saves is mostly the optimizer's state, which nobody reads here.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the format of old versions of torch cannot be mapped
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise unreadable(path, error) from error


def shapes_of(state: State) -> dict[str, tuple[int, ...]]:
    """Of every tensor, without reading what need not be read."""
    if isinstance(state, (TensorFile, Tensors)):
        return dict(state.shapes)
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def rows_of(state: State, name: str) -> Callable[[Sequence[int]], Tensor]:
    """How to come by some rows of a matrix: by the state's own ``rows`` where it has it, else from the whole tensor."""
    read = getattr(state, "rows", None)
    if read is not None:
        return lambda ids: read(name, ids)
    whole = state[name]
    return lambda ids: whole[torch.tensor(list(ids), dtype=torch.int64, device=whole.device)]


def unreadable(path: Path, error: Exception) -> CheckpointCorrupt:
    """The error for a file that cannot be read."""
    reason = str(error).splitlines()[0] if str(error) else "no reason given"
    return CheckpointCorrupt(
        f"it cannot be read: {type(error).__name__}: {reason}", who=f"file {path.name!r}",
        fix="remove the file and fetch it again",
    )  # fmt: skip


def _memory(size: int) -> Tensor:
    """So many bytes; many of them in a mapping, which goes back to the system when the tensor goes.

    Blocks of the C library's heap would stay as holes between the packed weights.
    """
    if size < _LARGE:
        return torch.empty(size, dtype=torch.uint8)
    return torch.frombuffer(mmap.mmap(-1, size), dtype=torch.uint8)


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
