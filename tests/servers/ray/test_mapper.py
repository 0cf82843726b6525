"""Rows of a dataset, spoken by the mapper itself: no cluster is needed."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from realtts import RealProvider
from realtts.bulk import BulkJob, Defaults, make_row, run_job, speak_row
from realtts.testing import fake_spec
from realtts_ray import SpeechMapper


@pytest.fixture(scope="module")
def mapper():
    """Speaks with the fake provider."""
    return SpeechMapper(fake_spec(), seed=7)


def test_rows_are_spoken(mapper):
    """Other columns stay; audio is what the same row gives on one machine."""
    table = pa.table({"id": ["a", "b"], "text": ["One two.", "Three."], "voice": ["high", None], "topic": [1, 2]})
    first, second = mapper(table).to_pylist()
    assert (first["topic"], second["topic"], first["error"], second["error"]) == (1, 2, None, None)
    with RealProvider(fake_spec()) as tts:
        alone = speak_row(tts, make_row(1, {"id": "a", "text": "One two.", "voice": "high"}), Defaults(), 7)
    assert first["audio"] == alone.encode("wav")
    assert (first["seed"], first["sample_rate"], first["finish_reason"]) == (alone.seed, 16_000, "stop")
    assert first["duration_s"] == pytest.approx(0.2, abs=0.05)
    assert [mark["span"] for mark in first["marks"]] == [[0, 3], [4, 8]]
    assert json.loads(first["metrics"])["pieces"] == 1


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"text": ""}, "BlankText"),
        ({"text": None}, "InvalidText"),
        ({"text": "Hi.", "voice": "nobody"}, "VoiceNotFound"),
        ({"text": "Hi.", "language": "tlh"}, "UnknownLanguage"),
        ({"text": "Hi.", "speed": 99.0}, "InvalidOption"),
        ({"text": "Hi.", "seed": -1}, "InvalidOption"),
        ({"text": "Hi.", "options": '{"warmth": 1}'}, "UnknownOption"),
        ({"text": "Hi.", "options": "{"}, "InvalidOption"),
    ],
)
def test_a_bad_row_is_a_row_with_an_error(mapper, row, error):
    """Its neighbours are spoken, and the columns have the same types as ever."""
    good = dict.fromkeys(row) | {"text": "Good."}
    result = mapper(pa.Table.from_pylist([{"id": "1", **good}, {"id": "2", **row}, {"id": "3", **good}]))
    rows = result.to_pylist()
    assert [each["error"] for each in rows] == [None, error, None]
    assert rows[1]["audio"] is None
    assert rows[1]["message"]
    assert all(rows[number]["audio"] for number in (0, 2))
    assert result.schema.field("seed").type == pa.int64()


def test_batches_of_numpy(mapper):
    """As `map_batches` gives them without a format: missing numbers are NaN there."""
    batch = {"id": np.array(["a", "b"]), "text": np.array(["One.", "Two."], object), "seed": np.array([3.0, np.nan])}
    first, second = mapper(batch).to_pylist()
    assert first["seed"] == 3
    assert second["audio"]
    assert second["seed"] != 3


def test_ids_follow_from_texts(mapper):
    """So that audio does not depend on how rows are put into batches."""
    whole = mapper(pa.table({"text": ["One.", "Two.", "Three."]})).to_pylist()
    again = [mapper(pa.table({"text": [row["text"]]})).to_pylist()[0] for row in whole]
    assert [row["audio"] for row in again] == [row["audio"] for row in whole]
    assert len({row["id"] for row in whole}) == 3


def test_audio_is_that_of_a_job_on_one_machine(tmp_path):
    """For the same seed and ids, with espeak."""
    source = tmp_path / "texts.jsonl"
    rows = [{"id": f"r{number}", "text": f"Number {number}."} for number in range(5)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run_job(BulkJob(source, tmp_path / "out", provider="espeak", seed=5))
    for row in SpeechMapper("espeak", seed=5)(pa.Table.from_pylist(rows)).to_pylist():
        assert row["audio"] == (tmp_path / "out" / f"{row['id']}.wav").read_bytes()


def test_an_empty_batch(mapper):
    """Is one, with all columns."""
    result = mapper(pa.table({"id": pa.array([], pa.string()), "text": pa.array([], pa.string())}))
    assert (result.num_rows, "audio" in result.column_names) == (0, True)
