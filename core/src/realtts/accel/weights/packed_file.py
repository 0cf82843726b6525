"""A safetensors file that is written a tensor at a time, and checked when it is read.

The library writes a file from tensors that are all in memory at once; weights that are packed one after the other never
are. So this writes the same format by itself: room for the header first, the tensors behind it, each at a multiple of
64 bytes (with tensors of zeros in the gaps, which the format does not allow), and the header last. Any program that
reads safetensors can read it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.weights.tensorfile import TensorFile
from realtts.errors import CheckpointCorrupt
from realtts.folders import part_of, sync_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

__all__ = ["PackedFile", "PackedWriter"]

_ALIGNED = 64
"""Bytes of a cache line, and of the widest registers."""

_HEADER = (1 << 20) - 8
"""Room for the header behind its own length: ten thousand tensors."""

_FREE = 512 << 20
"""Room that is left free on the disk."""

_GAP = "gap."
"""Prefix of the tensors between the others."""

_TYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
    torch.bool: "BOOL",
}  # fmt: skip


class PackedWriter:
    """Writes a file beside its name and renames it in the end: readers see the whole of it or nothing.

    Args:
        path: The file.
        most_bytes: More than this is not written.

    Raises:
        OSError: It cannot be written; nothing is left behind.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._path, self._part, self._most = path, part_of(path), most_bytes
        self._header: dict[str, Any] = {}
        self._checksums: dict[str, str] = {}
        self._end = 0  # of the data; its offsets count from behind the header
        self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)
        self._file.seek(8 + _HEADER)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return 8 + _HEADER + self._end

    def add(self, name: str, tensor: Tensor) -> None:
        """Write a tensor.

        Raises:
            OSError: There is no room for it, or the disk fails.
        """
        content = tensor.detach().cpu().contiguous()
        gap = -self._end % _ALIGNED
        if self.size + gap + content.nbytes > self._most:
            raise OSError(errno.EFBIG, "the weights are larger than the bound of the cache")
        if shutil.disk_usage(self._path.parent).free < content.nbytes + _FREE:
            raise OSError(errno.ENOSPC, "the disk is nearly full")
        if gap:
            self._append(f"{_GAP}{self._end}", torch.zeros(gap, dtype=torch.uint8))
        self._append(name, content)
        self._checksums[name] = _checksum(content)

    def finish(self, about: Mapping[str, str]) -> None:
        """Write the header, have all of it on the disk, and give the file its name.

        Args:
            about: What the file says about itself.

        Raises:
            OSError: The disk fails.
        """
        metadata = {**about, "checksums": json.dumps(self._checksums)}
        header = json.dumps({"__metadata__": metadata, **self._header}).encode()
        if len(header) > _HEADER:
            raise OSError(errno.EFBIG, "too many tensors")
        self._file.seek(0)
        _write(self._file, memoryview(_HEADER.to_bytes(8, "little") + header.ljust(_HEADER)))
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)
        sync_folder(self._path.parent)

    def abandon(self) -> None:
        """Remove what was written."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._part.unlink()

    def _append(self, name: str, content: Tensor) -> None:
        raw = content.reshape(-1).view(torch.uint8).numpy()
        _write(self._file, raw.data)
        end = self._end + content.nbytes
        entry = {"dtype": _TYPES[content.dtype], "shape": list(content.shape), "data_offsets": [self._end, end]}
        self._header[name], self._end = entry, end


class PackedFile:
    """A file of `PackedWriter`, opened.

    Args:
        path: The file.
        about: What it must say about itself.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be read.
        ValueError: It is damaged, or says something else about itself.
    """

    def __init__(self, path: Path, about: Mapping[str, str]) -> None:
        path.stat()  # that there is none is no damage
        try:
            self._file = TensorFile(path)
        except CheckpointCorrupt as error:
            raise _fault(error) from error
        metadata = self._file.metadata
        if any(metadata.get(name) != value for name, value in about.items()):
            raise ValueError("it is of other weights or another version")
        self._checksums: dict[str, str] = dict(json.loads(metadata.get("checksums", "{}")))
        if self._checksums.keys() != {name for name in self._file if not name.startswith(_GAP)}:
            raise ValueError("its list of tensors is damaged")
        self._groups: dict[str, list[str]] = {}
        for name in self._checksums:
            self._groups.setdefault(name.partition("/")[0], []).append(name)

    def group(self, name: str) -> dict[str, Tensor]:
        """Read the tensors ``NAME/...``, by the rest of their names, each into memory of its own.

        Raises:
            OSError: They cannot be read.
            ValueError: One is missing or damaged.
        """
        if name not in self._groups:
            raise ValueError(f"{name} is missing in it")
        tensors = {}
        for each in self._groups[name]:
            try:
                tensor = self._file[each]
            except CheckpointCorrupt as error:
                raise _fault(error) from error
            if self._checksums[each] != _checksum(tensor):
                raise ValueError(f"{each} is damaged in it")
            tensors[each.partition("/")[2]] = tensor
        return tensors


def _fault(error: CheckpointCorrupt) -> Exception:
    """Return the error of the system behind one about a file, or else one about its content."""
    cause = error.__cause__
    return cause if isinstance(cause, OSError) else ValueError(str(cause or error))


def _write(file: Any, content: memoryview) -> None:
    while len(content):
        content = content[file.write(content) :]


def _checksum(tensor: Tensor) -> str:
    """Compute a checksum: safetensors has none of its own, and a flipped bit would be heard.

    The sum of the words, which any change of one of them changes, takes as long as memory is read; a hash would take
    longer than reading the file.
    """
    raw = tensor.reshape(-1).view(torch.uint8)
    words = raw[: raw.numel() // 8 * 8].view(torch.int64).sum().item()
    rest = bytes(raw[raw.numel() // 8 * 8 :].tolist()).hex()
    return f"{_TYPES[tensor.dtype]} {list(tensor.shape)} {words} {rest}"
