"""The spec: light to import, and true to upstream."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from pydantic import ValidationError

from realtts_qwen3 import spec
from realtts_qwen3.configurations import model_config
from realtts_qwen3.languages import NAMES
from realtts_qwen3.options import Qwen3Options
from realtts_qwen3.utterance import DEFAULTS


def test_import_is_light() -> None:
    """Listing the providers must not cost torch, numpy, pydantic, tokenizers or upstream."""
    code = (
        "import sys; import realtts_qwen3; "
        "print([m for m in ('torch', 'numpy', 'pydantic', 'tokenizers', 'qwen_tts') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_checkpoints() -> None:
    """The five models by name, one that speaks without a recording first."""
    names = [checkpoint.name for checkpoint in spec.checkpoints]
    assert names == ["0.6b-custom-voice", "0.6b-base", "1.7b-base", "1.7b-custom-voice", "1.7b-voice-design"]
    assert all(checkpoint.files and checkpoint.licence == "Apache-2.0" for checkpoint in spec.checkpoints)


def test_languages_have_upstreams_names() -> None:
    """Each tag is a language, or a dialect, of upstream's configuration."""
    tokens = dict.fromkeys(("assistant", "<|im_start|>", "<|im_end|>", "<tts_pad>"), 0)
    tokens |= {"<tts_text_bos>": 0, "<tts_text_eod>": 0}
    config = model_config("1.7b-custom-voice", "full", tokens)
    assert set(NAMES.values()) == set(config["talker_config"]["codec_language_id"])
    assert tuple(NAMES) == spec.languages


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0},
        {"temperature": "hot"},
        {"top_k": -1},
        {"top_p": 0},
        {"top_p": 1.1},
        {"repetition_penalty": 0},
        {"subtalker_top_k": 2049},
        {"max_new_tokens": 2},
        {"max_new_tokens": 8193},
        {"chunk_frames": 0},
        {"speaker": "x" * 101},
        {"subtalker_do_sample": True},
    ],
    ids=str,
)
def test_options_are_checked(wrong: dict[str, object]) -> None:
    """Out of range, of a wrong type, or unknown."""
    with pytest.raises(ValidationError):
        Qwen3Options(**wrong)  # type: ignore[arg-type]


def test_every_option_is_described() -> None:
    """The descriptions are what the CLI and the documentation show."""
    assert all(field.description for field in Qwen3Options.model_fields.values())


def test_names_and_defaults_are_upstreams() -> None:
    """Upstream's ``generate`` knows every sampling parameter, by this name and with this default."""
    pytest.importorskip("qwen_tts")
    from realtts_qwen3.upstream import module

    generate = module("qwen_tts.core.models.modeling_qwen3_tts").Qwen3TTSForConditionalGeneration.generate
    parameters = inspect.signature(inspect.unwrap(generate)).parameters
    for name, value in DEFAULTS.items():
        assert parameters[name].default == value
    for name in ("max_new_tokens", "non_streaming_mode"):
        assert name in parameters
        assert name in Qwen3Options.model_fields
