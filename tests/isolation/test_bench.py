"""`python benchmarks/isolation.py` measures both places."""

import json
import runpy
from pathlib import Path

main = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "isolation.py"))["main"]


def test_record(capsys):
    """A table, and a record with the same names for both places and their difference."""
    assert main(["--requests", "2", "--json"]) == 0
    *table, last = capsys.readouterr().out.splitlines()
    record = json.loads(last)
    names = {"request_s", "chunk_s", "first_chunk_s", "load_s"}
    assert record["in_process"].keys() == record["isolated"].keys() == record["overhead"].keys() == names
    assert [line.split()[0] for line in table[1:]] == ["request", "chunk", "first_chunk", "load"]
    assert record["machine"]
