"""What `realtts verify` asks of the plugin's testing module, with tiny weights."""

from __future__ import annotations

import pytest

import realtts_chatterbox
from realtts.bench import Text, Workload, run_verify


@pytest.mark.full
def test_the_optimized_variant_is_verified(folders, tmp_path):
    """Tokens and logits of both variants are compared, in float32 and in every precision that has a tolerance."""
    settings = {"model": str(folders("english")), "device": "cpu", "threads": 1, "data_dir": str(tmp_path)}
    work = Workload((Text("Hello."),), tokens=6, options={"watermark": False})
    record = run_verify(realtts_chatterbox.spec, work, settings=settings)
    checks = {check["name"]: check for check in record["checks"]}
    assert record["ok"], record["checks"]
    assert checks["tokens, float32"]["value"] == "equal"
    assert checks["teacher-forced, float32"]["ok"]
