"""`python benchmarks/decode_step.py` measures what it says and prints a record."""

import json
import runpy
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

main = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "decode_step.py"))["main"]

SHAPE = ["--layers", "2", "--hidden", "64", "--heads", "4", "--kv-heads", "2", "--head-dim", "16", "--mlp", "96"]


@pytest.mark.full  # a script of development; the decoder's own tests run by default
def test_record_and_table(capsys, unchanged):
    """One entry for each precision and number of rows; the floor and the error travel with it."""
    more = ["--vocabulary", "50", "--positions", "20", "--repeats", "2", "--rows", "2", "4", "--threads", "1"]
    assert main([*SHAPE, *more, "--precision", "int8", "fp32"]) == 0
    *table, last = capsys.readouterr().out.splitlines()
    record = json.loads(last)
    assert len(table) == 5
    assert [(e["precision"], e["rows"]) for e in record["entries"]] == [
        ("int8", 2),
        ("int8", 4),
        ("fp32", 2),
        ("fp32", 4),
    ]
    quantized, exact = record["entries"][0], record["entries"][2]
    assert exact["logit_error"] < 1e-5
    assert 1e-4 < quantized["logit_error"] < 0.1
    assert quantized["bytes"] < exact["bytes"]
    assert all(e["floor_s"] > 0 and e["ratio"] > 0 and e["transformers_s"] > 0 for e in record["entries"])
    assert record["machine"]["threads"] == 1


@pytest.mark.parametrize("wrong", [["--rows", "3"], ["--repeats", "0"], ["--precision", "int2"]], ids=" ".join)
def test_bad_arguments(wrong, capsys):
    """Refused before anything is built."""
    with pytest.raises(SystemExit) as refused:
        main([*SHAPE, *wrong])
    assert refused.value.code == 2
    assert wrong[0] in capsys.readouterr().err
