"""A checkpoint that speaks some of its provider's languages only."""

from __future__ import annotations

import pytest

from realtts import Checkpoint, RealProvider, errors
from realtts.registry.extensions import Extensions
from realtts.registry.languages import with_languages
from realtts.settings import Settings
from realtts.synthesis.plan import Ask, make_plan
from realtts.testing import fake_spec
from realtts.wire.specs import spec_from_json, spec_to_json

ALL = ("en-us", "en", "de-de", "de", "vi")


def german(checkpoint: Checkpoint) -> tuple[str, ...] | None:
    """A plugin's function, for a folder."""
    return ("de-de", "de") if checkpoint.path is not None and (checkpoint.path / "german").exists() else None


def broken(checkpoint: Checkpoint) -> tuple[str, ...]:
    """A plugin's function, for a damaged folder."""
    raise errors.CheckpointCorrupt(f"{checkpoint.name} is damaged")


def spec_of(function: str | None = "german", **more):
    """A provider with two checkpoints."""
    names = {"anna": ("de-de", "de"), "all": ()}
    checkpoints = tuple(Checkpoint(name, languages=languages) for name, languages in names.items())
    path = None if function is None else f"{__name__}:{function}"
    return fake_spec(name="many", languages=ALL, checkpoints=checkpoints, checkpoint_languages=path, **more)


@pytest.mark.parametrize(
    ("model", "languages"),
    [(None, ("de-de", "de")), ("anna", ("de-de", "de")), ("all", ALL)],
)
def test_named_checkpoints(model, languages) -> None:
    """Those that the spec lists."""
    with RealProvider(spec_of(), model=model) as tts:
        assert tts.spec.languages == languages


@pytest.mark.parametrize("language", ["en", "English", "vi", "en-US"])
def test_other_languages_are_refused_before_work(language) -> None:
    """Though the provider has checkpoints that speak them."""
    with RealProvider(spec_of(), model="anna") as tts:
        with pytest.raises(errors.UnknownLanguage) as caught:
            tts.generate("Hallo.", language=language)
        assert "de-de" in caught.value.fix
        assert tts.generate("Hallo.", language="German").duration > 0


@pytest.mark.parametrize(("text", "number"), [("Es sind 21.", "einundzwanzig"), ("12 Tage", "zwölf")])
def test_numbers_are_read_in_its_first_language(text, number) -> None:
    """Where the call names none."""
    pytest.importorskip("unicode_rbnf")
    ask = Ask(voice=None, language=None, seed=1, speed=1.0, options={})
    spec = with_languages(spec_of(normalize="auto"), Checkpoint("anna", languages=("de-de", "de")))
    plan = make_plan(text, ask, spec=spec, settings=Settings(), extensions=Extensions())
    assert number in "".join(piece.request.text for piece in plan.pieces).replace("\u00ad", "")


@pytest.mark.parametrize("function", ["german", None, "broken", "missing"])
def test_folders(tmp_path, function) -> None:
    """As the plugin's function says; where it says nothing, fails or is not there, all count."""
    (tmp_path / "german").touch()
    with RealProvider(spec_of(function), model=tmp_path) as tts:
        assert tts.spec.languages == (("de-de", "de") if function == "german" else ALL)


def test_they_travel_with_the_spec() -> None:
    """To programs that do not have the plugin."""
    again = spec_from_json(spec_to_json(spec_of(None)))
    assert [each.languages for each in again.checkpoints] == [("de-de", "de"), ()]
    assert with_languages(again, again.checkpoints[0]).languages == ("de-de", "de")


@pytest.mark.parametrize("value", ["", "function", "module:", 7])
def test_what_is_no_import_path(value) -> None:
    """Told at registration."""
    with pytest.raises(errors.InvalidPlugin, match="checkpoint_languages"):
        fake_spec(checkpoint_languages=value)
