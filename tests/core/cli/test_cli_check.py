"""``realtts check``, ``bench --quality`` and ``say`` with listening, by a recognizer without a model."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import soundfile
from talker import RATE, Talker, block

from realtts.listening import ratings

from .conftest import add_distribution

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("jiwer", "whisper_normalizer")),
    reason="of realtts[listen]",
)

TEXT = "One cat sat.\nTwo dogs ran away."


@pytest.fixture(autouse=True)
def _talker(work, tmp_path, monkeypatch):
    """Install the talker and its listener, without networks that rate, and choose that one."""
    points = "[realtts.providers]\ntalker = talker:spec\n[realtts.recognizers]\nears = talker:Listener\n"
    add_distribution(tmp_path / "talker", "talker", points)
    monkeypatch.syspath_prepend(str(tmp_path / "talker"))
    monkeypatch.setenv("REALTTS_RECOGNIZER", "ears")
    monkeypatch.setattr(ratings, "MEASURES", ())
    Talker.tries.clear()


@pytest.fixture
def recording(work):
    """Write a recording of some words."""

    def write(text, name="a.wav"):
        soundfile.write(work / name, np.concatenate([block(word) for word in text.split()]), RATE, subtype="FLOAT")
        return name

    return write


def test_missing_and_added_words_have_their_place(cli, recording):
    """Line and column in the text, seconds in the audio."""
    result = cli("check", recording("One cat sat. Two really ran away."), "--text", TEXT)
    assert result.code == 0
    assert "line 2, column 5: 'dogs' is missing, heard 'really' instead" in result.out
    result = cli("check", recording("One cat sat down Two dogs ran away."), "--text", TEXT)
    assert "line 1, column 12: 'down' is added, at 0.45 s" in result.out
    assert "1 of 7 words" in result.out
    assert all(len(line) <= 80 for line in result.out.splitlines())


@pytest.mark.parametrize(
    ("said", "most", "code"),
    [
        (TEXT, "0", 0),
        ("One cat sat.", "0", 1),
        ("One cat sat.", "60", 0),
        ("Two dogs ran away.", "40", 1),
        ("x", None, 0),
    ],
)
def test_the_exit_code_tells_of_a_limit(cli, recording, said, most, code):
    """For scripts: 1 above --max-wer."""
    limit = [] if most is None else ["--max-wer", most]
    assert cli("check", recording(said), "--text", TEXT, *limit).code == code


def test_a_provider_is_listened_to(cli):
    """Every text of the set, or the one that is given; the record is JSON-able."""
    record = json.loads(cli("check", "talker", "--text-set", "short", "--json").out)
    assert record["wer"] == 0.0
    assert len(record["texts"]) == 5
    assert record["recognizer"] == "listener"
    record = json.loads(cli("check", "talker", "--text", TEXT, "-O", 'lost=["dogs"]', "--json").out)
    assert [word["text"] for word in record["texts"][0]["missing"]] == ["dogs"]


def test_the_frozen_list(cli):
    """By its accepted readings, each kind by itself, and cut short by time."""
    record = json.loads(cli("check", "talker", "--text-set", "listening", "--json").out)
    assert len(record["texts"]) == 60
    assert len(record["by_kind"]) == 6
    assert record["wer"] == 0.0
    result = cli("check", "talker", "--text-set", "listening", "--seconds", "0")
    assert "60 of 60 texts were left out" in result.err or "59 of 60" in result.err


def test_ratings_stand_in_the_table(cli, recording, monkeypatch):
    """Also why there is none; a voice is what it should sound like."""
    measures = (
        ratings.Measure("loudness", "numpy", "numpy", lambda samples, like: float(abs(samples).max())),
        ratings.Measure("nothing", "no_such_module", "no-such-module", lambda samples, like: 0.0),
        ratings.Measure("likeness", "numpy", "numpy", lambda samples, like: 0.75, compares=True),
    )
    monkeypatch.setattr(ratings, "MEASURES", measures)
    name = recording(TEXT)
    result = cli("check", name, "--text", TEXT, "-v", name)
    assert "likeness" in result.out
    assert "0.75" in result.out
    assert "no-such-module is not installed" in result.out


@pytest.mark.parametrize(
    "lines",
    [
        "a|One cat sat.\nb|Two dogs ran away.",  # LJ Speech
        "a|1 cat sat.|One cat sat.\nb|2 dogs ran away.|Two dogs ran away.",
        "a ONE CAT SAT\nb TWO DOGS RAN AWAY\n",  # LibriSpeech
        "a.wav\tOne cat sat.\n\nb.wav\tTwo dogs ran away.\n\n",
        "wavs/a.wav | One cat sat. | \r\nwavs/b.wav | Two dogs ran away. |\r\n",
    ],
)
def test_recordings_and_their_transcripts(cli, work, recording, lines):
    """In the forms of the usual corpora; a word that one lacks is named, and the rate is that of all."""
    (work / "people").mkdir()
    recording("One cat sat.", "people/a.wav")
    recording("Two dogs ran.", "people/b.wav")
    recording("Nobody asks for this.", "people/c.wav")
    (work / "list.txt").write_text(lines, encoding="utf-8", newline="")
    record = json.loads(cli("check", "people", "--transcripts", "list.txt", "-l", "en", "--json").out)
    assert (record["words"], record["errors"], record["recording"]) == (7, 1, "people")
    assert [text["recording"] for text in record["texts"]] == ["a.wav", "b.wav"]
    assert [word["text"].lower() for word in record["texts"][1]["missing"]] == ["away"]
    result = cli("check", "people/", "--transcripts", "list.txt", "--seconds", "0", "--max-wer", "10")
    assert "of 2 recordings were left out" in result.err


@pytest.mark.parametrize(
    ("lines", "arguments", "message"),
    [
        ("a|One", ["people/"], "it is not said what its recordings say"),
        ("a|One", ["--transcripts", "list.txt"], "needs a folder"),
        ("a|One", ["a.wav", "--transcripts", "list.txt"], "needs a folder"),
        ("a|One", ["people", "--transcripts", "nowhere.txt"], "nowhere.txt cannot be read"),
        ("a|One\nd|Two", ["people", "--transcripts", "list.txt"], "no recording 'd' (line 2)"),
        ("a|One\nd|Two", ["people", "--transcripts", "list.txt", "--text", "x"], "not allowed with"),
        ("a", ["people", "--transcripts", "list.txt"], "line 1: 'a' has no text"),
        ("\n \n", ["people", "--transcripts", "list.txt"], "names no recording"),
        ("\ud800".encode("utf-8", "surrogatepass"), ["people", "--transcripts", "list.txt"], "cannot be read"),
    ],
)
def test_wrong_transcripts(cli, work, lines, arguments, message):
    """Are named with their line, before anything is listened to."""
    (work / "people").mkdir()
    (work / "people/a.wav").touch()
    (work / "list.txt").write_bytes(lines if isinstance(lines, bytes) else lines.encode())
    result = cli("check", *arguments)
    assert result.code == 2
    assert message in " ".join(result.err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.wav"], "give --text or --file"),
        (["nowhere.wav", "--text", "x"], "nowhere.wav"),
        (["talker", "--text-set", "tall"], "choose from short"),
        (["talker", "--recognizer", "no/such/ears", "--text", "x"], "no folder or package"),
        (["nobody", "--text", "x"], "nobody"),
        (["talker", "--text", "x", "-O", "lots=1"], "lots"),
    ],
)
def test_wrong_arguments(cli, recording, monkeypatch, arguments, message):
    """End with what to do, before anything is spoken."""
    # As if the library were installed, which is looked for before anything is downloaded for it.
    monkeypatch.setattr("realtts.listening.recognizer.check_library", lambda *_: None)
    recording("One")
    result = cli("check", *arguments)
    assert result.code == 2
    assert message in result.err
    assert not Talker.tries


def test_quality_stands_beside_speed(cli):
    """Word errors in the record and in the table of ``bench``."""
    arguments = ("bench", "talker", "--text", TEXT, "--repeats", "1", "--quality", "-O", 'lost=["dogs"]')
    result = cli(*arguments)
    assert result.code == 0, result.err
    assert "word error rate" in result.out
    assert "14.3 %" in result.out
    record = json.loads(cli(*arguments, "--json").out.splitlines()[-1])
    assert record["variants"]["plain"]["quality"]["missing"] == 1


@pytest.mark.parametrize("wrong", [["--random-weights", "tiny"], ["--load"]])
def test_quality_of_nothing(cli, wrong):
    """Random weights say no words, and a load is timed only."""
    result = cli("bench", "talker", "--quality", *wrong)
    assert result.code == 2
    assert "--quality" in result.err


def test_say_checks_words_and_writes_captions(cli, work):
    """Of a provider without timings."""
    result = cli("say", TEXT, "-p", "talker", "-o", "a.wav", "--check-words", "--timestamps", "align", "--captions",
                 "a.srt", "-O", 'lost=["dogs"]', "-O", "tries=1")  # fmt: skip
    assert result.code == 0, result.err
    assert "lacked 'dogs' (line 2, column 5) and was spoken again" in result.err
    assert "Two dogs ran away." in (work / "a.srt").read_text()
    result = cli("say", TEXT, "-p", "talker", "-o", "b.wav", "--captions", "b.srt")
    assert result.code == 2
    assert "--timestamps align" in result.err
