"""Discovery: names without importing, broken plugins beside working ones, and two that claim one name."""

import itertools
import os
import shutil
import subprocess
import sys

import pytest

import realtts
from realtts import BrokenProvider, DuplicateProvider, InvalidPlugin, NoProvider, RealProvider, UnknownProvider
from realtts.registry import providers as registry

FAKE = """
    from realtts.testing import fake_spec
    spec = fake_spec(name={name!r})
"""


def test_installed_provider_is_found_and_speaks(install, empty):
    """A name given to RealProvider is looked up among the entry points."""
    install("alpha", FAKE.format(name="alpha"))
    with RealProvider("alpha") as provider:
        assert provider.generate("Hello there").duration == pytest.approx(0.2)
        versions = provider.get_provider_status()["versions"]
    assert versions["realtts-alpha"] == "1.0"


def test_names_are_read_without_importing_others(install, empty):
    """Asking for one provider imports no other plugin."""
    install("alpha", FAKE.format(name="alpha"))
    other = install("beta", FAKE.format(name="beta"))
    registry.get_spec("alpha")
    assert other not in sys.modules


def test_what_comes_and_goes_is_seen_at_once(install, empty, tmp_path):
    """Also after a listing: in a program that runs on, plugins are installed, replaced and removed."""
    seconds = itertools.count(1)

    def names():
        os.utime(tmp_path, (next(seconds),) * 2)  # two changes may come within one tick of the file system's clock
        return [each.name for each in registry.installed()]

    install("alpha", FAKE.format(name="alpha"))
    assert names() == ["alpha"]
    install("beta", FAKE.format(name="beta"))
    assert names() == ["alpha", "beta"]
    shutil.rmtree(tmp_path / "realtts_alpha-1.0.dist-info")
    assert names() == ["beta"]
    (tmp_path / "realtts_beta-1.0.dist-info").rename(tmp_path / "realtts_gamma-1.0.dist-info")
    points = tmp_path / "realtts_gamma-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text(encoding="utf-8").replace("beta =", "gamma ="), encoding="utf-8")
    assert names() == ["gamma"]


