"""`realtts install` with a stranger's plugin, without an index: what is made, repeated, listed and removed."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from realtts import RealProvider, Settings
from realtts.cli.app import run
from realtts.errors import InstallFailed, IsolationError
from realtts.isolation import environments
from realtts.isolation.install import InstallRequest, install, installed_environments, uninstall

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture
def settings(tmp_path):
    """A data folder of its own."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def links(tmp_path):
    """A folder for the plugin's wheels."""
    folder = tmp_path / "links"
    folder.mkdir()
    return folder


def level(settings):
    """What the environment's plugin speaks, through a worker."""
    with RealProvider("tone", settings=settings) as tts:
        assert tts.get_provider_status()["isolation"] == "isolated"
        return float(tts.generate("one two").samples[0])


def builds(settings):
    """Folders of builds that lie there."""
    return sorted(path.name for path in (environments.folder(settings) / "tone/builds").iterdir())


def test_install_upgrade_lock_uninstall(settings, links, plugin_wheel):
    """A life: installed by name, left alone when it is there, upgraded, taken back by its lock, removed."""
    plugin_wheel(links)
    environment, made = install(InstallRequest("tone", links=(str(links),)), settings=settings)
    assert made
    assert environment.versions["realtts-tone"] == "1.0"
    assert environment.distribution == "realtts-tone"
    assert level(settings) == pytest.approx(0.1)
    first = installed_environments(settings, check=True)[0]
    assert (first.name, first.fault) == ("tone", None)
    assert first.size_bytes > 1 << 20
    lock = first.lockfile.read_text(encoding="utf-8")
    assert "realtts-tone==1.0" in lock
    assert "file:" not in lock
    (links.parent / "old.lock").write_text(lock, encoding="utf-8")

    assert install(InstallRequest("tone"), settings=settings) == (environments.find("tone", settings), False)

    plugin_wheel(links, "2.0", level=0.2)
    upgraded, made = install(InstallRequest("tone", links=(str(links),), upgrade=True), settings=settings)
    assert made
    assert upgraded.versions["realtts-tone"] == "2.0"
    assert len(builds(settings)) == 1

    again, _ = install(InstallRequest("tone", links=(str(links),), locked=links.parent / "old.lock"), settings=settings)
    assert again.versions["realtts-tone"] == "1.0"
    assert level(settings) == pytest.approx(0.1)
    assert installed_environments(settings)[0].lockfile.read_text(encoding="utf-8") == lock

    assert uninstall("tone", settings=settings) > 1 << 20
    assert installed_environments(settings) == []
    assert [path.name for path in environments.folder(settings).iterdir()] == [".tone.lock"]
    with pytest.raises(IsolationError, match="no isolated environment for 'tone'"):
        uninstall("tone", settings=settings)


@pytest.mark.full  # by default: test_install_parts.test_conflicts, and test_requirements
def test_overrides_and_exclusions(settings, links, plugin_wheel):
    """What the spec overrides or excludes is not installed; what an extra asks for is not excluded after all."""
    pins = "Requires-Dist: numpy<1\nRequires-Dist: needless-thing\nProvides-Extra: more\n"
    extra = 'Requires-Dist: Needless.Thing>=1; extra == "more"\n'
    more = "environment=Environment(overrides=('numpy>=1',), exclude=('needless_thing',))"
    wheel = plugin_wheel(links, more=more, metadata=pins + extra)
    environment, _ = install(InstallRequest("tone", source=str(wheel)), settings=settings)
    assert environment.versions["numpy"] == np.__version__
    with pytest.raises(InstallFailed, match="needless-thing") as caught:
        install(InstallRequest("tone", source=str(wheel), extras=("more",)), settings=settings)
    assert caught.value.phase == "resolve"
    assert environments.find("tone", settings) == environment
    with pytest.raises(InstallFailed, match=r"has no extra 'mroe' .did you mean 'more'"):
        install(InstallRequest("tone", source=str(wheel), extras=("mroe",)), settings=settings)


