"""``realtts bench``: tables, records, comparisons, and everything that is wrong found before a model is loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from realtts import OutputError
from realtts.cli.bench_tables import show_record


def test_a_table(cli, staged):
    """Both variants side by side, stages with their distance from the floor, progress on standard error."""
    result = cli("bench", staged, "--random-weights", "tiny", "--tokens", "12", "--repeats", "2", "--label", "mine")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "staged (mine)"
    assert "random weights (tiny)" in " ".join(result.out.split())
    header = next(line for line in lines if line.startswith("figure"))
    assert header.split() == ["figure", "plain", "optimized", "ratio"]
    for label in ("cold, first audio", "warm, all texts", "RTF", "tokens/s", "words/s", "memory growth"):
        assert any(line.startswith(label) for line in lines), label
    assert sum(line.startswith(("decode", "vocoder", "other")) for line in lines) == 6
    assert "GB/s" in result.out
    assert all(len(line) <= 80 for line in lines)
    assert "repeat 2 of 2" in result.err


def test_a_table_of_any_magnitude_fits(cli, staged, capsys):
    """Microseconds and hours, steady or not: no column pushes another over the edge of a terminal."""
    record = json.loads(cli("bench", staged, "--text", "one", "--repeats", "2", "--json").out)
    for scale in (1.23456e-7, 1.23456e7):
        for result in record["variants"].values():
            for figure, spread in result["warm"].items():
                if spread:
                    result["warm"][figure] = {**spread, "median": scale, "q1": scale * 0.9, "q3": scale * 1.1}
        show_record(record)
        lines = capsys.readouterr().out.splitlines()
        assert next(line for line in lines if line.startswith("figure")).split()[-1] == "ratio"
        assert "+-10 %" in "".join(lines)
        assert all(len(line) <= 80 for line in lines)


def test_a_record_on_standard_output(cli):
    """One line of JSON and nothing else."""
    result = cli("bench", "fake", "--text", "one two", "--repeats", "1", "--json")
    record = json.loads(result.out)
    assert result.out.count("\n") == 1
    assert record["workload"]["text"] == "one two"


def test_a_record_in_a_file(cli, work):
    """The table is printed all the same."""
    result = cli("bench", "fake", "--text", "one", "--repeats", "1", "--json", "a.json", "--variant", "plain")
    assert result.code == 0
    assert "RTF" in result.out
    assert list(json.loads((work / "a.json").read_text())["variants"]) == ["plain"]


def test_a_fallback_is_loud(cli):
    """The table and a warning say that the optimized variant did not run."""
    result = cli("bench", "falls", "--text", "one two", "--repeats", "1")
    assert result.code == 0
    assert "FELL BACK to plain" in result.out
    assert "warning: optimized fell back to plain" in result.err


def test_random_weights_force_tokens(cli, staged):
    """At the plugin's own rate when none is given."""
    command = ("bench", staged, "--random-weights", "tiny", "--text", "x" * 40, "--repeats", "1", "--json")
    record = json.loads(cli(*command).out)
    assert record["workload"]["tokens"] == 20
    assert record["warnings"] == []


def test_options_and_streams(cli):
    """The provider's own options, a language, a seed, a stream, and a batch."""
    common = ("bench", "fake", "--text", "eins zwei", "-l", "de", "--seed", "3", "--repeats", "1", "--json")
    record = json.loads(cli(*common, "-", "--stream", "-O", "loudness=0.5").out)
    assert record["workload"]["options"] == {"loudness": 0.5}
    assert (record["workload"]["languages"], record["workload"]["stream"]) == (["de"], True)
    assert "batches of 2" in " ".join(
        cli("bench", "fake", "--text", "one", "--repeats", "1", "--batch", "2").out.split()
    )
    assert "streamed" in cli("bench", "fake", "--text", "one", "--repeats", "1", "--stream").out


def test_comparing(cli, work):
    """Ratios in a table, and warnings where the records are not of a kind; no provider is needed."""
    for name, text in (("a", "one two"), ("b", "one two three")):
        cli("bench", "fake", "--text", text, "--repeats", "1", "--json", f"{name}.json", "--label", name)
    result = cli("bench", "--compare", "a.json", "b.json")
    assert result.code == 0
    assert result.out.splitlines()[0].split() == ["variant", "figure", "a", "b", "ratio"]
    assert "workloads differ" in result.err
    assert json.loads(cli("bench", "--compare", "a.json", "b.json", "--json").out)["rows"]
    assert cli("bench", "--compare", "a.json", "b.json", "--json", "c.json").code == 0
    assert json.loads((work / "c.json").read_text())["warnings"]


@pytest.mark.full  # importing matplotlib takes longer than all of this file
def test_pictures(cli, work):
    """Of one record, and of two that are compared."""
    pytest.importorskip("matplotlib")
    made = ("bench", "fake", "--text", "one", "--repeats", "1", "--json", "a.json", "--plot", "a.png")
    assert cli(*made).code == 0
    assert cli("bench", "--compare", "a.json", "a.json", "--plot", "b.png").code == 0
    assert (work / "a.png").stat().st_size > 1000
    assert (work / "b.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing",), "no provider of that name"),
        (("fake", "--repeats", "0"), "repeats is 0"),
        (("fake", "--variant", "fast"), "variant is 'fast'"),
        (("fake", "--text-set", "huge"), "no text set 'huge'"),
        (("fake", "--random-weights", "tiny"), "no testing module"),
        (("fake", "--random-weights", "tiny", "--model", "x"), "both given"),
        (("fake", "--stream", "--batch", "2"), "both given"),
        (("fake", "--text", " "), "no text to speak"),
        (("fake", "-O", "nonsense=1"), "nonsense"),
        (("fake", "--profile", "p"), "does not run on torch"),
        (("fake", "--dtype", "fp7"), "dtype"),
        (("--compare", "no.json", "no.json"), "cannot be read"),
        (("fake", "--text", "one", "--repeats", "1", "--json", "no/such/file.json"), "there is no such folder"),
        (("fake", "--text", "one", "--repeats", "1", "--json", "."), "it cannot be written"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[-30:],
)
def test_what_is_wrong_is_said(cli, arguments, message):
    """One line and the exit code 2."""
    result = cli("bench", *arguments)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("path", ["no/such/file.json", "."])
def test_a_record_that_cannot_be_written_is_found_first(cli, path):
    """Before anything is timed."""
    result = cli("bench", "fake", "--text", "one", "--repeats", "1", "--json", path)
    assert result.code == 2
    assert "repeat" not in result.err


def test_a_profile_that_fails_does_not_cost_the_record(cli, work, monkeypatch):
    """It is shown and written before the profile is made."""

    def fail(*_, **__):
        raise OutputError("the disk is full", who="p", fix="free some space")

    monkeypatch.setattr("realtts.bench.profiling.check_profile", lambda *_: None)
    monkeypatch.setattr("realtts.bench.profiling.write_profiles", fail)
    result = cli("bench", "fake", "--text", "one", "--repeats", "1", "--json", "a.json", "--profile", "p")
    assert result.code == 2
    assert "RTF" in result.out
    assert json.loads((work / "a.json").read_text())["provider"] == "fake"


def test_no_matplotlib(cli, monkeypatch):
    """The missing extra is named before anything is timed."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = cli("bench", "fake", "--plot", "a.png")
    assert result.code == 2
    assert "realtts[plot]" in result.err
    assert "repeat" not in result.err


def test_the_help_is_light(work):
    """Asking for help imports neither numpy nor torch."""
    code = "from realtts.cli.app import run; run(['bench', '--help']); print({'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", f"import sys; {code}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
