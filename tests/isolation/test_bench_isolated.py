"""Bench and verify of a provider that has an environment of its own: the same tables, records and errors."""

import json
import os
import signal
import threading

import psutil
import pytest
from staged_provider import staged_spec

from realtts.bench import Text, Workload, run_bench, run_verify
from realtts.bench.remote import install_into
from realtts.cli.app import run
from realtts.errors import InvalidOption, IsolationError, WorkerDied
from realtts.testing import fake_spec

HELLO = Workload((Text("Hello there."),), repeats=1, tokens=20)


@pytest.fixture
def staged(install, monkeypatch, tmp_path):
    """The staged provider in an environment, for commands and calls; the data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REALTTS_DATA_DIR", str(install(staged_spec())))
    return staged_spec().name


def test_bench_from_the_command_line(staged, capsys, tmp_path):
    """Tables, random weights that the plugin writes there, lines of progress, the label, the record in a file."""
    command = ["bench", staged, "--random-weights", "tiny", "--text", "one two", "--repeats", "1", "--label", "mine"]
    assert run([*command, "--json", "a.json"]) == 0
    shown = capsys.readouterr()
    assert f"{staged} (mine)" in shown.out
    for part in ("random weights (tiny)", "RTF", "optimized", "decode", "reads "):
        assert part in shown.out
    assert "plain: loading, and a first pass" in shown.err
    record = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert record["isolated"]
    assert set(record["variants"]) == {"plain", "optimized"}
    assert record["workload"]["tokens"] is not None


@pytest.mark.full
def test_load_from_the_command_line(staged, capsys, tmp_path):
    """The workers are asked from here; random weights are written by the plugin, which only the environment has."""
    command = ["bench", staged, "--load", "--random-weights", "tiny", "--text", "one two", "--duration", "0.3"]
    assert run([*command, "--concurrency", "2", "--json", "load.json"]) == 0
    assert "2 callers" in capsys.readouterr().out
    record = json.loads((tmp_path / "load.json").read_text(encoding="utf-8"))
    assert record["isolated"]
    assert record["workload"]["random_weights"] == "tiny"
    for result in record["variants"].values():
        assert (result["failed"], result["checkpoint"]) == ({}, "random, tiny")
        assert result["rows_per_step"] >= 1.0
        assert result["tokens_per_step"] > 0


def test_verify_from_the_command_line(staged, capsys):
    """The table and the exit code; tokens and outputs are compared, so the testing module was there."""
    assert run(["verify", staged, "--random-weights", "tiny", "--text", "Hello there."]) == 0
    assert "tokens, float32" in capsys.readouterr().out


def test_from_python(staged):
    """The record of one variant, its lines of progress, settings that were given."""
    told = []
    record = run_bench(staged, HELLO, variants=("plain",), settings={"threads": 1}, label="x", tell=told.append)
    assert (record["label"], record["isolated"], list(record["variants"])) == ("x", True, ["plain"])
    assert record["machine"]["threads"] == 1
    assert told[-1] == "repeat 1 of 1"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda name: run_bench(name, HELLO, variants=("fast",)), InvalidOption, "variant is 'fast'"),
        (lambda name: run_verify(name, HELLO, random_weights="huge"), InvalidOption, "size is 'huge'"),
        (
            lambda name: run_bench(name, Workload((Text("x"),), voice=[0.0, 1.0])),
            InvalidOption,
            "recording in memory",
        ),
    ],
    ids=["variant", "size", "voice"],
)
def test_errors_are_the_same(call, error, words, staged):
    """By their classes, whichever process found them."""
    with pytest.raises(error, match=words):
        call(staged)


@pytest.mark.full
def test_more_errors_are_the_same(staged, install, monkeypatch):
    """A folder that is not there, a text without a voice, random weights of a plugin that writes none."""
    for call, words in (
        (lambda: run_bench(staged, HELLO, settings={"model": "/nowhere"}), "no checkpoint or folder '/nowhere'"),
        (lambda: run_verify(staged, Workload((Text("x"),), voice="nobody")), "it has one voice"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    data = install(fake_spec())
    with pytest.raises(InvalidOption, match="no testing module with write_random_checkpoint"):
        run_bench("fake", HELLO, settings={"data_dir": str(data)}, random_weights="tiny")


def test_an_environment_that_is_gone(install, tmp_path):
    """The interpreter, or the core's version; with the command that mends it."""
    gone = install(fake_spec(), interpreter=tmp_path / "python")
    old = install(fake_spec(), core="0.0.9")
    for data, words in ((gone, "is gone"), (old, "it has the core 0.0.9")):
        with pytest.raises(IsolationError, match=f"{words}.*realtts install fake --upgrade"):
            run_bench("fake", HELLO, settings={"data_dir": str(data)})


def test_a_process_that_is_killed(staged):
    """A typed error with how it ended; nothing is left."""

    def kill(words):
        for child in psutil.Process().children(recursive=True):
            child.send_signal(signal.SIGKILL)

    with pytest.raises(WorkerDied, match=r"SIGKILL.* while running bench"):
        run_bench(staged, HELLO, tell=kill)
    assert not [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.skipif(os.name == "nt", reason="there is no kill")
def test_interrupted(staged):
    """Ctrl-C ends the process in the environment as well."""
    begun, told = threading.Event(), []

    def interrupt():
        if begun.wait(60) and told:
            os.kill(os.getpid(), signal.SIGINT)

    def tell(words):
        told.append(words)
        begun.set()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_bench(staged, Workload.of_set("long", repeats=10_000, tokens=100), tell=tell)
    finally:
        begun.set()
        thread.join()
    assert not [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]


def test_advice_fits_the_environment():
    """What the plugin lacks there is an extra of its own, or everything."""
    assert install_into("qwen3", ["upstream"]).endswith("realtts install qwen3 --upgrade --extra upstream")
    assert install_into("f5", []).endswith("anew: realtts install f5 --upgrade")