@pytest.mark.full  # `test_install_upgrade_lock_uninstall` has an upgrade by default
def test_upgrade_remembers_where_it_came_from(settings, links, plugin_wheel):
    """The wheel that was named once is taken again."""
    plugin_wheel(links, name="strange_voice")
    install(InstallRequest("tone", source="strange-voice", links=(str(links),)), settings=settings)
    plugin_wheel(links, "1.1", name="strange_voice")
    environment, _ = install(InstallRequest("tone", links=(str(links),), upgrade=True), settings=settings)
    assert environment.versions["strange-voice"] == "1.1"


@pytest.mark.full  # rarely broken alone, and two installs; by default each install takes its lock
def test_two_at_once_wait(settings, links, plugin_wheel):
    """The second is told that it waits, and comes after the first."""
    wheels = [str(plugin_wheel(links, version, level=0.1)) for version in ("1.0", "2.0")]
    begun, waits, outcomes = threading.Event(), threading.Event(), []

    def first(phase, words):
        if phase == "create":
            begun.set()
            assert waits.wait(60)

    def second(phase, words):
        if phase == "wait":
            waits.set()

    def work(wheel, tell):
        environment, _ = install(InstallRequest("tone", source=wheel), settings=settings, tell=tell)
        outcomes.append(environment.versions["realtts-tone"])

    threads = [
        threading.Thread(target=work, args=(wheels[0], first)),
        threading.Thread(target=work, args=(wheels[1], second)),
    ]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert outcomes == ["1.0", "2.0"]
    assert environments.find("tone", settings).versions["realtts-tone"] == "2.0"
    assert len(builds(settings)) == 1


@pytest.mark.full  # by default: test_faults.test_next_worker_runs_in_what_was_installed_meanwhile
def test_build_in_use_stays(settings, links, plugin_wheel):
    """A program that speaks goes on with the old build; it is removed once nobody uses it."""
    wheel = str(plugin_wheel(links))
    install(InstallRequest("tone", source=wheel), settings=settings)
    with RealProvider("tone", settings=settings) as tts:
        tts.load()
        newer = str(plugin_wheel(links, "2.0", level=0.2))
        install(InstallRequest("tone", source=newer), settings=settings)
        assert len(builds(settings)) == 2
        assert tts.generate("one").samples[0] == pytest.approx(0.1)
        tts.unload()
        assert tts.generate("one").samples[0] == pytest.approx(0.2)
        assert tts.get_provider_status()["versions"]["realtts-tone"] == "2.0"
    install(InstallRequest("tone"), settings=settings)
    assert len(builds(settings)) == 1


def test_commands(tmp_path, monkeypatch, capsys, links, plugin_wheel):
    """Install, list, check, remove, on the command line."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))
    plugin_wheel(links)

    def call(*arguments, code=0):
        assert run([str(argument) for argument in arguments]) == code
        return capsys.readouterr()

    assert "'realtts install NAME' makes one" in call("envs").out
    said = call("install", "tone", "--find-links", links, "--check")
    assert said.out.startswith("tone is installed: python 3.")
    assert [line.partition(": ")[2] for line in said.err.splitlines()][-1] == "switching to it"
    assert "already" in call("install", "tone").out
    assert call("envs", "--check").out.splitlines()[1].split()[:2] == ["tone", "1.0"]
    listed = json.loads(call("envs", "--json").out)["environments"][0]
    assert (listed["name"], listed["broken"], Path(listed["lock"]).name) == ("tone", None, "requirements.lock")
    assert "isolated: its plugin is not installed here" in call("providers").out
    made = json.loads(call("install", "tone", "--locked", "--find-links", links, "--json").out)["environments"][0]
    assert made["made"] is True
    assert Path(made["python"]) == environments.find("tone").python
    Path(made["python"]).unlink()
    broken = call("envs", code=1)
    assert "is gone. Fix: realtts install tone --upgrade" in broken.err
    assert "is gone" in call("providers").out
    problems = json.loads(call("doctor", "--json", code=1).out)["problems"]
    assert any("is gone" in one["what"] and one["fix"] == "realtts install tone --upgrade" for one in problems)
    assert "removed 'tone'" in call("uninstall", "tone").out
    assert "--all" in call("install", code=2).err
    assert "one NAME at a time" in call("install", "a", "b", "--from", "x", code=2).err
    assert "to repeat" in call("install", "tone", "--locked", code=2).err
    assert "has no folder of a provider" in call("install", "--all", "--from", tmp_path, code=2).err
