"""``realtts default``: who speaks when nobody is named, and where that is written."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from realtts import RealProvider
from realtts.cli.settings_file import change_setting
from realtts.errors import SettingsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.fixture(autouse=True)
def embedded(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded voice beside the other providers, whatever is installed here."""
    plugin = (Path(os.environ["PYTHONPATH"]) / "fake_plugin.py").read_text(encoding="utf-8")
    folder = work.parent / "embedded"
    about = folder / "voice-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: voice\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text("[realtts.providers]\nespeak = voice:espeak\n", encoding="utf-8")
    source = f"{plugin}\nespeak = make('espeak', embedded=True)\n"
    (folder / "voice.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    from realtts.registry import entry_points, providers

    own = [
        point for point in entry_points.entry_points("realtts.providers") if point.module in {"voice", "fake_plugin"}
    ]
    monkeypatch.setattr(providers, "entry_points", lambda _: own)


@pytest.fixture
def user_file(work: Path) -> Path:
    """The settings file of the user."""
    return work.parent / "config" / "realtts" / "realtts.toml"


def test_the_default_is_shown_with_its_reason(cli):
    """Without a choice it is the embedded voice, in every command that names a default."""
    assert cli("default").out == "espeak: the embedded voice; nothing else was chosen\n"
    assert json.loads(cli("default", "--json").out)["name"] == "espeak"
    listed = json.loads(cli("providers", "--json").out)["default"]
    assert listed == {"name": "espeak", "why": "the embedded voice; nothing else was chosen"}
    assert "default        the embedded voice; nothing else was chosen" in cli("providers").out
    assert "default        the embedded voice" in cli("status").out
    assert json.loads(cli("doctor", "--json").out)["default"]["name"] == "espeak"


def test_a_choice_is_written_shown_and_taken_back(cli, user_file):
    """The life of a choice; commands and programs follow it at once."""
    result = cli("default", "fake")
    assert (result.code, result.out) == (0, f"fake: chosen by {user_file}\n")
    assert result.err == f"{user_file}: provider is 'fake'\n"
    assert RealProvider().spec.name == "fake"
    assert "fake/optimized" in cli("say", "hi", "-o", "a.wav").err
    assert json.loads(cli("providers", "--json").out)["default"]["name"] == "fake"
    assert cli("default", "fake").err == f"{user_file}: provider is 'fake' already\n"
    assert cli("default", "--unset").out.startswith("espeak: ")
    assert RealProvider().spec.name == "espeak"
    assert not user_file.exists()
    assert cli("default", "--unset").err == f"{user_file}: nothing was chosen there\n"


@pytest.mark.parametrize("name", ["fakke", "", "FAKE", "../fake", "nobody", "bad"])
def test_unknown_and_broken_names_are_refused(cli, user_file, bad_plugins, name):
    """Nothing is written for a name that nobody has."""
    result = cli("default", name)
    assert (result.code, "provider" in result.err) == (2, True)
    assert not user_file.exists()


def test_name_and_unset(cli, user_file):
    """Only one of the two."""
    assert "both given" in cli("default", "fake", "--unset").err
    assert not user_file.exists()


@pytest.mark.parametrize("source", ["environment", "folder"])
def test_what_comes_before_the_choice_is_named(cli, work, monkeypatch, source):
    """A choice that has no effect here says why."""
    if source == "environment":
        monkeypatch.setenv("REALTTS_PROVIDER", "mute")
    else:
        (work / "realtts.toml").write_text('provider = "mute"\n')
    result = cli("default", "fake")
    assert result.out.startswith("mute: chosen by ")
    assert "warning: here it is 'mute' all the same" in result.err


def test_a_default_that_is_gone(cli, user_file):
    """Everybody says where the name comes from, and how to choose another."""
    user_file.parent.mkdir(parents=True)
    user_file.write_text('provider = "gone"\n')
    error = cli("say", "hi", "-o", "a.wav").err
    assert str(user_file) in error
    assert "realtts default NAME" in error
    problems = json.loads(cli("doctor", "--json").out)["problems"]
    assert any("'gone' cannot be used" in problem["what"] and "--unset" in problem["fix"] for problem in problems)
    assert "not installed; chosen by" in " ".join(cli("providers").out.split())
    assert cli("default", "--unset").out.startswith("espeak: ")


def test_the_file_of_the_variable_is_written(cli, work, user_file, monkeypatch):
    """REALTTS_CONFIG names the one file that is read, so that one is written."""
    (work / "own.toml").write_text("queue_size = 3\n")
    monkeypatch.setenv("REALTTS_CONFIG", str(work / "own.toml"))
    assert cli("default", "fake").out.startswith("fake: ")
    assert not user_file.exists()
    assert tomllib.loads((work / "own.toml").read_text()) == {"queue_size": 3, "provider": "fake"}


@pytest.mark.parametrize(("name", "is_default"), [("fake", False), ("fake", True), ("mute", False), ("espeak", True)])
def test_install_says_how_to_make_it_the_default(cli, monkeypatch, name, is_default):
    """Installing changes nothing by itself, and says so."""
    from types import SimpleNamespace

    import realtts.isolation.install as installing

    made = SimpleNamespace(versions={"python": "3.11"}, python=Path("python"))
    monkeypatch.setattr(installing, "install", lambda *_, **__: (made, True))
    if is_default:
        cli("default", name)
    out = cli("install", name).out
    assert out.startswith(f"{name} is installed: python 3.11\n")
    if is_default:
        assert f"{name} is the default" in out
    else:
        assert f"'realtts say TEXT -p {name}'; 'realtts default {name}' makes it the default" in out
    assert "default" not in json.loads(cli("install", name, "--json").out)


FILES = {
    "empty": ("", 'provider = "fake"\n'),
    "comments": ("# mine\n\nqueue_size = 16 # few\n", '# mine\n\nqueue_size = 16 # few\nprovider = "fake"\n'),
    "set": ('provider = "espeak" # robot\nstrict=true\n', 'provider = "fake" # robot\nstrict=true\n'),
    "quoted": ("  'provider' = 'espeak'\nstrict = true", "  'provider' = \"fake\"\nstrict = true"),
    "tables": (
        "strict = true\n\n# for one\n[providers.espeak]\nqueue_size = 3\n",
        'strict = true\n\n# for one\nprovider = "fake"\n\n[providers.espeak]\nqueue_size = 3\n',
    ),
    "table-has-one": (
        '[providers.x]\nmodel = "a"\nprovider = "b"\n',
        'provider = "fake"\n\n[providers.x]\nmodel = "a"\nprovider = "b"\n',
    ),
    "windows": ("strict = true\r\nprovider = 'a'\r\n", 'strict = true\r\nprovider = "fake"\r\n'),
    "no-end": ("strict = true", 'strict = true\nprovider = "fake"\n'),
    "in-a-text": (
        'model = """\nprovider = "a"\n[x]\n"""\nprovider = "b"\n',
        'model = """\nprovider = "a"\n[x]\n"""\nprovider = "fake"\n',
    ),
    "long-value": ('provider = """\\\n  a"""\nstrict = true\n', 'provider = "fake"\nstrict = true\n'),
    "escape": ('provider = "a\\"# b" # c\n', 'provider = "fake" # c\n'),
    "array": ("x = [\n  1, # [not a table]\n]\n", 'x = [\n  1, # [not a table]\n]\nprovider = "fake"\n'),
}


@pytest.mark.parametrize("case", FILES)
def test_the_rest_of_a_file_stays(tmp_path, case):
    """Comments, order, quotes, line ends and tables are as they were; removing gives back what there was."""
    before, after = FILES[case]
    path = tmp_path / "realtts.toml"
    path.write_bytes(before.encode())
    assert change_setting(path, "provider", "fake")
    assert path.read_bytes().decode() == after
    assert not change_setting(path, "provider", "fake")
    change_setting(path, "provider", None)
    expected = {name: value for name, value in tomllib.loads(before).items() if name != "provider"}
    assert tomllib.loads(path.read_bytes().decode() if path.exists() else "") == expected


@pytest.mark.parametrize(
    "content", [b"provider = ", b"\xff", b"provider.x = 1\n", b"a = 1\na = 2\n", b"[providers\n"], ids=repr
)
def test_files_that_cannot_be_changed(tmp_path, content):
    """A damaged file, or a key of another form, is left as it is, with a typed error."""
    path = tmp_path / "realtts.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"realtts\.toml"):
        change_setting(path, "provider", "fake")
    assert path.read_bytes() == content


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")
def test_links_and_modes_stay(tmp_path):
    """A settings file that is a link into somebody's dotfiles stays one, with its mode."""
    folder = tmp_path / "dotfiles"
    folder.mkdir()
    (folder / "real.toml").write_text("strict = true\n")
    (folder / "real.toml").chmod(0o600)
    (folder / "realtts.toml").symlink_to("real.toml")
    change_setting(folder / "realtts.toml", "provider", "fake")
    assert (folder / "realtts.toml").is_symlink()
    assert "fake" in (folder / "real.toml").read_text()
    assert stat.S_IMODE((folder / "real.toml").stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["real.toml", "realtts.toml"]


def test_a_folder_that_cannot_be_made(tmp_path):
    """A typed error that names the file."""
    (tmp_path / "realtts").write_text("a file")
    with pytest.raises(SettingsError, match=r"realtts\.toml"):
        change_setting(tmp_path / "realtts" / "realtts.toml", "provider", "fake")
