"""The GPU campaign's stages of a model, tried on the CPU with tiny weights."""

from __future__ import annotations

import shutil

import pytest

import realtts.bench
from gpu import parity
from gpu.page import page_of
from gpu.record import make_record
from gpu.setup import Setup
from gpu.stages import run_stage


@pytest.mark.full
def test_a_dry_run_fills_the_record(folders, tmp_path, monkeypatch):
    """Speed, memory and parity; a precision that is not offered is an error of its own."""
    weights = shutil.copytree(folders("0.6b-custom-voice"), tmp_path / "weights/qwen3-tiny")
    (weights / ".done").touch()
    monkeypatch.setattr(parity, "PRECISIONS", {name: parity.PRECISIONS[name] for name in ("fp32", "fp8")})
    # It has tests of its own.
    monkeypatch.setattr(realtts.bench, "run_verify", lambda *_, **__: {"ok": True, "checks": []})
    setup = Setup(tmp_path / "out", tmp_path / "weights", tmp_path, dry=True)
    for stage in ("speed:qwen3", "parity:qwen3"):
        assert run_stage(stage, setup), stage
    record = make_record([tmp_path / "out"])
    forms = record["speed"]["qwen3"]
    assert forms["eager"]["runs"]["stream"]["warm"]["first_audio_s"] > 0
    assert forms["plain"]["runs"]["whole"]["warm"]["rtf"] > 0
    assert forms["eager"]["memory"].keys() >= {"before", "loaded", "unloaded"}
    assert record["parity"]["qwen3"]["fp32"]["relative_error"] < 1e-4
    assert record["parity"]["qwen3"]["fp32"]["as_asked"]
    assert all("fp8" in each["name"] for each in record["errors"]), record["errors"]
    assert "## qwen3" in page_of(record)