BROKEN = {
    "raises": ("raise RuntimeError('half installed')", BrokenProvider, "half installed"),
    "exits": ("raise SystemExit(3)", BrokenProvider, "SystemExit"),
    "missing module": ("import no_such_module", BrokenProvider, "no_such_module"),
    "syntax": ("def (", BrokenProvider, "SyntaxError"),
    "no attribute": ("spam = 1", BrokenProvider, "spec"),
    "not a spec": ("spec = {'name': 'broken'}", InvalidPlugin, "not a ProviderSpec"),
    "other name": (FAKE.format(name="another"), InvalidPlugin, "another"),
    "other contract": (
        "from realtts.testing import fake_spec\nspec = fake_spec(name='broken', api=2)", InvalidPlugin, "contract 2"
    ),
    "wrong field": (
        "from realtts.testing import fake_spec\nspec = fake_spec(name='broken', sample_rates=())",
        InvalidPlugin,
        "sample_rates",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_broken_plugin_is_listed_and_harms_no_other(install, empty, case):
    """It appears with its error; asking for it raises that; another one works."""
    code, expected, what = BROKEN[case]
    install("broken", code)
    install("alpha", FAKE.format(name="alpha"))
    listed = {entry.name: entry for entry in realtts.installed()}
    assert listed["alpha"].error is None
    assert isinstance(listed["broken"].error, expected)
    assert what in str(listed["broken"].error)
    with pytest.raises(expected):
        RealProvider("broken")
    assert RealProvider().spec.name == "alpha"


def test_two_distributions_with_one_name(install, empty):
    """The error names both; other providers work."""
    install("alpha", FAKE.format(name="alpha"), dist="first-alpha")
    install("alpha", FAKE.format(name="alpha"), dist="second-alpha")
    install("beta", FAKE.format(name="beta"))
    with pytest.raises(DuplicateProvider, match="first-alpha and second-alpha"):
        RealProvider("alpha")
    listed = {entry.name: entry for entry in realtts.installed()}
    assert isinstance(listed["alpha"].error, DuplicateProvider)
    assert listed["alpha"].spec is None
    assert RealProvider().spec.name == "beta"


def test_unknown_provider_names_the_closest(install, empty):
    """And what is installed, and how to install more."""
    install("chatterbox", FAKE.format(name="chatterbox"))
    with pytest.raises(UnknownProvider, match="did you mean 'chatterbox'") as caught:
        RealProvider("chaterbox")
    assert "pip install" not in caught.value.fix
    with pytest.raises(UnknownProvider, match="no provider of that name") as caught:
        RealProvider("qwen3")
    assert "pip install realtts-qwen3" in caught.value.fix
    with pytest.raises(UnknownProvider):
        RealProvider("")


def test_unnamed_provider_is_the_embedded_voice(install, empty):
    """Whatever models are installed beside it; installing one changes nothing."""
    with pytest.raises(NoProvider, match="realtts-espeak"):
        RealProvider()
    install("zeta", FAKE.format(name="zeta"))
    assert RealProvider().spec.name == "zeta"  # the only one
    for name in ("espeak", "alpha", "beta", "chatterbox", "f5"):
        install(name, FAKE.format(name=name))
        assert RealProvider().spec.name == "espeak"


EMBEDDED = FAKE.replace("fake_spec(", "fake_spec(embedded=True, languages={languages}, ")


@pytest.mark.parametrize(
    ("language", "name"),
    [(None, "espeak"), ("en", "espeak"), ("de_AT", "espeak"), ("ja-JP", "japanese"), ("xx", "espeak"), ("VI", "vinh")],
)
def test_unnamed_provider_by_language(install, empty, language, name):
    """Of several embedded voices, ours first, then by name, the first that speaks the setting's language."""
    install("alpha", FAKE.format(name="alpha"))
    install("chinese", EMBEDDED.format(name="chinese", languages=("en", "zh")))
    install("japanese", EMBEDDED.format(name="japanese", languages=("ja", "en")))
    install("vinh", EMBEDDED.format(name="vinh", languages=("vi",)))
    install("espeak", EMBEDDED.format(name="espeak", languages=("en", "de")))
    assert RealProvider(language=language).spec.name == name


def test_several_models_and_no_embedded_voice(install, empty):
    """Nobody guesses: the error names them and the command that chooses."""
    for name in ("gamma", "beta"):
        install(name, FAKE.format(name=name))
    with pytest.raises(NoProvider, match=r"beta, gamma are installed.*realtts default beta"):
        RealProvider()


def test_a_chosen_provider_that_is_gone(install, empty, monkeypatch):
    """The error says which setting names it, and how to choose another."""
    install("espeak", FAKE.format(name="espeak"))
    monkeypatch.setenv("REALTTS_PROVIDER", "gone")
    with pytest.raises(UnknownProvider, match=r"environment \(REALTTS_PROVIDER\).*realtts default NAME"):
        RealProvider()


def test_unnamed_provider_can_be_set(install, empty, monkeypatch):
    """The setting `provider` chooses, from the environment too."""
    install("alpha", FAKE.format(name="alpha"))
    install("beta", FAKE.format(name="beta"))
    monkeypatch.setenv("REALTTS_PROVIDER", "beta")
    assert RealProvider().spec.name == "beta"
    assert RealProvider("alpha").spec.name == "alpha"


def test_provider_must_be_a_name_or_a_spec():
    """Anything else is a typed error."""
    with pytest.raises(realtts.SettingsError, match="int"):
        RealProvider(3)  # type: ignore[arg-type]


def test_same_distribution_twice_on_the_path_is_no_clash(install, empty, tmp_path, monkeypatch):
    """An editable install can show one distribution twice."""
    install("alpha", FAKE.format(name="alpha"))
    copy = tmp_path / "again"
    copy.mkdir()
    source = tmp_path / "realtts_alpha-1.0.dist-info"
    (copy / source.name).mkdir()
    for file in source.iterdir():
        (copy / source.name / file.name).write_bytes(file.read_bytes())
    monkeypatch.syspath_prepend(str(copy))
    assert registry.get_spec("alpha").name == "alpha"


def test_importing_realtts_is_light():
    """`import realtts` imports none of the heavy packages, and listing providers no torch or numpy of ours."""
    code = "import realtts, sys; realtts.installed(); print([m for m in ('torch', 'numpy', 'soundfile', 'pydantic') if m in sys.modules])"  # noqa: E501
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
