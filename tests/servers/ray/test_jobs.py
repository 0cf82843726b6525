"""Datasets and jobs on a cluster of two nodes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import ray
from ray_provider import diary_spec

from realtts.bulk import BulkJob, run_job
from realtts_ray import SpeechMapper, speak_dataset

pytestmark = pytest.mark.slow  # by hand: a node may need longer to start on a busy machine than Ray waits

BAD = {
    3: ({"text": ""}, "BlankText"),
    20: ({"voice": "nobody-here"}, "VoiceNotFound"),
    41: ({"language": "tlh"}, "UnknownLanguage"),
    66: ({"options": '{"warmth": 1}'}, "UnknownOption"),
    99: ({"options": "{"}, "InvalidOption"),
    130: ({"text": None}, "InvalidText"),
    222: ({"text": "..."}, "UnspeakableText"),
    317: ({"options": '{"seed": 5}'}, "InvalidOption"),
    402: ({"text": "a\0b"}, "InvalidText"),
    499: ({"voice": "/nowhere/me.wav"}, "VoiceNotFound"),
}


def rows(word, count=500):
    """Rows of which ten are bad, and one ends the process that speaks it, once."""
    made = [
        {"id": f"r{n}", "text": f"Row {n} {word}.", "voice": None, "language": None, "options": None}
        for n in range(count)
    ]
    made[250]["text"] = f"Die once {word}."
    return [{**row, **BAD.get(number, ({}, ""))[0]} for number, row in enumerate(made)]


def test_a_dataset_with_bad_rows_and_a_lost_actor(cluster, diary, word, tmp_path):
    """Every row comes out once: 490 with the audio of one machine, ten with their errors."""
    source = rows(word)
    dataset = ray.data.from_items(source, override_num_blocks=20)
    spoken = speak_dataset(dataset, diary_spec(), actors=2, num_cpus=0.5, batch_size=10, seed=3)
    results = {row["id"]: row for row in spoken.take_all()}
    assert len(results) == 500
    assert len(diary.lines(f"Die once {word}")) == 2
    errors = {name: row["error"] for name, row in results.items() if row["error"]}
    assert errors == {f"r{number}": error for number, (_, error) in BAD.items()}
    assert all("Fix: " in results[name]["message"] for name in errors)
    assert all(row["audio"] for name, row in results.items() if name not in errors)
    alone = SpeechMapper(diary_spec(), seed=3)
    for row in alone({name: [each[name] for each in source[:500:9]] for name in source[0]}).to_pylist():
        assert results[row["id"]]["audio"] == row["audio"]


def test_rows_of_every_type(cluster):
    """Cells that Arrow has no type for travel as objects: each row comes out once, with audio or its error."""
    odd = [5, None, b"bytes", ["a"], {"a": 1}, 1.5, object, "\ud800", float("nan"), "Good."]
    items = [{"id": number, "text": text, "note": text} for number, text in enumerate(odd)]
    spoken = speak_dataset(ray.data.from_items(items), "espeak", num_cpus=0.5, batch_size=4).take_all()
    results = {row["id"]: row["error"] for row in spoken}
    assert len(results) == len(odd)
    assert {name for name, error in results.items() if not error} == {"2", "9"}


def test_what_was_spoken_is_left_out(cluster, tmp_path):
    """A second run of a dataset speaks the rows that failed or were not there."""
    folder = tmp_path / "spoken"
    rows = [{"id": "a", "text": "One."}, {"id": "b", "text": ""}, {"id": "c", "text": "Three."}]
    folder.mkdir()
    (folder / "torn.parquet").write_bytes(b"PAR1 whose writer was killed")
    pyarrow.parquet.write_table(SpeechMapper("espeak")(pa.Table.from_pylist(rows[:2])), folder / "1.parquet")
    left = speak_dataset(ray.data.from_items(rows), "espeak", num_cpus=0.5, spoken=str(folder)).take_all()
    assert sorted((row["id"], bool(row["audio"])) for row in left) == [("b", False), ("c", True)]


def files(folder):
    """All files of a job by name, without the times."""
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.name != "log.jsonl"}


def test_a_job_of_a_cluster_is_that_of_one_machine(cluster, tmp_path):
    """Every file byte for byte, with recordings and captions; it goes on where it was."""
    source = tmp_path / "texts.jsonl"
    lines = [{"text": f"Number {number}."} for number in range(12)] + [{"text": ""}, {"text": "Hi.", "voice": "nobody"}]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    job = {"provider": "espeak", "seed": 4}
    run_job(BulkJob(source, tmp_path / "here", **job))
    summary = run_job(BulkJob(source, tmp_path / "there", ray="auto", **job))
    assert (summary.rows, summary.spoken, summary.failed) == (14, 12, 2)
    assert files(tmp_path / "there") == files(tmp_path / "here")
    (tmp_path / "there" / "3.wav").unlink()
    again = run_job(BulkJob(source, tmp_path / "there", ray="auto", resume=True, **job))
    assert (again.spoken, again.earlier) == (12, 11)
    assert files(tmp_path / "there") == files(tmp_path / "here")
