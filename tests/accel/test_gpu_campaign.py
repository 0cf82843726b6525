"""The GPU campaign's measurements of the machine and the toolkit, tried on the CPU."""

import pytest

from gpu.findings import read_findings
from gpu.setup import Setup
from gpu.stages import run_stage

ONLY_ON_A_GPU = ("cudnn", "efficient", "varlen", "import ")
"""Of which a CPU has nothing, or of which only some environments have the package."""


@pytest.mark.full
def test_a_dry_run_measures_every_part(tmp_path):
    """Nothing fails but what a CPU cannot have, and each figure is one."""
    setup = Setup(tmp_path / "out", tmp_path / "weights", tmp_path, dry=True)
    for stage in ("env", "micro", "attention", "glue", "faults"):
        assert run_stage(stage, setup), stage
    entries = {f"{each['stage']} | {each['name']}": each for each in read_findings(tmp_path / "out")}
    errors = {name for name, each in entries.items() if "error" in each}
    assert not {name for name in errors if not any(word in name for word in ONLY_ON_A_GPU)}, errors
    assert entries["micro | graph node"]["us_per_node_1"] > 0
    assert entries["attention | t3 step | math"]["us_448"] > 0
    assert entries["glue | heads | eager"]["us"] > 0
    assert entries["env | ceilings"]["copy_GBps"] > 0
    assert entries["faults | skipped"]["why"]
