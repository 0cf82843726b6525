"""`python benchmarks/precision_quality.py` measures what it says and prints a record."""

import json
import runpy
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

script = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "precision_quality.py"))

SMALL = ["--layers", "2", "--hidden", "256", "--mlp", "256", "--vocabulary", "64", "--tokens", "12", "--threads", "1"]


@pytest.mark.full  # by default: test_ways_to_round
def test_record_and_table(capsys):
    """Coarser precisions are further away, heavy-tailed weights suffer more, and what is lacking is named."""
    assert script["main"]([*SMALL, "--shape", "t3", "--precision", "bf16", "int8", "int4", "native-int8"]) == 0
    *table, last = capsys.readouterr().out.splitlines()
    record = json.loads(last)
    entries = {(entry["weights"], entry["precision"]): entry for entry in record["entries"]}
    assert len(table) == 1 + len(entries)
    for kind in script["WEIGHTS"]:
        errors = [entries[kind, precision]["error"] for precision in ("bf16", "int8", "int4")]
        assert errors == sorted(errors)
        assert entries[kind, "int4"]["divergence"] > entries[kind, "int8"]["divergence"]
        assert entries[kind, "int4 g32 symmetric"]["error"] < entries[kind, "int4 g128 symmetric"]["error"]
        ours = entries[kind, "native-int8"]
        assert ("realtts-native" in ours["lacking"]) if "lacking" in ours else ours["error"] < 0.05
    assert entries["heavy", "int8"]["error"] > entries["normal", "int8"]["error"]


@pytest.mark.parametrize("group", [32, 64, 128, 0])
@pytest.mark.parametrize("bits", ["int8", "int4"])
def test_ways_to_round(bits, group):
    """A searched scale is never worse than that of the largest value, and every value is within reach."""
    weight = torch.randn(24, 128, generator=torch.Generator().manual_seed(group)) ** 3
    error = {}
    for way in ("symmetric", "asymmetric", "searched"):
        result = script["rounded"](weight, f"{bits} g{group} {way}")
        assert result.shape == weight.shape
        error[way] = float((result - weight).norm() / weight.norm())
    assert error["searched"] <= error["symmetric"] < (0.02 if bits == "int8" else 0.5)


@pytest.mark.parametrize("wrong", [["--shape", "kokoro"], ["--tokens", "0"], ["--weights", "uniform"]], ids=" ".join)
def test_bad_arguments(wrong):
    """Refused before anything is built."""
    with pytest.raises(SystemExit):
        script["main"](wrong)
