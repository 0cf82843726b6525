"""Blends of built-in voices: how they are written, and who takes them."""

from __future__ import annotations

import pytest

from realtts import errors
from realtts.contract.types import VoiceInfo
from realtts.kit.voices import blend_name, blend_parts
from realtts.settings import Settings
from realtts.testing import fake_spec
from realtts.voices.lookup import builtin_voice

VOICES = [VoiceInfo("Ada", aliases=("first",)), VoiceInfo("Ben"), VoiceInfo("Cleo")]


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("Ada", {"Ada": 1.0}),
        ("Ada:3,Ben:1", {"Ada": 0.75, "Ben": 0.25}),
        ("Ada,Ben", {"Ada": 0.5, "Ben": 0.5}),
        (" Ada : 0.6 , Ben:.4 ", {"Ada": 0.6, "Ben": 0.4}),
        ("Ada:1,Ada:1,Ben:2", {"Ada": 0.5, "Ben": 0.5}),
        ("Ada:1e-3", {"Ada": 1.0}),
    ],
)
def test_shares_add_up_to_one(written, parts) -> None:
    """Whatever they are written as; the name of a blend is read as the same blend."""
    read = blend_parts(written, "me")
    assert dict(read) == pytest.approx(parts)
    assert dict(blend_parts(blend_name(read), "me")) == pytest.approx(parts)


@pytest.mark.parametrize(
    "written", ["", "Ada,", ":1", "Ada:", "Ada:0", "Ada:-1", "Ada:nan", "Ada:inf", "Ada:1e9", "Ada:x", ","]
)
def test_what_is_no_blend(written) -> None:
    """Is refused with how it is written."""
    with pytest.raises(errors.VoiceNotFound) as caught:
        blend_parts(written, "me")
    assert "one:0.6,other:0.4" in caught.value.fix


@pytest.mark.parametrize("written", ["ada:1,first:1,ben:2", "Ada,BEN", "first:0.5,ben:0.5"])
def test_voices_of_a_blend_are_found_by_any_name(written) -> None:
    """And two names of one voice are one."""
    spec = fake_spec(capabilities=frozenset({"voices", "blends"}))
    assert builtin_voice(written, VOICES, spec=spec, settings=Settings()) == "Ada:0.5,Ben:0.5"
    with pytest.raises(errors.VoiceNotFound, match="Dora"):
        builtin_voice("Ada:1,Dora:1", VOICES, spec=spec, settings=Settings())


def test_other_providers_take_no_blend() -> None:
    """For them it is a name like any other, and there is no such voice."""
    spec = fake_spec(capabilities=frozenset({"voices"}))
    with pytest.raises(errors.VoiceNotFound):
        builtin_voice("Ada:1,Ben:1", VOICES, spec=spec, settings=Settings())
