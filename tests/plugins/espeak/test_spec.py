"""The spec: light to import, and true to the library."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from realtts_espeak import spec
from realtts_espeak.options import EspeakOptions


def test_import_is_light() -> None:
    """Listing the providers must not cost numpy, pydantic or ctypes."""
    code = (
        "import sys; import realtts_espeak; "
        "print([m for m in ('numpy', 'pydantic', 'ctypes', 'espeakng_loader') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_languages_are_the_librarys(say) -> None:
    """The static tuple cannot rot: it is what the library lists."""
    listed = {tag for voice in say.model.catalogue.voices for tag, _ in voice.languages}
    assert set(spec.languages) == listed
    assert len(spec.languages) == len(listed) > 100
    assert spec.languages[0] == "en-us"


@pytest.mark.parametrize("language", spec.languages)
def test_every_language_finds_a_voice(say, language: str) -> None:
    """Each declared language selects a voice that speaks it."""
    voice = say.model.catalogue.speaker(language)
    assert language in {tag for tag, _ in voice.languages} or language == "en"


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 79},
        {"rate": 451},
        {"pitch": 100},
        {"pitch": -1},
        {"pitch_range": 100},
        {"volume": 201},
        {"word_gap": -1},
        {"ssml": "perhaps"},
        {"speed": 1},
    ],
    ids=str,
)
def test_options_are_checked(wrong: dict[str, object]) -> None:
    """Out of range, of a wrong type, or unknown."""
    with pytest.raises(ValidationError):
        EspeakOptions(**wrong)  # type: ignore[arg-type]


def test_every_option_is_described() -> None:
    """The descriptions are what the CLI and the documentation show."""
    assert all(field.description for field in EspeakOptions.model_fields.values())
