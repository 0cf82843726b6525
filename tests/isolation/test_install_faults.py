"""What can go wrong while an environment is made: the old one works as before, and nothing half-made stays."""

import os
import signal
import subprocess
import sys

import pytest

from realtts import RealProvider, Settings
from realtts.errors import InstallFailed, MissingExtra
from realtts.isolation import environments
from realtts.isolation.install import InstallRequest, install, installed_environments
from realtts.isolation.install.making import PHASES

pytestmark = pytest.mark.usefixtures("offline")

KILLED = """
import os, signal, sys
from pathlib import Path
from realtts import Settings
from realtts.isolation.install import InstallRequest, install

left = int(sys.argv[4])

def tell(phase, words):
    global left
    left -= phase == sys.argv[3]
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

install(InstallRequest("tone", source=sys.argv[2]), settings=Settings(data_dir=Path(sys.argv[1])), tell=tell)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where wheels and data of this file lie."""
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def settings(folder):
    """One data folder: every fault leaves its environment as it was."""
    return Settings(data_dir=folder / "data")


@pytest.fixture
def old(folder, settings, plugin_wheel):
    """An environment that works."""
    if environments.find("tone", settings) is None:
        (folder / "old").mkdir()
        install(InstallRequest("tone", source=str(plugin_wheel(folder / "old"))), settings=settings)
    return environments.find("tone", settings)


@pytest.fixture(scope="module")
def speaks_at_last(settings):
    """After all the faults it speaks: once, because a worker takes longer to start than most faults."""
    yield
    with RealProvider("tone", settings=settings) as tts:
        assert tts.generate("one").duration == pytest.approx(0.1)


@pytest.fixture
def unchanged(old, settings, speaks_at_last):
    """Afterwards it is still there, alone, with every file it had."""
    before = files_of(old)
    yield
    assert environments.find("tone", settings) == old
    builds = list((environments.folder(settings) / "tone/builds").iterdir())
    assert [old.python.is_relative_to(build) for build in builds] == [True]
    assert files_of(old) == before


def files_of(environment):
    """Names and sizes of all files of an environment but compiled ones."""
    home = environment.python.parents[1]
    return {path: path.stat().st_size for path in home.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize(
    ("phase", "words"),
    [
        pytest.param("stage", 1, marks=pytest.mark.full),
        pytest.param("stage", 2, marks=pytest.mark.full),
        pytest.param("create", 2, marks=pytest.mark.full),
        pytest.param("resolve", 2, marks=pytest.mark.full),
        pytest.param("install", 1, marks=pytest.mark.full),
        pytest.param("install", 2, marks=pytest.mark.full),
        pytest.param("prove", 1, marks=pytest.mark.full),
        ("switch", 1),
    ],
)
def test_killed_in_each_phase(phase, words, old, folder, settings, plugin_wheel):  # noqa: PLR0917 - fixtures
    """The old environment speaks; the next install removes what is left and succeeds.

    With the second word of a phase uv is at work, and lives on.
    """
    source = str(plugin_wheel(folder, "2.0"))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(settings.data_dir), source, phase, str(words)],
        check=False,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL
    assert environments.find("tone", settings) == old
    with RealProvider("tone", settings=settings) as tts:
        assert tts.generate("one two").duration == pytest.approx(0.2)
    if phase == PHASES[-1]:
        environment, made = install(InstallRequest("tone", source=source), settings=settings)
        assert (made, environment.versions["realtts-tone"]) == (True, "2.0")
    else:
        assert install(InstallRequest("tone"), settings=settings) == (old, False)
    assert len(list((environments.folder(settings) / "tone/builds").iterdir())) == 1


@pytest.mark.full  # `test_killed_in_each_phase` has what is left beside an older one
def test_killed_first_install_leaves_nothing(folder, tmp_path, plugin_wheel):
    """There is no environment, and the next install makes it."""
    source = str(plugin_wheel(folder, "2.0"))
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), source, "install", "1"], check=False)
    settings = Settings(data_dir=tmp_path)
    assert done.returncode != 0
    assert environments.find("tone", settings) is None
    assert installed_environments(settings)[0].fault == "it was never finished"
    assert install(InstallRequest("tone", source=source), settings=settings)[1]


