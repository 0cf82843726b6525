"""The spec: light to import, and true to upstream."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from realtts_chatterbox import spec
from realtts_chatterbox.options import EMOTIONS, ChatterboxOptions


def test_import_is_light() -> None:
    """Listing the providers must not cost torch, numpy, pydantic or upstream."""
    code = (
        "import sys; import realtts_chatterbox; "
        "print([m for m in ('torch', 'numpy', 'pydantic', 'chatterbox', 'transformers') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_languages_are_upstreams() -> None:
    """The static tuple cannot rot: it is what upstream lists, English first."""
    from chatterbox.mtl_tts import SUPPORTED_LANGUAGES

    assert set(spec.languages) == set(SUPPORTED_LANGUAGES)
    assert (len(spec.languages), spec.languages[0]) == (23, "en")


def test_checkpoints() -> None:
    """The three models by name, with their files and licence."""
    assert [checkpoint.name for checkpoint in spec.checkpoints] == ["english", "multilingual", "turbo"]
    assert all(checkpoint.files and checkpoint.licence == "MIT" for checkpoint in spec.checkpoints)


@pytest.mark.parametrize(
    "wrong",
    [
        {"exaggeration": 0.2},
        {"exaggeration": 2.1},
        {"cfg_weight": -0.1},
        {"cfg_weight": 1.1},
        {"temperature": 0.01},
        {"repetition_penalty": 0.9},
        {"top_p": 0.0},
        {"n_cfm_timesteps": 0},
        {"lookahead_tokens": 2},
        {"chunk_tokens": 14},
        {"emotion": "furious"},
        {"quality": "best"},
        {"speed": 1},
    ],
    ids=str,
)
def test_options_are_checked(wrong: dict[str, object]) -> None:
    """Out of range, of a wrong type, or unknown."""
    with pytest.raises(ValidationError):
        ChatterboxOptions(**wrong)  # type: ignore[arg-type]


def test_every_option_is_described() -> None:
    """The descriptions are what the CLI and the documentation show."""
    assert all(field.description for field in ChatterboxOptions.model_fields.values())


def test_emotions_lie_in_range() -> None:
    """Every name is an exaggeration that may be given as a number."""
    for name, value in EMOTIONS.items():
        assert ChatterboxOptions(emotion=name, exaggeration=value).exaggeration == value


def test_the_readme_lists_the_overrides() -> None:
    """As the file beside it has them."""
    root = Path(__file__).parents[3] / "plugins/chatterbox"
    wanted = [line for line in (root / "overrides.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    block = (root / "README.md").read_text("utf-8").split("```text\n")[1].split("```")[0]
    assert [line.strip() for line in block.splitlines() if line.strip()] == wanted
