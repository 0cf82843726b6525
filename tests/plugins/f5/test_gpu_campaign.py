"""The GPU campaign's stages of this model, tried on the CPU with tiny weights."""

import pytest

from gpu.page import page_of
from gpu.record import make_record
from gpu.setup import Setup
from gpu.stages import run_stage


@pytest.mark.full
def test_a_dry_run_fills_the_record(tmp_path):
    """Speed, memory, parity and the kernels of a request; a precision that is not offered is an error of its own."""
    setup = Setup(tmp_path / "out", tmp_path / "weights", tmp_path, dry=True)
    for stage in ("speed:f5", "parity:f5", "profile:f5"):
        assert run_stage(stage, setup), stage
    record = make_record([tmp_path / "out"])
    forms = record["speed"]["f5"]
    assert forms["eager"]["runs"]["stream"]["warm"]["first_audio_s"] > 0
    assert forms["plain"]["runs"]["whole"]["warm"]["rtf"] > 0
    assert forms["eager"]["memory"].keys() >= {"before", "loaded", "unloaded"}
    parity = record["parity"]["f5"]
    assert parity["verify"]["ok"]
    assert parity["fp32"]["relative_error"] < 1e-4
    assert parity["fp32"]["as_asked"]
    assert record["profiles"]["f5"]["kernels"]
    assert all("quantization" in each["error"] for each in record["errors"]), record["errors"]
    assert "## f5" in page_of(record)
