"""The header of a safetensors file: where each tensor lies in it."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from realtts.documents import parse_json

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TensorPlace", "read_header"]

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


_MOST_BYTES = 100 << 20
"""Largest header, as in the library of the format."""

_LARGEST = 2**63 - 1


class TensorPlace(NamedTuple):
    """A tensor's type and shape, and the bytes of the file that it takes."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(path: Path) -> tuple[dict[str, TensorPlace], dict[str, str]]:
    """Read where each tensor lies in the file, and its metadata.

    What safetensors checks is checked here, because its older versions let some faults pass: the tensors fill the rest
    of the file without gaps, none lies over another, and each has as many bytes as its shape says.
    """
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        begin = 8 + int.from_bytes(file.read(8), "little")  # of the data; the offsets count from there
        if begin > length:
            raise ValueError("its header is cut short")
        if begin > _MOST_BYTES:
            raise ValueError(f"its header has over {_MOST_BYTES >> 20} MiB")
        header = parse_json(file.read(begin - 8))
    metadata = header.pop("__metadata__", {})
    if not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata are no texts")
    entries, end = {}, begin
    for name, about in sorted(header.items(), key=lambda item: tuple(item[1]["data_offsets"])):
        entry = _place(name, about, begin)
        if entry.begin != end:
            raise ValueError(f"{name:.80} does not begin where the tensor before it ends")
        entries[name], end = entry, entry.end
    if end != length:
        raise ValueError(f"its tensors end at byte {end} of {length}")
    return entries, metadata


def _place(name: str, about: Any, begin: int) -> TensorPlace:
    dtype, shape, offsets = about["dtype"], about["shape"], about["data_offsets"]
    if dtype not in _DTYPES:
        raise ValueError(f"the type of {name:.80} is {dtype!r:.20}, which is not supported")
    if len(offsets) != 2 or not all(type(number) is int and 0 <= number <= _LARGEST for number in (*shape, *offsets)):
        raise ValueError(f"shape or place of {name:.80} are no whole numbers")
    if offsets[1] - offsets[0] != math.prod(shape) * _DTYPES[dtype].itemsize:
        raise ValueError(f"{name:.80} has not as many bytes as its shape says")
    return TensorPlace(_DTYPES[dtype], tuple(shape), begin + offsets[0], begin + offsets[1])
