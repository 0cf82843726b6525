"""Tensors of a checkpoint's files, read one at a time.

safetensors' own reader maps the file, and pages of the mapping count as the process's memory until it is closed. Here
every tensor is read into memory of its own and nothing else stays, so that weights which are packed one after the
other never lie in memory twice.
"""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from realtts.errors import CheckpointCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

__all__ = ["State", "TensorFile", "read_pickled", "read_state", "read_vocoder", "shapes_of", "unreadable"]

State = Mapping[str, "Tensor"]

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_MOST_HEADER = 100 << 20

_PREFIX = "ema_model."
_COUNTERS = ("initted", "step", "update")
_MEL = "mel_spec."


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
            missing = max((end for _, _, _, end in self._entries.values()), default=0) + self._begin
            if path.stat().st_size < missing:
                raise ValueError("it is cut short")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise unreadable(path, error) from error
        self.shapes = {name: shape for name, (_, shape, _, _) in self._entries.items()}

    def __getitem__(self, name: str) -> Tensor:
        dtype, shape, begin, end = self._entries[name]
        memory = torch.empty(end - begin, dtype=torch.uint8)
        try:
            with self._path.open("rb", buffering=0) as file:
                file.seek(self._begin + begin)
                _fill(file, memory.numpy().data)
        except (OSError, EOFError) as error:
            raise unreadable(self._path, error) from error
        return memory.view(dtype).view(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class _Part(Mapping[str, "Tensor"]):
    """Some of a state's tensors under other names, each in memory of its own when it is asked for.

    Args:
        state: The whole.
        names: Name here -> name there.

    Attributes:
        shapes: Of every tensor.
    """

    def __init__(self, state: State, names: Mapping[str, str]) -> None:
        self._state, self._names = state, names
        shapes = state.shapes if isinstance(state, TensorFile) else None
        self.shapes = {
            name: tuple(state[there].shape) if shapes is None else shapes[there] for name, there in names.items()
        }

    def __getitem__(self, name: str) -> Tensor:
        tensor = self._state[self._names[name]]
        # A tensor of a mapped file would change with the file.
        return tensor if isinstance(self._state, TensorFile) else tensor.clone()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def read_state(path: Path) -> State:
    """The network's tensors of a checkpoint of upstream's training, by upstream's names below ``ema_model.``.

    What upstream drops is dropped: counters of the training, and the mel spectrogram's filters in old files.

    Args:
        path: ``.safetensors``, or ``.pt`` as upstream's trainer saves it, of which the averaged weights are taken, or
            the last ones if it has no others.

    Raises:
        CheckpointCorrupt: It cannot be read.
    """
    state: State
    if path.suffix == ".safetensors":
        state = TensorFile(path)
    else:
        content = read_pickled(path)
        for key in ("ema_model_state_dict", "model_state_dict"):
            if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
                content = content[key]
        state = _tensors(content, path)
    names = {name.removeprefix(_PREFIX): name for name in state}
    wanted = {name: there for name, there in names.items() if name not in _COUNTERS and not name.startswith(_MEL)}
    return _Part(state, wanted)


def read_vocoder(path: Path) -> State:
    """The tensors of Vocos.

    Raises:
        CheckpointCorrupt: It cannot be read.
    """
    if path.suffix == ".safetensors":
        return TensorFile(path)
    state = _tensors(read_pickled(path), path)
    return _Part(state, {name: name for name in state})


def _tensors(content: Any, path: Path) -> State:
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise unreadable(path, TypeError("it holds something else than named tensors"))
    return content


def read_pickled(path: Path) -> Any:
    """What a ``.pt`` file holds: tensors, numbers, text and containers of them; code in it is not run.

    Raises:
        CheckpointCorrupt: It cannot be read, or holds anything else.
    """
    try:
        try:
            # Mapped, because what upstream's trainer saves is mostly the optimizer's state, which nobody reads here.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the format of old versions of torch cannot be mapped
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise unreadable(path, error) from error


def shapes_of(state: State) -> dict[str, tuple[int, ...]]:
    """Of every tensor, without reading what need not be read."""
    if isinstance(state, (TensorFile, _Part)):
        return dict(state.shapes)
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def unreadable(path: Path, error: Exception) -> CheckpointCorrupt:
    """The error for a file that cannot be read."""
    what = (
        f"it cannot be read: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
    )
    return CheckpointCorrupt(what, who=f"file {path.name!r}", fix="remove the file and fetch it again")


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
