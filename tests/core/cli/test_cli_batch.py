"""``realtts batch``: thousands of texts into files."""

import json

import pytest

from realtts.bulk import runner


@pytest.fixture
def table(work):
    """Writes a table of texts."""

    def table(*texts):
        (work / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        return "texts.jsonl"

    return table


def entries(work):
    """The manifest."""
    return [json.loads(line) for line in (work / "out" / "manifest.jsonl").read_text().splitlines()]


def test_every_row_gets_a_file(cli, table, work):
    """And the last line says how many, how long and with which seed."""
    result = cli("batch", table("one", "two"), "-o", "out", "-p", "fake", "--seed", "5", "--format", "FLAC")
    assert result.code == 0, result.err
    assert result.out == ""
    assert "out: 2 of 2 rows, " in result.err
    assert "seed 5" in result.err
    assert {path.suffix for path in (work / "out").iterdir()} == {".flac", ".json", ".jsonl"}


def test_a_failed_row_is_exit_code_1(cli, table, work):
    """The others are spoken, and the line says where to look."""
    result = cli("batch", table("one", " "), "-o", "out", "-p", "fake")
    assert result.code == 1
    assert "1 of 2 rows" in result.err
    assert "1 failed (see manifest.jsonl)" in result.err
    assert [entry.get("error") for entry in entries(work)] == [None, "BlankText"]


def test_resume(cli, table, work):
    """Without it a folder with a job is refused; with it nothing is spoken twice."""
    arguments = ("batch", table("one", "two"), "-o", "out", "-p", "fake")
    assert cli(*arguments).code == 0
    refused = cli(*arguments)
    assert refused.code == 2
    assert "--resume" in refused.err
    again = cli(*arguments, "--resume")
    assert again.code == 0
    assert "2 rows spoken before" in again.err


def test_quiet(cli, table):
    """Prints nothing where nothing is wrong."""
    result = cli("batch", table("one"), "-o", "out", "-p", "fake", "-q")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_options_and_speaker_reach_every_row(cli, table, work):
    """Voice, speed, language, options and captions of the command line."""
    arguments = ("-v", "low", "-l", "de", "--speed", "2", "-O", "loudness=0.1", "--captions", "vtt")
    result = cli("batch", table("one two", "three"), "-o", "out", "-p", "fake", *arguments)
    assert result.code == 0, result.err
    assert all((work / "out" / entry["captions"]).read_text().startswith("WEBVTT") for entry in entries(work))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--workers", "0"), "workers"),
        (("--format", "wave"), "wave"),
        (("-O", "warmth=1"), "warmth"),
        (("-p", "nobody"), "nobody"),
        (("--workers", "2", "--concurrency", "2"), "one of them"),
    ],
)
def test_wrong_arguments(cli, table, work, arguments, words):
    """End with exit code 2, and nothing is made."""
    speaker = () if "-p" in arguments else ("-p", "fake")
    result = cli("batch", table("one"), "-o", "out", *speaker, *arguments)
    assert result.code == 2
    assert words in result.err
    assert not (work / "out").exists()


def test_an_interrupt_says_how_to_go_on(cli, table, work, monkeypatch):
    """What was spoken stays, and --resume speaks the rest."""
    taken = runner._Run._take

    def interrupt(run, result, chars):
        taken(run, result, chars)
        raise KeyboardInterrupt

    arguments = ("batch", table("one", "two"), "-o", "out", "-p", "fake", "--concurrency", "1")
    with monkeypatch.context() as patch:
        patch.setattr(runner._Run, "_take", interrupt)
        stopped = cli(*arguments)
    assert stopped.code == 130
    assert "--resume goes on" in stopped.err
    assert len(entries(work)) == 1
    assert cli(*arguments, "--resume").code == 0
    assert len(entries(work)) == 2


def test_progress_on_a_pipe(cli, table, monkeypatch):
    """Now and then a line: how far, how many rows, what is left."""
    monkeypatch.setattr("realtts.cli.progress._LINE_S", 0.0)
    result = cli("batch", table("one", "two", " "), "-o", "out", "-p", "fake")
    assert "3 of 3 rows" in result.err
    assert "1 failed" in result.err
    assert "left" in result.err


def test_chapters(cli, work):
    """A book has a file for each chapter."""
    (work / "book.md").write_text("# One\n\nHello there.\n\n# Two\n\nGood bye.\n")
    result = cli("batch", "book.md", "-o", "out", "-p", "fake", "--chapters")
    assert result.code == 0, result.err
    assert [entry["id"] for entry in entries(work)] == ["001-one", "002-two"]
