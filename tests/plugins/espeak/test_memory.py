"""Memory stays level, whatever dictionaries a sentence makes espeak load."""

from __future__ import annotations

import ctypes
import gc
import struct
import sys
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

from realtts_espeak import library
from realtts_espeak.symbols import addresses

MIXED = [
    ("ru", "Привет iPhone."),
    ("cmn", "你好 Hello."),
    ("de", "Das Meeting, Привет."),
    ("en-us", "Hello Привет 你好 안녕."),
    ("ko", "안녕 Hello α."),
]
NAMES = ("DeleteTranslator", "espeak_Terminate", "translator2", "translator3", "voices")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the library has no symbol table there")


def _resident() -> int:
    psutil = pytest.importorskip("psutil")
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return int(psutil.Process().memory_info().rss)


def test_dictionaries_are_freed(say) -> None:
    """60 sentences grow by less than 2 MB; a dictionary of each would make it 10."""
    for round_ in range(120):
        voice, text = MIXED[round_ % len(MIXED)]
        say(text, voice=voice)
        if round_ == 59:
            before = _resident()
    assert _resident() - before < 2e6


@pytest.mark.full  # `test_dictionaries_are_freed` has the large ones by default
@pytest.mark.parametrize(
    ("texts", "ssml"),
    [
        pytest.param([("en-us", "Hello there.")], False, id="one dictionary"),
        pytest.param(MIXED, False, id="several"),
        pytest.param(MIXED, True, id="ssml"),
    ],
)
def test_memory_is_level(say, texts: list[tuple[str, str]], ssml: bool) -> None:
    """400 sentences grow by less than 0.6 MB; a lost list of 2 KB each would make it 0.8, a dictionary 70."""
    for round_ in range(700):
        voice, text = texts[round_ % len(texts)]
        say(text, voice=voice, ssml=ssml)
        if round_ == 299:
            before = _resident()
    assert _resident() - before < 0.6e6


def test_memory_is_level_after_cancelling(say) -> None:
    """An aborted sentence keeps nothing either."""
    for round_ in range(250):
        voice, text = MIXED[round_ % len(MIXED)]
        asked = iter([False, True])
        assert list(say.stream(text * 4, voice=voice, cancelled=lambda asked=asked: next(asked, True))) == []
        if round_ == 99:
            before = _resident()
    assert _resident() - before < 1.5e6


@pytest.mark.parametrize(("voice", "text"), MIXED, ids=[voice for voice, _ in MIXED])
def test_mixed_scripts_repeat(say, voice: str, text: str) -> None:
    """Bit-equal, whatever second language was spoken in between."""
    first = say(text, voice=voice).samples
    say("Γεια Hello.", voice="el")
    say("שלום Hello.", voice="he", ssml=True)
    assert np.array_equal(say(text, voice=voice).samples, first)


def test_symbols_are_found() -> None:
    """In the wheel's library; without them the memory could not be freed."""
    image = Path(espeakng_loader.get_library_path()).read_bytes()
    found = addresses(image, NAMES)
    assert set(found) == set(NAMES)
    assert library._files().linked == found


def _mach_o(symbols: list[tuple[str, int]]) -> bytes:
    """The smallest file with a symbol table."""
    names, entries = b"\0", b""
    for name, address in symbols:
        entries += struct.pack("<IBBHQ", len(names), 0x0F, 1, 0, address)
        names += b"_" + name.encode() + b"\0"
    start = 32 + 16 + 24
    table = struct.pack("<IIIIII", 2, 24, start, len(symbols), start + len(entries), len(names))
    header = struct.pack("<IIIIIIII", 0xFEEDFACF, 0, 0, 6, 2, 40, 0, 0) + struct.pack("<IIQ", 0x1B, 16, 0)
    return header + table + entries + names


def test_symbols_of_macos() -> None:
    """Mach-O, whose names begin with an underscore; static variables carry the function's name or a number."""
    image = _mach_o([("other", 1), ("a", 16), ("function.b", 32), ("c.5608", 48), ("d.cold.1", 64)])
    assert addresses(image, ("a", "b", "c", "d")) == {"a": 16, "b": 32, "c": 48}


@pytest.mark.parametrize(
    "image",
    [
        b"",
        b"MZ and so on",
        b"\x7fELF\x02\x01",
        b"\x7fELF\x02\x01" + b"\xff" * 200,
        _mach_o([("b", 16)]),
        _mach_o([("a", 16), ("a", 48)]),
        _mach_o([("b", 16), ("a", 32)])[:-3],
    ],
    ids=["empty", "windows", "cut", "nonsense", "other", "ambiguous", "short"],
)
def test_no_symbols(image: bytes) -> None:
    """Whatever is not certain is not used."""
    assert addresses(image, ("a",)) == {}
