"""Tensors of a checkpoint's files, read one at a time.

Each tensor of a safetensors file is read into memory of its own and nothing else stays, so that weights which are
packed one after the other never lie in memory twice. safetensors' own reader is not used, because pages of a mapped
file count as the process's memory until it is closed (256 MiB read tensor by tensor: 257 MiB more), and what its
``backend="pread"`` reads lies in the heap (see `_memory`).
"""

from __future__ import annotations

import math
import mmap
import pickle
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.weights.shards import Shards
from realtts.accel.weights.tensor_header import read_header
from realtts.documents import DEEPEST, MALFORMED, DocumentError
from realtts.kit.reading import unreadable
from realtts.kit.shards import is_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

__all__ = [
    "State",
    "TensorFile",
    "Tensors",
    "check_named",
    "paths_of",
    "read_pickled",
    "read_state",
    "rows_of",
    "shapes_of",
]

State = Mapping[str, "Tensor"]
"""Tensors by name."""

_LARGE = 1 << 20


class TensorFile(Mapping[str, "Tensor"]):
    """A safetensors file as a mapping; a tensor is read from the file at each access.

    Args:
        path: The file.

    Attributes:
        paths: The file alone.
        shapes: Of every tensor, known without reading it.
        metadata: What the file says about itself.

    Raises:
        CheckpointCorrupt: It is no safetensors file, or is cut short.
    """

    def __init__(self, path: Path) -> None:
        self._path, self.paths = path, (path,)
        try:
            self._entries, self.metadata = read_header(path)
        except MALFORMED as error:
            raise unreadable(path, error) from error
        self.shapes: dict[str, tuple[int, ...]] = {name: entry.shape for name, entry in self._entries.items()}

    def __getitem__(self, name: str) -> Tensor:
        entry = self._entries[name]
        # Detached, so that it is no view of the bytes: a view cannot get other memory, as offloading gives it.
        return self._read([(entry.begin, entry.end)]).view(entry.dtype).view(entry.shape).detach()

    def __contains__(self, name: object) -> bool:
        return name in self._entries  # the mapping's own would read the tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def rows(self, name: str, numbers: Sequence[int]) -> Tensor:
        """Read some rows of a tensor without the others, for an embedding that is too large to keep in memory.

        Args:
            name: Name of a tensor of at least one dimension.
            numbers: Numbers of the rows, in the order of the result; each may come more than once.

        Returns:
            Shape (len(numbers), ...).

        Raises:
            IndexError: There is no such row.
            CheckpointCorrupt: The file cannot be read.
        """
        dtype, shape, begin, _ = self._entries[name]  # (rows, ...)
        if any(not 0 <= number < shape[0] for number in numbers):
            raise IndexError(f"{name} has {shape[0]} rows")
        size = math.prod(shape[1:]) * dtype.itemsize
        spans = [(begin + number * size, begin + (number + 1) * size) for number in numbers]
        return self._read(spans).view(dtype).view(len(numbers), *shape[1:]).detach()

    def _read(self, spans: Sequence[tuple[int, int]]) -> Tensor:
        """Read these spans of the file, one behind the other, uint8."""
        memory = _memory(sum(end - begin for begin, end in spans))
        rest = memory.numpy().data
        try:
            with self._path.open("rb", buffering=0) as file:
                for begin, end in spans:
                    file.seek(begin)
                    _fill(file, rest[: end - begin])
                    rest = rest[end - begin :]
        except (OSError, EOFError) as error:
            raise unreadable(self._path, error) from error
        return memory


class Tensors(Mapping[str, "Tensor"]):
    """Some of a state's tensors under other names, each read into memory of its own at each access.

    Args:
        state: All tensors.
        prefix: Takes those whose names begin so, by the rest of their names.
        names: Or takes these: name here -> name in the state.

    Attributes:
        shapes: Of every tensor, known without reading it where the state's are.
        paths: The files that the tensors are read from; none where they lie in memory.
    """

    def __init__(self, state: State, prefix: str = "", *, names: Mapping[str, str] | None = None) -> None:
        if names is None:
            names = {name[len(prefix) :]: name for name in state if name.startswith(prefix)}
        shapes = shapes_of(state)
        self._state, self._names = state, dict(names)
        self.paths = paths_of(state)
        self.shapes: dict[str, tuple[int, ...]] = {name: shapes[there] for name, there in names.items()}

    def __getitem__(self, name: str) -> Tensor:
        tensor = self._state[self._names[name]]
        # A tensor of a mapped file would change with the file.
        return tensor if isinstance(self._state, _LAZY) else tensor.clone()

    def __contains__(self, name: object) -> bool:
        return name in self._names  # the mapping's own would read the tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def rows(self, name: str, numbers: Sequence[int]) -> Tensor:
        """Read some rows of a tensor, as `TensorFile.rows`."""
        if isinstance(self._state, _LAZY):
            return self._state.rows(self._names[name], numbers)
        return self._state[self._names[name]][list(numbers)]


