"""Packages of models: imported under one lock, silently, with stand-ins that nobody else sees."""

from __future__ import annotations

import importlib
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from realtts.accel.upstream import packages
from realtts.accel.upstream.packages import Package, stand_ins
from realtts.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FIX = "install it"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Writes modules that can be imported; they are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(**modules: str) -> None:
        for name, content in modules.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
        importlib.invalidate_caches()

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_no_import_sees_anothers_stand_in(write: Callable[..., None]) -> None:
    """One package leaves out what the other needs; while the one is imported, the other waits in its thread."""
    wanted = "import packages_shared\nfound = packages_shared.__dict__.get('real')\n"
    # The first gives the second the time in which it would go wrong, and more only if it does.
    wait = "import packages_meeting\npackages_meeting.inside.set()\npackages_meeting.over.wait(0.3)\n"
    write(
        packages_shared="real = True",
        packages_meeting="import threading\ninside, over = threading.Event(), threading.Event()",
        packages_without=wait + wanted,
        packages_with=wanted,
    )
    meeting = importlib.import_module("packages_meeting")
    without = Package("a", FIX, around=partial(stand_ins, {"packages_shared": {}}))
    first = threading.Thread(target=without.module, args=("packages_without",))
    first.start()
    assert meeting.inside.wait(30)
    assert Package("b", FIX).module("packages_with").found is True
    meeting.over.set()
    first.join(30)
    assert without.module("packages_without").found is None


def test_stand_ins_go_when_the_import_is_done(write: Callable[..., None]) -> None:
    """Also when it fails; what was imported before is never replaced."""
    write(packages_there="real = 1", packages_left="real = 2")
    there = importlib.import_module("packages_there")
    content = {"packages_there": {}, "packages_left": {"asked": None}}
    with stand_ins(content):
        assert sys.modules["packages_there"] is there
        assert vars(sys.modules["packages_left"])["asked"] is None
    with pytest.raises(ValueError, match="inside"), stand_ins(content):
        raise ValueError("inside")
    assert importlib.import_module("packages_left").real == 2


def test_parts_stand_in_only_beside_their_package(write: Callable[..., None]) -> None:
    """A package that was imported before may not have imported its parts yet."""
    write(packages_whole__part="real = 1")
    importlib.import_module("packages_whole")
    with stand_ins({"packages_whole": {}, "packages_whole.part": {}}):
        assert importlib.import_module("packages_whole.part").real == 1


def test_imports_are_silent(write: Callable[..., None]) -> None:
    """Whatever a package warns of while it is imported."""
    noise = "import warnings\nwarnings.warn('no ffmpeg', RuntimeWarning)"
    write(packages_noisy=noise)
    assert Package("a", FIX).module("packages_noisy") is sys.modules["packages_noisy"]


def test_what_is_missing_is_told_with_the_plugin_and_the_advice(write: Callable[..., None]) -> None:
    """The module that is not there is named, not only the one that wanted it."""
    write(packages_needs="import packages_nowhere", packages_broken="raise OSError('no library')")
    with pytest.raises(MissingExtra, match="packages_nowhere cannot be imported") as caught:
        Package("a", FIX).module("packages_needs")
    assert (caught.value.who, caught.value.fix) == ("a", FIX)
    with pytest.raises(MissingExtra, match="packages_broken cannot be imported: no library") as caught:
        Package("a", {"packages_broken": "mend it", "packages_needs": FIX}).module("packages_broken")
    assert caught.value.fix == "mend it"


def test_a_torchaudio_that_is_broken_is_told_by_its_own_advice(
    write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the import fails; a module that does not want it is imported."""
    write(
        packages_plain="",
        packages_wants="raise RuntimeError('half of torchaudio')",
        packages_lacks="import nowhere_at_all",
    )

    def unusable(cause: Exception) -> Callable[[], None]:
        def raising() -> None:
            raise MissingExtra("it does not fit", who="torchaudio", fix="install another torchaudio") from cause

        return raising

    package = Package("a", FIX, torchaudio=True)
    monkeypatch.setattr(packages, "usable_torchaudio", unusable(AttributeError("half")))
    assert package.module("packages_plain")
    with pytest.raises(MissingExtra, match="install another torchaudio"):
        package.module("packages_wants")
    monkeypatch.setattr(packages, "usable_torchaudio", unusable(ModuleNotFoundError("none")))
    with pytest.raises(MissingExtra, match="nowhere_at_all cannot be imported"):
        package.module("packages_lacks")


def test_a_package_that_does_not_fit_is_not_imported(write: Callable[..., None]) -> None:
    """The reason is told; what has been imported nevertheless can be had."""
    write(packages_old="")
    old = Package("a", FIX, why_not=lambda: "it is too old")
    with pytest.raises(MissingExtra, match="it is too old"):
        old.module("packages_old")
    assert "packages_old" not in sys.modules
    assert old.module("sys") is sys
