"""The spec: light to import, and true to upstream."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from pydantic import ValidationError

from realtts_vieneu import spec
from realtts_vieneu.configurations import CONFIGURATIONS
from realtts_vieneu.options import VieNeuOptions


def test_import_is_light() -> None:
    """Listing the providers must not cost torch, numpy, pydantic, tokenizers, sea-g2p or upstream."""
    code = (
        "import sys; import realtts_vieneu; print([m for m in "
        "('torch', 'numpy', 'pydantic', 'tokenizers', 'sea_g2p', 'transformers', 'vieneu') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_checkpoints() -> None:
    """The four models by name, v2 first; each knows its files and licence."""
    assert [checkpoint.name for checkpoint in spec.checkpoints] == ["v2", "v1", "0.3b", "v3-turbo"]
    assert all(checkpoint.files and checkpoint.licence and checkpoint.source for checkpoint in spec.checkpoints)
    assert "tokenizer.json" in spec.checkpoints[0].files
    assert "speaker_encoder.onnx" in spec.checkpoints[3].files


def test_forms() -> None:
    """How each is asked."""
    assert [known.prompt for known in CONFIGURATIONS.values()] == ["tags", "chat", "tags", "tags"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0},
        {"temperature": "hot"},
        {"top_k": -1},
        {"top_p": 1.1},
        {"max_chars": 5},
        {"max_new_tokens": 0},
        {"silence": -1},
        {"emotion": "angry"},
        {"prompt_format": "v1"},
        {"codec_device": "tpu"},
        {"chunk_frames": 0},
        {"tempreature": 1.0},
    ],
    ids=str,
)
def test_options_are_checked(wrong: dict[str, object]) -> None:
    """Out of range, of a wrong type, or unknown."""
    with pytest.raises(ValidationError):
        VieNeuOptions(**wrong)  # type: ignore[arg-type]


def test_every_option_is_described() -> None:
    """The descriptions are what the CLI and the documentation show."""
    assert all(field.description for field in VieNeuOptions.model_fields.values())


def test_names_and_defaults_are_upstreams() -> None:
    """Upstream's ``infer`` knows these parameters by the same name, and draws with these defaults."""
    standard = pytest.importorskip("vieneu.standard")
    parameters = inspect.signature(standard.VieNeuTTS.infer).parameters
    assert (parameters["temperature"].default, parameters["top_k"].default) == (1.0, 50)
    assert parameters["max_chars"].default == VieNeuOptions().max_chars
    assert parameters["silence_p"].default == VieNeuOptions().silence