_LAZY = (TensorFile, Tensors, Shards)
"""Mappings that read a tensor into memory of its own, and know the shapes before."""


def read_state(path: Path) -> TensorFile | Tensors | Shards:
    """Open the tensors of a ``.safetensors`` file, of a ``.pt`` file that holds nothing else, or of an index's parts.

    Raises:
        CheckpointCorrupt: It cannot be read, or holds anything else.
    """
    if is_index(path):
        return Shards(path, read_state)
    if path.suffix == ".safetensors":
        return TensorFile(path)
    content = read_pickled(path)
    check_named(content, path)
    return Tensors(content)


def check_named(content: Any, path: Path) -> None:
    """Check that a file's content is a table of named tensors.

    Raises:
        CheckpointCorrupt: It is something else.
    """
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    ):
        raise unreadable(path, DocumentError("it holds something else than named tensors"))


def read_pickled(path: Path) -> Any:
    """Read a ``.pt`` file of tensors, numbers, text and containers of them, without running code in it.

    The file is mapped and its tensors lie in it: those that are to outlive it must be copied, as `Tensors` does.

    Raises:
        CheckpointCorrupt: It cannot be read, or holds anything else.
    """
    try:
        content = _unpickled(path)
        _check_nesting(content)
    except Exception as error:  # a damaged pickle makes the unpickler raise whatever its operations can raise
        raise unreadable(path, _plainly(error)) from error
    return content


def _unpickled(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's advice on pickles that it is going to refuse
        try:
            # Mapped, because what a trainer saves is mostly the optimizer's state, which nobody reads here.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the format of old versions of torch cannot be mapped
            return torch.load(path, map_location="cpu", weights_only=True)


def shapes_of(state: State) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor, without reading a file's."""
    if isinstance(state, _LAZY):
        return dict(state.shapes)
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def paths_of(state: State) -> tuple[Path, ...]:
    """Return the files that the tensors are read from; none where they lie in memory."""
    return tuple(getattr(state, "paths", ()))


def rows_of(state: State, name: str) -> Callable[[Sequence[int]], Tensor]:
    """Return a function that reads rows of a matrix, by the state's own ``rows`` or else from the whole tensor."""
    read = getattr(state, "rows", None)
    if read is not None:
        return lambda ids: read(name, ids)
    whole = state[name]
    return lambda ids: whole[torch.tensor(list(ids), dtype=torch.int64, device=whole.device)]


def _plainly(error: Exception) -> Exception:
    """Return the error without torch's advice to load the file with code in it."""
    if isinstance(error, pickle.UnpicklingError):
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            return DocumentError("it holds something else than tensors, numbers, text and containers of them")
        return DocumentError("it is damaged, or no file of torch")
    return error


def _check_nesting(content: Any) -> None:
    """Refuse containers inside each other without end, which whoever walks them would fail at."""
    level: dict[int, Any] = {0: content} if isinstance(content, (dict, list, tuple)) else {}
    for _ in range(DEEPEST):
        # Each once: a pickle may refer to the same container many times, which would double the work with every level.
        level = {
            id(value): value
            for item in level.values()
            for value in (item.values() if isinstance(item, dict) else item)
            if isinstance(value, (dict, list, tuple)) and not isinstance(value, torch.Size)
        }
        if not level:
            return
    raise DocumentError(f"it is nested more than {DEEPEST} levels deep")


def _memory(size: int) -> Tensor:
    """Allocate uint8 (size,); a large one as an anonymous mapping, which is freed to the system with the tensor.

    Blocks of the C library's heap would stay as holes between the packed weights. Measured with 588 MiB of float32
    matrices of 1 to 16 MiB, packed one by one to 294 MiB of bfloat16: the process grew by 293 MiB, and by 322 with
    ``safe_open(backend="pread")``; packed to int8 by way of float32 copies at most by 195 to 619 and by 611 to 675.
    """
    if size < _LARGE:
        return torch.empty(size, dtype=torch.uint8)
    return torch.frombuffer(mmap.mmap(-1, size), dtype=torch.uint8)


def _fill(file: Any, memory: memoryview) -> None:
    while len(memory):
        read = file.readinto(memory)
        if not read:
            raise EOFError("it is cut short")
        memory = memory[read:]
