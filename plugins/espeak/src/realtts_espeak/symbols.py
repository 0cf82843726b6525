"""Addresses of what a shared library does not export, from the symbol table of its file.

The wheels for Linux (ELF) and macOS (Mach-O) keep that table; the one for Windows has none.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["addresses"]

_ELF64 = b"\x7fELF\x02\x01"  # 64 bits, little-endian, as all of the following
_MACH_O64 = b"\xcf\xfa\xed\xfe"
_SHT_SYMTAB = 2
_LC_SYMTAB = 2

_STATIC = re.compile(rb"^\w+\.(?=[A-Za-z_])|\.\d+$")

_Symbol = tuple[int, int]
"""Where its name stands in the file, and its address relative to the same base for all symbols."""


def addresses(image: bytes, names: Collection[str]) -> dict[str, int]:
    """Look symbols up in a library of 64 bits.

    Args:
        image: The file.
        names: Symbols as C spells them. Static variables of functions ("x.5608", "function.x") are found as "x".

    Returns:
        Addresses as linked; only their differences mean something. Names that stand for none or several are left out.
    """
    candidates: dict[str, set[int]] = {name: set() for name in names}
    try:
        for position, address in _symbols(image):
            name = _STATIC.sub(b"", image[position : image.index(0, position)]).decode("ascii", "replace")
            if name in candidates and address:
                candidates[name].add(address)
    except (struct.error, ValueError, OverflowError):  # not what it says it is
        return {}
    return {name: min(places) for name, places in candidates.items() if len(places) == 1}


def _symbols(image: bytes) -> Iterator[_Symbol]:
    if image.startswith(_ELF64):
        return _elf(image)
    if image.startswith(_MACH_O64):
        return _mach_o(image)
    return iter(())


def _elf(image: bytes) -> Iterator[_Symbol]:
    (table,) = struct.unpack_from("<Q", image, 0x28)
    entry, count = struct.unpack_from("<HH", image, 0x3A)
    for section in range(table, table + entry * count, entry):
        _, kind, _, _, start, size, link = struct.unpack_from("<IIQQQQI", image, section)
        if kind == _SHT_SYMTAB:
            (texts,) = struct.unpack_from("<Q", image, table + entry * link + 0x18)
            for symbol in range(start, start + size, 24):
                name, _, _, _, address = struct.unpack_from("<IBBHQ", image, symbol)
                yield texts + name, address


def _mach_o(image: bytes) -> Iterator[_Symbol]:
    (commands,) = struct.unpack_from("<I", image, 16)
    command = 32
    for _ in range(commands):
        kind, size = struct.unpack_from("<II", image, command)
        if kind == _LC_SYMTAB:
            start, count, texts, _ = struct.unpack_from("<IIII", image, command + 8)
            for symbol in range(start, start + count * 16, 16):
                name, _, _, _, address = struct.unpack_from("<IBBHQ", image, symbol)
                yield texts + name + 1, address  # without the underscore in front of every name
        command += size
