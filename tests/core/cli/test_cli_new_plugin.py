"""``realtts new-plugin``: the template works as it is."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest


@pytest.fixture
def project(cli, work):
    """A plugin from the template, with a dash in its name."""
    result = cli("new-plugin", "my-hum", "--author", 'Ada "the" L\u00f6we')
    assert result.code == 0, result.err
    return work / "realtts-my-hum"


@pytest.fixture(params=["", "--onnx"], ids=["plain", "onnx"])
def any_project(request, cli, work):
    """One of each kind."""
    assert cli("new-plugin", "my-hum", *filter(None, [request.param])).code == 0
    return work / "realtts-my-hum"


def run_module(project, *command):
    """A tool in a process of its own, with the project as if it were installed."""
    paths = [str(project / "src"), os.environ["PYTHONPATH"]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=project, env=environment, capture_output=True, text=True, check=False
    )


def test_prints_the_next_commands(cli, work):
    """What to do next, ready to be pasted."""
    out = cli("new-plugin", "hum", "--output", "some where").out
    assert out == (
        "wrote some where. Next:\n"
        "  pip install -e './some where[test]'\n"
        '  realtts say "Hello there." -p hum -o hello.wav\n'
        "  pytest './some where'\n"
    )
    assert (
        cli("new-plugin", "hum", "--output", work / "b").out.splitlines()[1] == f"  pip install -e '{work / 'b'}[test]'"
    )


def test_writes_a_whole_project(project):
    """Every file is there, and every placeholder is filled in."""
    files = {str(path.relative_to(project).as_posix()): path for path in project.rglob("*") if path.is_file()}
    assert set(files) == {
        "pyproject.toml",
        "README.md",
        "src/realtts_my_hum/__init__.py",
        "src/realtts_my_hum/options.py",
        "src/realtts_my_hum/optimized.py",
        "src/realtts_my_hum/plain.py",
        "src/realtts_my_hum/py.typed",
        "tests/test_conformance.py",
    }
    assert not any("$" in path.read_text(encoding="utf-8") for path in files.values())
    if sys.version_info >= (3, 11):
        import tomllib

        about = tomllib.loads(files["pyproject.toml"].read_text(encoding="utf-8"))["project"]
        assert about["name"] == "realtts-my-hum"
        assert about["authors"] == [{"name": 'Ada "the" L\u00f6we'}]
        assert about["entry-points"]["realtts.providers"] == {"my-hum": "realtts_my_hum:spec"}


def test_an_empty_folder_is_used(cli, work):
    """An empty folder is no obstacle, and nothing else is left in its place."""
    (work / "here").mkdir()
    assert cli("new-plugin", "hum", "--output", "here").code == 0
    assert [path.name for path in work.iterdir()] == ["here"]


def test_a_failure_leaves_nothing(cli, work, monkeypatch):
    """The project appears whole or not at all."""

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", fail)
    result = cli("new-plugin", "hum")
    assert result.code == 2
    assert "No space left on device" in result.err
    assert not any(work.iterdir())


def test_one_for_onnx_runtime(cli, work):
    """It has the modules that such a plugin has, and asks for ONNX Runtime."""
    assert cli("new-plugin", "my-hum", "--onnx").code == 0
    project = work / "realtts-my-hum"
    assert {path.stem for path in (project / "src/realtts_my_hum").glob("*.py")} == {
        "__init__",
        "graph",
        "network",
        "optimized",
        "options",
        "plain",
    }
    files = [path for path in project.rglob("*") if path.is_file()]
    assert not any("$" in path.read_text(encoding="utf-8") for path in files)
    assert "realtts[onnx]" in (project / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_it_speaks_and_conforms(project):
    """The generated plugin passes its own tests: the conformance suite."""
    done = run_module(project, "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_it_is_typed(any_project):
    """A strict mypy finds nothing."""
    pytest.importorskip("mypy")
    done = run_module(any_project, "mypy", "--strict", "src", "tests")
    assert done.returncode == 0, done.stdout


def test_it_is_tidy(any_project):
    """Ruff's default rules and its formatter find nothing."""
    if importlib.util.find_spec("ruff") is None:
        pytest.skip("ruff is not installed")
    for command in (["check", "--isolated", "."], ["format", "--isolated", "--check", "."]):
        done = run_module(any_project, "ruff", *command)
        assert done.returncode == 0, done.stdout


def test_it_is_found_and_speaks(project, work):
    """Installed, it is listed and speaks: the entry point is right."""
    about = project / "src" / "realtts_my_hum-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: realtts-my-hum\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text("[realtts.providers]\nmy-hum = realtts_my_hum:spec\n")
    done = run_module(project, "realtts", "say", "Hello there.", "-p", "my-hum", "-o", "hello.wav", "-v", "high")
    assert done.returncode == 0, done.stderr
    assert "my-hum/optimized" in done.stderr
    assert (project / "hello.wav").stat().st_size > 10_000