@pytest.mark.usefixtures("unchanged")
def test_interrupted(folder, settings, plugin_wheel):
    """Ctrl-C ends it at once; nothing is left."""

    def tell(phase, words):
        if phase == "resolve":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install(InstallRequest("tone", source=str(plugin_wheel(folder, "2.0"))), settings=settings, tell=tell)


BROKEN = {
    "import": ("raise OSError('no GPU')", "no GPU", "prove"),
    "silent": (None, "the audio is silent", "prove"),
    "exits": ("raise SystemExit(3)", "SystemExit", "prove"),
    "crashes": ("import os; os.abort()", "spec cannot be read", "stage"),
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "how", ["import", *(pytest.param(how, marks=pytest.mark.full) for how in ("crashes", "silent", "exits"))]
)
def test_plugin_that_does_not_work(how, folder, settings, plugin_wheel):
    """It is not used; the error has its words."""
    code, words, phase = BROKEN[how]
    more = {"code": code} if code else {"level": 0.0}
    with pytest.raises(InstallFailed, match=words) as caught:
        install(InstallRequest("tone", source=str(plugin_wheel(folder, "3.0", **more))), settings=settings)
    assert caught.value.phase == phase


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (InstallRequest("tone", source="realtts-tone-zz"), "not known to the index.*--from"),
        (InstallRequest("tone", source="./nowhere.whl"), "there is no .*nowhere.whl"),
        (InstallRequest("tone", source="numpy"), "numpy .* has no provider of that name"),
        (InstallRequest("tone", python="3.99", upgrade=True), "there is no such Python"),
        (InstallRequest("tone", python="/bin/sh", upgrade=True), "there is no such Python"),
        (InstallRequest("tone", locked=environments.Path("nowhere.lock")), "nowhere.lock cannot be read"),
    ],
    ids=["unknown", "no file", "no plugin", "no python", "no interpreter", "no lock"],
)
def test_wrong_wishes(wanted, words, settings):
    """Each says what is wrong and what to do."""
    with pytest.raises(InstallFailed, match=words):
        install(wanted, settings=settings)


@pytest.mark.usefixtures("unchanged")
def test_no_network(settings, monkeypatch):
    """An index that cannot be reached."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(InstallFailed, match=r"index cannot be reached.*Connection refused.*--find-links") as caught:
        install(InstallRequest("tone", source="realtts-tone"), settings=settings)
    assert caught.value.output


@pytest.mark.usefixtures("unchanged")
@pytest.mark.skipif(sys.platform == "win32", reason="uv is a shell script here")
@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("error: Failed to write: No space left on device (os error 28)", "the disk is full.*REALTTS_DATA_DIR"),
        ("error: something new", "uv failed with code 2: error: something new"),
        ("", "uv failed with code 2. Fix"),
    ],
    ids=["disk full", "unknown", "silent"],
)
def test_what_uv_says(says, words, settings, tmp_path, monkeypatch):
    """Its words become the error's."""
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 2\n", encoding="utf-8")
    uv.chmod(0o755)
    monkeypatch.setattr("realtts.isolation.install.making.find_uv", lambda: str(uv))
    with pytest.raises(InstallFailed, match=words):
        install(InstallRequest("tone", upgrade=True), settings=settings)


@pytest.mark.usefixtures("unchanged")
def test_no_uv(settings, monkeypatch):
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingExtra, match=r"realtts\[isolation\]"):
        install(InstallRequest("tone", upgrade=True), settings=settings)


@pytest.mark.parametrize("name", ["../tone", "Tone", "", "a b"])
def test_no_name(name, settings):
    """A path is none: nothing outside of the folder can be touched."""
    with pytest.raises(InstallFailed, match="no name of a provider"):
        install(InstallRequest(name), settings=settings)


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may all")
def test_folder_that_cannot_be_written(tmp_path):
    """The variable that names another is given."""
    tmp_path.chmod(0o500)
    with pytest.raises(InstallFailed, match="REALTTS_DATA_DIR"):
        install(InstallRequest("tone"), settings=Settings(data_dir=tmp_path / "data"))
