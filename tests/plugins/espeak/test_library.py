"""What happens when the library or its data are not where or what they should be."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import espeakng_loader
import pytest

from realtts.errors import BrokenProvider
from realtts_espeak import binding, library

DATA = Path(espeakng_loader.get_data_path())
LIBRARY = espeakng_loader.get_library_path()


@pytest.fixture
def unfound(monkeypatch):
    """Let the files be looked for again, and forget them after."""
    monkeypatch.setattr(library, "_found", None)
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: LIBRARY)
    return monkeypatch


def test_event_layout() -> None:
    """As the C compiler lays it out: the union of 8 bytes behind a pointer."""
    pointer = ctypes.sizeof(ctypes.c_void_p)
    assert binding.Event.user_data.offset == 24
    assert binding.Event.id.offset == 24 + pointer
    assert ctypes.sizeof(binding.Event) == 32 + pointer


def test_other_users_keep_their_instance(say) -> None:
    """A package that loaded the same wheel's library keeps its parameters."""
    theirs = ctypes.CDLL(LIBRARY)
    theirs.espeak_Initialize(2, 0, str(DATA).encode(), 0x8000)
    theirs.espeak_SetParameter(binding.RATE, 321, 0)
    say("Hello.")
    assert theirs.espeak_GetParameter(binding.RATE, 1) == 321


def test_missing_library(unfound, tmp_path) -> None:
    """Named, with the fix."""
    unfound.setattr(espeakng_loader, "get_library_path", lambda: str(tmp_path / "none.so"))
    with pytest.raises(BrokenProvider, match=r"missing.*none.so.*reinstall"), library.fresh_library():
        pass


def test_not_a_library(unfound, tmp_path) -> None:
    """A broken file, in all places where it is tried."""
    path = tmp_path / "libespeak-ng.so"
    path.write_bytes(b"not a library")
    unfound.setattr(espeakng_loader, "get_library_path", lambda: str(path))
    with pytest.raises(BrokenProvider, match="cannot be loaded"), library.fresh_library():
        pass


def test_incomplete_data(unfound, tmp_path, capfd) -> None:
    """Found before espeak finds it, which would print."""
    unfound.setattr(espeakng_loader, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(BrokenProvider, match="phontab"), library.fresh_library():
        pass
    assert capfd.readouterr() == ("", "")


def test_wrong_data(unfound, tmp_path) -> None:
    """Files of another version: the library says no, and we say so."""
    data = tmp_path / "espeak-ng-data"
    data.mkdir()
    for name in ("phontab", "phonindex", "phondata", "intonations"):
        (data / name).write_bytes(b"\0" * 64)
    unfound.setattr(espeakng_loader, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(BrokenProvider, match="does not start"), library.fresh_library():
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_long_path(unfound, tmp_path, say) -> None:
    """Espeak's buffer has 160 bytes; a short link leads to longer paths."""
    folder = tmp_path.joinpath(*["a" * 50] * 5)
    folder.mkdir(parents=True)
    (folder / "espeak-ng-data").symlink_to(DATA)
    unfound.setattr(espeakng_loader, "__file__", str(folder / "__init__.py"))
    assert say("Hello.").duration > 0.2


def test_long_path_without_links(unfound, tmp_path) -> None:
    """Where no link can be made, it says what to do."""
    folder = tmp_path.joinpath(*["a" * 50] * 5)
    shutil.copytree(DATA, folder / "espeak-ng-data", ignore=shutil.ignore_patterns("*_dict", "lang", "voices"))
    unfound.setattr(espeakng_loader, "__file__", str(folder / "__init__.py"))

    def refuse(*_arguments: object, **_keywords: object) -> None:
        raise OSError("no links here")

    unfound.setattr(Path, "symlink_to", refuse)
    with pytest.raises(BrokenProvider, match=r"too long.*no links here"), library.fresh_library():
        pass


def test_without_memory_files(unfound, say, monkeypatch) -> None:
    """Where the private copy cannot live in memory, a temporary file serves."""
    monkeypatch.setattr(library._Files, "_in_memory", lambda self, path: None)
    first = say("Hello.").samples
    assert "realtts-espeak-" in library._files().library
    assert (say("Hello.").samples == first).all()


def test_without_any_copy(unfound, say, monkeypatch) -> None:
    """The last resort is the wheel's own file."""
    monkeypatch.setattr(library._Files, "_in_memory", lambda self, path: None)
    monkeypatch.setattr(library._Files, "_in_folder", lambda self, path: None)
    assert say("Hello.").duration > 0.2
    assert library._files().library == LIBRARY


def test_temporary_files_go(tmp_path) -> None:
    """At the end of the process."""
    code = (
        "from realtts_espeak import library; library._Files._in_memory = lambda self, path: None\n"
        "with library.fresh_library(): pass\n"
        "print(library._files()._folder)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip()
    assert not Path(done.stdout.strip()).exists()
