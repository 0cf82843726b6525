"""Hashes of locks, builds of torch from a folder, and the health of what was installed."""

import json
import re

import pytest

from realtts import Settings
from realtts.cli.app import run
from realtts.errors import InstallFailed
from realtts.isolation import environments
from realtts.isolation.install import InstallRequest, install, installed_environments
from realtts.isolation.install.requirements import read_lock

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_wheel):
    """Wheels of a plugin, of what it requires, and of torch in two builds."""
    links = tmp_path_factory.mktemp("links")
    make_wheel(links, "small_thing", "1.0", {"small_thing.py": "x = 1\n"})
    for version in ("2.9.0+cpu", "2.9.1+cu128", "2.8.0+cpu"):
        make_wheel(links, "torch", version, {"torch.py": f"__version__ = {version!r}\n"})
    return links


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A data folder that the tests share: an install takes seconds."""
    return Settings(data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture
def made(folder, settings, plugin_wheel):
    """A plugin's environment with the build of torch for CPUs."""
    if environments.find("tone", settings) is None:
        plugin_wheel(folder, metadata="Requires-Dist: small-thing\nRequires-Dist: torch\n")
        install(InstallRequest("tone", torch="cpu", links=(str(folder),)), settings=settings)
    return environments.find("tone", settings)


@pytest.fixture
def lock(made, settings):
    """Its lock."""
    return installed_environments(settings)[0].lockfile


def test_every_file_has_a_hash(lock):
    """But the core, which is packed anew wherever the lock is used."""
    pins = read_lock(lock.read_text(encoding="utf-8"))
    assert {pin.name for pin in pins if not pin.hashes} == {"realtts"}
    assert len(pins) > 5


def test_torch_of_the_build_that_was_asked_for(made):
    """The folder's newest for CPUs; the index of torch is not asked, nor any other."""
    assert made.versions["torch"] == "2.9.0+cpu"


@pytest.mark.full
@pytest.mark.parametrize(("build", "version"), [("cuda", "2.9.1+cu128"), ("auto", "2.9."), (None, "2.9.1+cu128")])
def test_other_builds(build, version, folder, tmp_path, made):
    """By name, by the driver, or the newest that lies there."""
    other = Settings(data_dir=tmp_path)
    environment, _ = install(InstallRequest("tone", torch=build, links=(str(folder),)), settings=other)
    assert environment.versions["torch"].startswith(version)


@pytest.mark.full  # by default: test_install_faults.test_no_network
def test_a_folder_is_enough_without_an_index(folder, tmp_path, made, monkeypatch):
    """An index that does not answer is given up for the folders, and the build of torch is still found."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    told = []
    request = InstallRequest("tone", torch="cpu", links=(str(folder),))
    environment, _ = install(request, settings=Settings(data_dir=tmp_path), tell=lambda *words: told.append(words))
    assert environment.versions["torch"] == "2.9.0+cpu"
    assert any("looking into the folders" in words for _, words in told)


@pytest.mark.parametrize(
    "name", ["realtts-tone", *(pytest.param(name, marks=pytest.mark.full) for name in ("small-thing", "torch"))],
)  # fmt: skip
def test_another_file_of_the_same_name(name, lock, folder, tmp_path, settings):
    """A wheel that was changed is refused, also the plugin's own, of which then nothing was imported."""
    made = environments.find("tone", settings)
    text = lock.read_text(encoding="utf-8")
    begin = text.index(f"{name}==")
    changed = re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, text[begin:], count=1)
    wrong = tmp_path / "wrong.lock"
    wrong.write_text(text[:begin] + changed, encoding="utf-8")
    with pytest.raises(InstallFailed, match="its hash differs") as caught:
        install(InstallRequest("tone", links=(str(folder),), locked=wrong), settings=settings)
    assert caught.value.phase == ("stage" if name == "realtts-tone" else "install")
    assert environments.find("tone", settings) == made


@pytest.fixture
def doctor(settings, monkeypatch, capsys):
    """What the doctor says of the environment, and the commands that mend it."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(settings.data_dir))

    def doctor():
        run(["doctor", "--json"])
        report = json.loads(capsys.readouterr().out)
        tone = next(provider for provider in report["providers"] if provider["name"] == "tone")
        return tone, [problem for problem in report["problems"] if "'tone'" in problem["what"]]

    return doctor


def test_doctor_of_a_whole_environment(doctor, made, capsys, settings):
    """Whole, running and current; and the same in words."""
    tone, problems = doctor()
    state = tone["environment"]
    assert (state["whole"], state["runs"], state["current"], problems) == (None, None, None, [])
    assert state["say"] == "a worker in this environment speaks"
    run(["doctor"])
    out = " ".join(capsys.readouterr().out.split())
    assert "tone ok (realtts-tone 1.0), isolated" in out
    assert "whole: yes runs: yes current: yes" in out


def packages(environment):
    """The folder of an environment's packages."""
    return next(environment.python.parents[1].rglob("site-packages"))


@pytest.fixture
def damage(made):
    """Change a file of the environment; it is put back afterwards."""
    before = {}

    def damage(name, content):
        path = packages(made) / name
        before[path] = path.read_bytes() if path.exists() else None
        path.unlink(missing_ok=True)  # it may share its content with uv's cache
        if content is not None:
            path.write_text(content, encoding="utf-8")

    yield damage
    for path, content in before.items():
        path.unlink(missing_ok=True)
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "key", "words"),
    [
        pytest.param("small_thing.py", None, "whole", "small_thing.py (gone)", marks=pytest.mark.full),
        ("small_thing.py", "x = 2\n", "whole", "small_thing.py (changed)"),
        pytest.param("small_thing.py", "x = 22\n", "whole", "7 bytes instead of 6", marks=pytest.mark.full),
        ("realtts_tone.py", "raise OSError('no GPU')\n", "runs", "no GPU"),
        pytest.param("realtts/wire/child.py", None, "runs", "No module named", marks=pytest.mark.full),
    ],
    ids=["gone", "changed", "longer", "does not import", "no core"],
)
def test_doctor_of_a_damaged_one(name, content, key, words, damage, doctor):  # noqa: PLR0917 - a table
    """What is wrong, what `say` would do, and the command that mends it."""
    damage(name, content)
    tone, problems = doctor()
    assert words in tone["environment"][key]
    assert "realtts install tone --upgrade" in tone["environment"]["say"]
    assert [problem["fix"] for problem in problems] == ["realtts install tone --upgrade"]


def test_doctor_of_one_that_cannot_be_read(doctor, made, settings):
    """Its description is not JSON, and its interpreter cannot be found."""
    file = environments.folder(settings) / "tone" / environments.FILE
    before = file.read_bytes()
    try:
        file.write_text("{", encoding="utf-8")
        tone, problems = doctor()
        assert "cannot be read" in tone["broken"]
        file.write_bytes(before.replace(b"/bin/python", b"/bin/nopython"))
        tone, problems = doctor()
        assert "is gone" in tone["broken"]
        assert problems[0]["fix"] == "realtts install tone --upgrade"
    finally:
        file.write_bytes(before)


def test_doctor_of_one_behind_its_lock(doctor, lock):
    """Versions that are not those of the lock are named; it still runs."""
    before = lock.read_text(encoding="utf-8")
    try:
        lock.write_text(before.replace("small-thing==1.0", "small-thing==1.5"), encoding="utf-8")
        tone, problems = doctor()
        assert tone["environment"]["current"] == "small-thing is 1.0, its lock says 1.5"
        assert problems == []
    finally:
        lock.write_text(before, encoding="utf-8")
