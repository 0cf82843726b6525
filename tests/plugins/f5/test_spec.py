"""The spec: light to import, and true to upstream."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from pydantic import ValidationError

from realtts_f5 import spec
from realtts_f5.configurations import CONFIGURATIONS
from realtts_f5.options import PRESETS, F5Options

HEAVY = ("wandb", "accelerate", "ema_pytorch", "datasets", "gradio", "matplotlib", "librosa", "transformers", "hydra")
SOLVERS = "scipy.integrate"


def run(code):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_is_light() -> None:
    """Listing the providers must not cost torch, numpy, pydantic or upstream."""
    names = ("torch", "numpy", "pydantic", "f5_tts", "vocos", "pydub")
    assert run(f"import sys; import realtts_f5; print([m for m in {names} if m in sys.modules])") == "[]"


@pytest.mark.full  # a process that speaks
def test_what_is_imported_of_upstream(folders) -> None:
    """The optimized variant speaks without its networks; those come without what speaking does not need.

    What was left out stays importable: no stand-in is left.
    """
    code = f"""
import sys
from realtts import RealProvider
from realtts.testing import voice_like
tts = RealProvider("f5", model={str(folders("f5-v1-base"))!r}, device="cpu", threads=1, strict=True)
tts.generate("Hello there.", voice=voice_like(2), reference_text="These are the words.", nfe_step=4)
print([name for name in ("f5_tts.model", "vocos", "torchdiffeq", "x_transformers", "librosa") if name in sys.modules])
from realtts_f5.upstream import load_upstream
load_upstream()
import f5_tts.model
print([name for name in {(*HEAVY, SOLVERS)} if name in sys.modules])
print("f5_tts.model.trainer" in sys.modules, hasattr(f5_tts.model, "CFM"))
import torch
from torchdiffeq import odeint
solved = odeint(lambda t, y: -y, torch.ones(1), torch.tensor([0.0, 1.0]), method="scipy_solver")
print(round(float(solved[-1]), 2), {SOLVERS!r} in sys.modules)
"""
    assert run(code).splitlines() == ["[]", "[]", "False True", "0.37 True"]


def test_checkpoints() -> None:
    """The published models by name, with their files and licence; the default is the newest."""
    assert [checkpoint.name for checkpoint in spec.checkpoints] == ["f5-v1-base", "f5-v0-base", "e2-base", "f5-spanish"]
    assert all(checkpoint.files and checkpoint.licence for checkpoint in spec.checkpoints)
    assert set(CONFIGURATIONS) - {checkpoint.name for checkpoint in spec.checkpoints} == {"f5-v1-small"}


def test_defaults_are_upstreams(upstream_infer) -> None:
    """What is given where nothing is given."""
    upstream = inspect.signature(upstream_infer.infer_process).parameters
    options = F5Options()
    for name in ("target_rms", "cross_fade_duration", "cfg_strength", "sway_sampling_coef", "fix_duration"):
        assert getattr(options, name) == upstream[name].default, name
    assert PRESETS[options.quality] == upstream["nfe_step"].default


@pytest.mark.parametrize(
    "wrong",
    [
        {"nfe_step": 0},
        {"nfe_step": 65},
        {"cfg_strength": -0.1},
        {"sway_sampling_coef": -1.1},
        {"sway_sampling_coef": 1.8},
        {"target_rms": 0.0},
        {"cross_fade_duration": -1},
        {"fix_duration": 0.0},
        {"quality": "best"},
        {"speed": 1},
    ],
    ids=str,
)
def test_options_are_checked(wrong) -> None:
    """Out of range, of a wrong type, or unknown."""
    with pytest.raises(ValidationError):
        F5Options(**wrong)


def test_every_option_is_described() -> None:
    """The descriptions are what the CLI and the documentation show."""
    assert all(field.description for field in F5Options.model_fields.values())
