"""Tables of Parquet, whatever their columns hold: read by `realtts batch`, which needs pyarrow for them."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest
from pyarrow import parquet

from realtts.bulk import BulkJob, SpeechRow, read_rows, run_job

COLUMNS = {
    "id": [3.0, None],
    "text": [b"One.", b"Two."],
    "audio": [b"\0" * 5000, None],
    "when": [datetime.datetime(2026, 11, 30), None],
    "inf": [float("inf"), float("nan")],
    "tree": [{"a": [float("-inf")], "b": {"c": b"x"}}, None],
}


def test_parquet_of_every_type(tmp_path):
    """Texts as bytes, ids as fractions; what JSON cannot carry is carried as text, so that the job can go on."""
    options = pa.array([[("pitch", 60)], []], pa.map_(pa.string(), pa.int64()))
    late = pa.array([2**60, 1], pa.timestamp("us"))  # a year that Python has not
    path = tmp_path / "a.parquet"
    columns = {name: pa.array(values) for name, values in COLUMNS.items()}
    parquet.write_table(pa.table({**columns, "options": options, "late": late}), path)
    first, second = read_rows(path)
    assert (first.id, first.text, dict(first.options)) == ("3", "One.", {"pitch": 60})
    assert (second.id, second.text, dict(second.options)) == ("2", "Two.", {})
    assert first.extra["audio"] == "5,000 bytes"
    assert (first.extra["inf"], first.extra["tree"]) == ("inf", {"a": ["-inf"], "b": {"c": "1 bytes"}})
    job = {"provider": "espeak", "seed": 7}
    run_job(BulkJob(path, tmp_path / "out", **job))
    again = run_job(BulkJob(path, tmp_path / "out", resume=True, **job))
    assert (again.spoken, again.earlier) == (2, 2)


@pytest.mark.parametrize("column", ["text", "id", "note"])
def test_strings_of_parquet_that_are_no_utf_8(tmp_path, column):
    """A fault of their rows; in a column that means nothing not even that."""
    bad = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff\xfe", b"ok"], pa.binary()).buffers())
    table = {"text": pa.array(["One.", "Two."]), column: bad}
    parquet.write_table(pa.table(table), tmp_path / "a.parquet")
    first, second = read_rows(tmp_path / "a.parquet")
    assert isinstance(first, SpeechRow) == (column == "note")
    assert isinstance(second, SpeechRow)
