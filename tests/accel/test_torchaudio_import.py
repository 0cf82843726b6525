"""torchaudio whose compiled part does not fit the installed torch; a package of the same build stands in for it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_INIT = """
import importlib.util
from torchaudio import early
from torchaudio._extension import HAS_LIBRARY
"""
_EXTENSION = """
import importlib.util
def _has():
    try:
        return importlib.util.find_spec("torchaudio.lib._torchaudio") is not None
    except ValueError:  # None in sys.modules
        return False
HAS_LIBRARY = _has()
if HAS_LIBRARY:
    raise OSError("Could not load this library")
"""


_LATER = """
def _load_lib(name):
    raise OSError("Could not load this library")
_load_lib("_torchaudio")
"""
_LATER_INIT = """
from . import _extension
from torchaudio._extension import _IS_TORCHAUDIO_EXT_AVAILABLE as HAS_LIBRARY, fail_if_no_align
@fail_if_no_align
def aligned():
    return 1
"""


def _package(folder: Path, extension: str) -> Path:
    for name, content in {
        "__init__.py": _INIT, "early.py": "", "_extension.py": extension, "lib/__init__.py": "",
        "lib/_torchaudio.py": "",
    }.items():  # fmt: skip
        path = folder / "torchaudio" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def _run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    start = f"import sys; sys.path.insert(0, {str(folder)!r})\nfrom realtts.accel.upstream.torchaudio_import import *\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=False)


def test_a_library_that_does_not_fit_is_done_without(tmp_path: Path) -> None:
    """After the call everybody who imports torchaudio gets it, as plain Python."""
    code = "found = usable_torchaudio()\nimport torchaudio\nassert torchaudio is found and not torchaudio.HAS_LIBRARY"
    done = _run(_package(tmp_path, _EXTENSION), code)
    assert done.returncode == 0, done.stderr


def test_a_later_torchaudio_is_done_without_its_library_too(tmp_path: Path) -> None:
    """Since 2.9 it loads the library without asking; what needs it fails when it is called."""
    (_package(tmp_path, _LATER) / "torchaudio" / "__init__.py").write_text(_LATER_INIT, encoding="utf-8")
    code = (
        "found = usable_torchaudio()\nassert not found.HAS_LIBRARY\n"
        "try:\n    found.aligned()\nexcept RuntimeError as error:\n    print(error)"
    )
    done = _run(tmp_path, code)
    assert done.returncode == 0, done.stderr
    assert "does not fit" in done.stdout


def test_a_failed_import_before_does_no_harm(tmp_path: Path) -> None:
    """Modules that an earlier, failed import left half-made are not reused."""
    code = "try:\n    import torchaudio\nexcept OSError:\n    pass\nassert not usable_torchaudio().HAS_LIBRARY"
    done = _run(_package(tmp_path, _EXTENSION), code)
    assert done.returncode == 0, done.stderr


def test_a_library_that_fits_is_kept(tmp_path: Path) -> None:
    """Nothing is switched off where the import succeeds."""
    code = "assert usable_torchaudio().HAS_LIBRARY"
    done = _run(_package(tmp_path, "HAS_LIBRARY = True"), code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("extension", "told"), [("raise OSError('broken')", "OSError: broken"), (None, "torchaudio: it is not installed")]
)
def test_what_cannot_be_mended_is_told(tmp_path: Path, extension: str | None, told: str) -> None:
    """A torchaudio that fails as plain Python too, or is missing, is a typed error that says how to mend it."""
    if extension is not None:
        _package(tmp_path, extension)
    code = (
        f"if {extension is None}:\n    sys.modules['torchaudio'] = None\n"
        "try:\n    usable_torchaudio()\n"
        "except Exception as error:\n"
        f"    assert type(error).__name__ == 'MissingExtra' and {told!r} in str(error), error"
    )
    done = _run(tmp_path, code)
    assert done.returncode == 0, done.stderr
