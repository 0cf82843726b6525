"""What is not installed is offered from where it is, and nothing else is offered."""

import json
import zipfile

import pytest

from realtts import NoProvider, RealProvider, UnknownProvider, errors
from realtts.audio.formats import by_suffix
from realtts.kit.languages import closest_language
from realtts.registry import offers

FAKE = """
    from realtts.testing import fake_spec
    spec = fake_spec(name={name!r})
"""


def plugin(folder, name, group="realtts.providers"):
    """The project file of a plugin."""
    folder.mkdir(parents=True)
    text = f'[project]\nname = "realtts-{name}"\n[project.entry-points."{group}"]\n{name} = "x:spec"\n'
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


def wheel(path, name, group="realtts.providers"):
    """A wheel with an entry point."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"realtts_{name}-0.1.0.dist-info/entry_points.txt", f"[{group}]\n{name} = x:spec\n")


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A checkout with two plugins, one of them nobody's of ours, and what is no plugin."""
    core = tmp_path / "some where" / "core"
    core.mkdir(parents=True)
    plugin(core.parent / "plugins" / "f5", "f5")
    plugin(core.parent / "plugins" / "sine", "sine")
    plugin(core.parent / "plugins" / "server", "server", group="realtts.commands")
    (core.parent / "plugins" / "broken").mkdir()
    (core.parent / "plugins" / "broken" / "pyproject.toml").write_text("[", encoding="utf-8")
    monkeypatch.setattr(offers, "_source_of_core", lambda: core)
    return core.parent / "plugins"


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder of wheels, another version's among them."""
    core = tmp_path / "realtts-0.1.0-py3-none-any.whl"
    core.write_bytes(b"")
    wheel(tmp_path / "realtts_qwen3-0.1.0-py3-none-any.whl", "qwen3")
    wheel(tmp_path / "realtts_f5-0.0.9-py3-none-any.whl", "f5")
    (tmp_path / "realtts_bad-0.1.0-py3-none-any.whl").write_bytes(b"no archive")
    monkeypatch.setattr(offers, "_source_of_core", lambda: core)
    return tmp_path


@pytest.mark.parametrize("name", ["f5", "sine", "f6-tts", "F5", "sines"])
def test_a_checkout_offers_its_plugins(empty, sources, name):
    """By their folders, quoted for a shell; what it does not have is not offered."""
    with pytest.raises(UnknownProvider) as caught:
        RealProvider(name)
    fix = caught.value.fix
    assert f"--from '{sources}/" in fix
    assert "chatterbox" not in str(caught.value)
    assert "server" not in fix
    assert f"did you mean {name!r}" not in str(caught.value)


def test_wheels_offer_their_neighbours(empty, wheels):
    """Of the same version alone."""
    assert list(offers.offers()) == ["qwen3"]
    with pytest.raises(UnknownProvider) as caught:
        RealProvider("qwen")
    assert f"pip install {wheels}/realtts_qwen3-0.1.0-py3-none-any.whl" in caught.value.fix


@pytest.mark.parametrize("name", ["styletts", "parler", "voice", "speed", "speaker.wav", "", "loudness"])
def test_what_does_not_exist_is_not_offered(install, empty, name):
    """Neither to be installed nor as what was meant, though the names of options look like names of providers."""
    install("alpha", FAKE.format(name="alpha"))
    with pytest.raises(UnknownProvider) as caught:
        RealProvider(name)
    assert "did you mean" not in str(caught.value)
    assert f"install {name} " not in caught.value.fix
    assert f"realtts-{name}" not in caught.value.fix
    assert "alpha" in caught.value.fix


