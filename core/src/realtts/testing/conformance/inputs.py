"""Conformance: bad input gets a typed error before any model work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from realtts import errors
from realtts.synthesis.validate import options_class

if TYPE_CHECKING:
    from pathlib import Path

    from realtts.provider.facade import RealProvider

__all__ = ["InputTests"]

BAD_REQUESTS: dict[str, tuple[type[errors.InputError], dict[str, Any]]] = {
    "blank": (errors.BlankText, {"text": " \n\t "}),
    "empty": (errors.BlankText, {"text": ""}),
    "emoji": (errors.UnspeakableText, {"text": "😀🎉👍🏽"}),
    "nul": (errors.InvalidText, {"text": "Hello\0there"}),
    "surrogate": (errors.InvalidText, {"text": "Hello \ud800 there"}),
    "not-text": (errors.InvalidText, {"text": b"Hello"}),
    "too-long": (errors.TextTooLong, {"text": "word " * 2_000_000}),
    "speed-zero": (errors.InvalidOption, {"speed": 0}),
    "speed-fast": (errors.InvalidOption, {"speed": 11.0}),
    "speed-nan": (errors.InvalidOption, {"speed": float("nan")}),
    "seed-negative": (errors.InvalidOption, {"seed": -1}),
    "seed-text": (errors.InvalidOption, {"seed": "7"}),
    "option": (errors.UnknownOption, {"no_such_option": 1}),
    "voice-missing": (errors.VoiceNotFound, {"voice": "no/such/file.wav"}),
    "voice-folder": (errors.VoiceError, {"voice": "."}),
    "voice-silent": (errors.VoiceError, {"voice": (np.zeros(48_000, np.float32), 24_000)}),
    "voice-twice": (errors.InvalidOption, {"voice": "a.wav", "voice_path": "b.wav"}),
}


class InputTests:
    """Tests of everything that a caller can get wrong."""

    @pytest.mark.parametrize("case", BAD_REQUESTS, ids=str)
    def test_bad_input_is_refused_before_any_work(
        self, provider: RealProvider, text: str, options: dict[str, Any], case: str
    ) -> None:
        """The error is of the right type, names who and the fix, and nothing was loaded."""
        expected, changes = BAD_REQUESTS[case]
        arguments = {"text": text, **options, **changes}
        with pytest.raises(expected) as caught:
            provider.generate(**arguments)
        assert caught.value.who
        assert caught.value.fix
        assert provider.get_provider_status()["state"] == "unloaded"

    def test_unreadable_voice_files_are_refused(
        self, provider: RealProvider, text: str, options: dict[str, Any], tmp_path: Path
    ) -> None:
        """An empty file and a text file named .wav are no voices."""
        empty, letter = tmp_path / "empty.wav", tmp_path / "letter.wav"
        empty.touch()
        letter.write_text("Dear reader, this is not audio.", encoding="utf-8")
        for path in (empty, letter):
            with pytest.raises(errors.VoiceError):
                provider.generate(text, voice=str(path), **options)
        assert provider.get_provider_status()["state"] == "unloaded"

    def test_unknown_language_is_refused(self, provider: RealProvider, text: str, options: dict[str, Any]) -> None:
        """A language that the spec does not list is an error that offers others."""
        if not provider.spec.languages:
            pytest.skip("the provider does not check languages")
        with pytest.raises(errors.UnknownLanguage) as caught:
            provider.generate(text, language="xx-nowhere", **options)
        assert provider.spec.languages[0] in caught.value.fix

    def test_unknown_voice_is_refused(self, provider: RealProvider, text: str, options: dict[str, Any]) -> None:
        """A name that is neither file, saved nor built-in voice is an error."""
        with pytest.raises(errors.VoiceError):
            provider.generate(text, voice="no such voice at all", **options)

    def test_misspelt_option_names_the_closest(
        self, provider: RealProvider, text: str, options: dict[str, Any]
    ) -> None:
        """A misspelt option is an error that names the one that was meant."""
        names = list(options_class(provider.spec).model_fields)
        if not names:
            pytest.skip("the provider has no options")
        with pytest.raises(errors.UnknownOption, match=names[0]):
            provider.generate(text, **{**options, names[0] + "x": 1})

    def test_options_out_of_range_are_refused(self, provider: RealProvider, text: str, options: dict[str, Any]) -> None:
        """Every number with a range refuses what lies outside, and every option refuses a wrong type."""
        for name, wrong in _wrong_values(provider):
            with pytest.raises(errors.InvalidOption, match=name):
                provider.generate(text, **{**options, name: wrong})

    def test_a_bad_request_harms_no_other(self, provider: RealProvider, text: str, options: dict[str, Any]) -> None:
        """A good request after bad ones is served as if nothing had been."""
        before = provider.generate(text, seed=1, **options)
        for _ in range(3):
            with pytest.raises(errors.InputError):
                provider.generate("", **options)
        assert np.array_equal(provider.generate(text, seed=1, **options).samples, before.samples)
        assert provider.get_provider_status()["attempts"] == []


def _wrong_values(provider: RealProvider) -> list[tuple[str, Any]]:
    """Yield values that the JSON Schema of the options forbids."""
    values: list[tuple[str, Any]] = []
    schema = options_class(provider.spec).model_json_schema()
    for name, about in schema.get("properties", {}).items():
        values.append((name, object()))
        for key, step in (("minimum", -1), ("exclusiveMinimum", 0), ("maximum", 1), ("exclusiveMaximum", 0)):
            if key in about:
                values.append((name, about[key] + step))
    return values