@pytest.mark.parametrize("name", ["chatterbox", "qwen3", "f5", "vieneu", "espeak", "kokoro", "piper"])
def test_the_index_offers_ours(empty, name):
    """A core from the index has its plugins there; the hint never repeats the name."""
    with pytest.raises(UnknownProvider) as caught:
        RealProvider(name)
    assert "did you mean" not in caught.value.what
    assert f"realtts install {name}, or pip install realtts-{name} (both from the package index)" in caught.value.fix
    with pytest.raises(NoProvider, match="realtts-espeak"):
        RealProvider()


@pytest.mark.parametrize(
    ("url", "exists"),
    [
        ("file:///{}/realtts.whl", True),
        ("file://{}/a%20b/core", True),
        ("https://host/realtts.whl", False),
        ("", False),
    ],
)
def test_the_record_of_the_installation_tells(tmp_path, monkeypatch, url, exists):
    """As pip and uv write it beside the installed distribution."""
    (tmp_path / "realtts.whl").write_bytes(b"")
    (tmp_path / "a b" / "core").mkdir(parents=True)

    class Distribution:
        """An installed one."""

        def read_text(self, name):
            """The record."""
            return json.dumps({"url": url.format(tmp_path)}) if url else None

    monkeypatch.undo()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offers.importlib_metadata, "distribution", lambda _: Distribution())
        patch.setattr(offers, "__file__", str(tmp_path / "site" / "x" / "y" / "z" / "offers.py"))
        assert (offers._source_of_core() is not None) == exists


HINTS = {
    ("speed", ("espeak", "chatterbox")): None,
    ("voice", ("vieneu",)): None,
    ("fake", ("fake", "fakes")): None,
    ("Bi\u0300nh", ("B\u00ecnh", "Ly")): None,
    ("Binh", ("B\u00ecnh", "Ly")): "B\u00ecnh",
    ("realtts-f5", ("f5", "qwen3")): "f5",
    ("chaterbox", ("chatterbox",)): "chatterbox",
    ("scale", ("cfg_scale", "seed")): "cfg_scale",
    ("--voise", ("--voice", "--speed")): "--voice",
    ("", ("a",)): None,
    ("temperature", ("espeak", "f5")): None,
}


@pytest.mark.parametrize(("case", "expected"), HINTS.items(), ids=str)
def test_hints(case, expected):
    """A near name of the same kind, never what was given."""
    assert errors.nearest(*case) == expected
    assert errors.closest(*case) == (f" (did you mean {expected!r}?)" if expected else "")


@pytest.mark.parametrize("suffix", ["aiff", "wma", "mp4", "mp2", "avi", "webm", "caf", "mkv", "wv"])
def test_another_format_is_no_misspelling(tmp_path, suffix):
    """It is named as unknown, with those that there are."""
    with pytest.raises(errors.OutputError) as caught:
        by_suffix(tmp_path / f"x.{suffix}")
    assert "did you mean" not in str(caught.value)
    assert ".wav" in caught.value.fix


@pytest.mark.parametrize(("suffix", "meant"), [("wave", ".wav"), ("falc", ".flac"), ("opsu", ".opus"), ("wva", ".wav")])
def test_a_misspelt_suffix_is_told(tmp_path, suffix, meant):
    """As before."""
    with pytest.raises(errors.OutputError, match=rf"did you mean '\{meant}'"):
        by_suffix(tmp_path / f"x.{suffix}")


@pytest.mark.parametrize(
    ("tag", "meant"),
    [("fi", None), ("est", None), ("swe", None), ("pt", "pt-br"), ("PT_PT", "pt-br"), ("xx-br", None)],
)
def test_a_language_is_no_misspelling_of_another(tag, meant):
    """Only another region of the same one is near."""
    hint = closest_language(tag, ["fr", "es", "sw", "pt-br", "de"])
    assert hint == (f" (did you mean {meant!r}?)" if meant else "")


def test_a_distribution_of_another_name_is_offered(empty):
    """Where it is not called as its provider is."""
    with pytest.raises(UnknownProvider) as caught:
        RealProvider("openai-compatible")
    assert "pip install realtts-remote" in caught.value.fix
