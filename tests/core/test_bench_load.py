"""Loads: when requests come, what listeners note, figures of any target, records of providers."""

import itertools
import json
import threading
from dataclasses import dataclass

import pytest

from realtts import InvalidOption, UnspeakableText
from realtts.bench import Load, Text, Workload, compare_records, load_record, run_bench, run_load
from realtts.bench.load_drive import Listener, Outcome, Round, drive
from realtts.bench.load_results import figures_of, percentiles
from realtts.bench.load_source import Mix
from realtts.bench.load_target import Account
from realtts.bench.plot import plot_records
from realtts.cli.app import run
from realtts.contract.stages import StageWork
from realtts.testing import ContinuousFakeProvider, FakeProvider, FastFakeProvider, fake_spec

TEXTS = (Text("One.", "en"), Text("Two words.", "en"), Text("Drei kleine Worte.", "de"))


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.parametrize(
    ("heard", "first", "gaps", "gap_s"),
    [
        ([], None, 0, 0.0),
        ([(1.0, 0.0)], None, 0, 0.0),
        ([(1.0, 2.0)], 1.0, 0, 0.0),
        ([(1.0, 2.0), (2.5, 2.0), (5.0, 1.0)], 1.0, 0, 0.0),
        ([(1.0, 2.0), (3.5, 2.0)], 1.0, 1, 0.5),
        ([(1.0, 2.0), (3.5, 2.0), (5.5, 1.0)], 1.0, 1, 0.5),
        ([(1.0, 1.0), (3.0, 1.0), (5.0, 1.0)], 1.0, 2, 2.0),
        ([(0.5, 0.0), (1.0, 1.0), (1.5, 0.0), (2.5, 1.0)], 1.0, 1, 0.5),
    ],
)
def test_listener_plays_from_the_first_audio_on(heard, first, gaps, gap_s):
    """A gap delays all that follows, so that late audio counts once; silence of no length is no audio."""
    listener = Listener()
    for at, duration in heard:
        listener.hear(at, duration)
    assert (listener.first_s, listener.gaps, listener.gap_s) == (first, gaps, pytest.approx(gap_s))
    assert listener.audio_s == pytest.approx(sum(duration for _, duration in heard))


def test_times_are_those_of_the_seed():
    """At random, as many as the rate says, the same for the same seed, others for another round."""
    load = Load(rate=50.0, duration_s=40.0, rounds=2, seed=3)
    times = load.times(0)
    assert times == sorted(times) == Load(rate=50.0, duration_s=40.0, rounds=2, seed=3).times(0)
    assert times[0] == 0.0
    assert times[-1] < load.round_s == 20.0
    assert 850 < len(times) < 1150
    assert load.times(1) != times
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert 0.5 < sum(gap**2 for gap in gaps) / len(gaps) / (2 * 0.02**2) < 2, "exponential"


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 0.0},
        {"rate": -1.0},
        {"rate": float("nan")},
        {"rate": float("inf")},
        {"concurrency": 0},
        {"concurrency": 5000},
        {"rate": 1.0, "concurrency": 1},
        {"duration_s": 0.0},
        {"duration_s": 1e9},
        {"rounds": 0},
        {"rate": 9000.0, "duration_s": 100.0},
    ],
    ids=str,
)
def test_loads_out_of_range(wrong):
    """A typed error before anything is loaded."""
    with pytest.raises(InvalidOption) as caught:
        Load(**wrong)
    assert caught.value.fix


def test_mix_has_lengths_and_voices():
    """Each request depends on its numbers alone; languages are not mixed."""
    mix = Mix(TEXTS, ("low", "high"), seed=1)
    orders = [mix.order(0, number) for number in range(60)]
    assert orders == [Mix(TEXTS, ("low", "high"), seed=1).order(0, number) for number in range(60)]
    assert {order.voice for order in orders} == {"low", "high"}
    assert len({len(order.text) for order in orders}) > 3
    assert all(("Drei" in order.text) == (order.language == "de") for order in orders)
    assert mix.order(1, 0) != mix.order(0, 0)
    assert Mix((Text("Alone."),)).order(0, 9).text == "Alone."


@dataclass
class Sound:
    """Audio of somebody else's."""

    duration: float


class Stranger:
    """A target that is none of ours: it counts who speaks at a time, and fails now and then."""

    def __init__(self):
        self.speaking = self.most = self.asked = 0
        self.lock = threading.Lock()

    def speak(self, order):
        with self.lock:
            self.asked += 1
            number = self.asked
            self.speaking += 1
            self.most = max(self.most, self.speaking)
        try:
            if number % 5 == 0:
                raise ConnectionResetError("gone")
            yield Sound(0.5)
            threading.Event().wait(0.005)
            yield Sound(0.25)
        finally:
            with self.lock:
                self.speaking -= 1
        return Account(queue_s=0.25, tokens=3)


def test_closed_loop_on_a_stranger():
    """No more callers than were asked for; failures are counted by name and the others are heard."""
    stranger = Stranger()
    part = drive(stranger, Mix(TEXTS), Load(concurrency=3, duration_s=0.2, rounds=1), 0)
    figures = figures_of([part])
    assert stranger.most <= 3
    assert figures["requests"] == stranger.asked >= 3
    assert figures["failed"] == ({"ConnectionResetError": stranger.asked // 5} if stranger.asked >= 5 else {})
    spoken = stranger.asked - stranger.asked // 5
    assert figures["audio_s"] == pytest.approx(0.75 * spoken)
    assert figures["tokens"] == 3 * spoken
    assert figures["queue_s"]["p50"] == 0.25
    assert figures["tokens_per_step"] is figures["rows_per_step"] is None
    assert json.loads(json.dumps(figures)) == figures


def test_open_loop_on_a_stranger():
    """Every request comes, whether others have ended or not."""
    stranger = Stranger()
    load = Load(rate=400.0, duration_s=0.2, rounds=2)
    part = drive(stranger, Mix(TEXTS), load, 1)
    assert len(part.outcomes) == stranger.asked == len(load.times(1))
    assert part.seconds >= load.times(1)[-1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([2.0], (2.0, 2.0, 2.0, 2.0)),
        ([1.0, 3.0], (2.0, 2.9, 2.98, 3.0)),
        ([3.0, 1.0, 2.0], (2.0, 2.9, 2.98, 3.0)),
        (range(101), (50, 95, 99, 100)),
        ([0.0] * 99 + [1.0], (0.0, 0.0, 0.01, 1.0)),
    ],
)
def test_percentiles(values, expected):
    """Between two values in proportion; none of nothing."""
    found = percentiles(values)
    if expected is None:
        assert found is None
    else:
        assert [found[key] for key in ("p50", "p95", "p99", "max")] == pytest.approx(expected)


def test_steps_are_counted_once_however_many_share_them():
    """Four steps of two requests, one of which has three rows in each, and four of the second one alone."""
    shared = StageWork(steps=4, row_steps=12, own_steps=2.0)
    other = StageWork(steps=8, row_steps=8, own_steps=2.0 + 4.0)
    listener = Listener(0.1, 1.0)
    outcomes = [Outcome(listener, 1.0, Account(tokens=20, work={"decode": work})) for work in (shared, other)]
    figures = figures_of([Round(outcomes, 2.0)])
    assert figures["stages"]["decode"]["steps"] == 8
    assert figures["rows_per_step"] == pytest.approx(20 / 8)
    assert figures["tokens_per_step"] == pytest.approx(40 / 8)
    assert figures["audio_s_per_s"] == pytest.approx(1.0)


def spec_of(variant, **changes):
    """The fake provider with that optimized variant."""
    return fake_spec(optimized=f"{variant.__module__}:{variant.__qualname__}", **changes)


@pytest.fixture(scope="module")
def record():
    """The record of a load on the fake provider."""
    load = Load(concurrency=6, duration_s=0.4, seed=1)
    workload = Workload(TEXTS, options={"delay_s": 0.001})
    return run_load(spec_of(ContinuousFakeProvider), workload, load, label="here")


def test_record_of_a_provider(record):
    """Both contenders, their ratios, the load, the machine; all of it JSON."""
    assert json.loads(json.dumps(record)) == record
    assert (record["kind"], record["label"], record["isolated"]) == ("realtts.bench.load", "here", False)
    assert record["load"] == {"rate": None, "concurrency": 6, "duration_s": 0.4, "rounds": 2, "seed": 1}
    assert record["workload"]["interleaved"]
    assert record["workload"]["voices"] == ["low", "high"]
    assert list(record["variants"]) == ["together", "alone"]
    for result in record["variants"].values():
        assert (result["variant"], result["attempts"], result["failed"]) == ("optimized", [], {})
        assert result["requests"] >= 12
        for figure in ("first_audio_s", "total_s", "queue_s", "rtf"):
            assert 0 <= result[figure]["p50"] <= result[figure]["p95"] <= result[figure]["p99"] <= result[figure]["max"]
        assert result["first_audio_s"]["p50"] <= result["total_s"]["p50"]
        assert result["tokens"] == pytest.approx(result["audio_s"] * 10, rel=1e-3), "a word is a tenth of a second"
        assert result["memory"]["rss_peak"] > 0
    assert record["ratios"]["audio_s_per_s"] > 0
    assert record["machine"]["versions"]["realtts"]


@pytest.mark.parametrize("variant", [FastFakeProvider, FakeProvider])
def test_open_loop_on_a_provider(variant):
    """Also of one that speaks closed batches, or one row at a time."""
    record = run_load(spec_of(variant), Workload(TEXTS), Load(rate=100.0, duration_s=0.2), voices=("low",))
    times = sum(len(Load(rate=100.0, duration_s=0.2).times(part)) for part in (0, 1))
    assert [result["requests"] for result in record["variants"].values()] == [times, times]
    assert record["workload"]["voices"] == ["low"]


def test_first_request_that_fails_is_an_error():
    """Nothing is measured of a provider that cannot speak the text."""
    with pytest.raises(UnspeakableText):
        run_load(fake_spec(), Workload((Text("..."),)), Load(duration_s=0.1))


def test_loads_are_compared(record, tmp_path):
    """Figure by figure; with a record of another kind not at all."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    again = load_record(path)
    comparison = compare_records(record, again)
    assert {row[0] for row in comparison["rows"]} == {"together", "alone"}
    assert all(row[4] in {1.0, None} for row in comparison["rows"])
    assert {"audio_s_per_s", "first_audio_s_p95", "queue_s_p50"} <= {row[1] for row in comparison["rows"]}
    other = {**again, "load": {**again["load"], "concurrency": 7}}
    assert "the loads differ: concurrency is 6 and 7" in compare_records(record, other)["warnings"]
    bench = run_bench(fake_spec(), Workload(TEXTS[:1], repeats=1))
    with pytest.raises(InvalidOption, match="one record is of a load"):
        compare_records(record, bench)


def test_loads_are_drawn(record, tmp_path):
    """One record or several in one picture."""
    pytest.importorskip("matplotlib")
    plot_records([record, record], tmp_path / "load.svg")
    assert "seconds of audio made per second" in (tmp_path / "load.svg").read_text(encoding="utf-8")


def test_from_the_command_line(capsys, tmp_path):
    """The table, the record in a file, and its comparison."""
    command = ["bench", "espeak", "--load", "--rate", "30", "--duration", "0.3", "--text", "No.", "--label", "mine"]
    assert run([*command, "--json", "a.json"]) == 0
    shown = capsys.readouterr()
    for part in ("espeak (mine)", "30 requests a second", "audio, s/s", "first audio, p95", "wait in the queue, p50"):
        assert part in shown.out
    assert "together: round 1 of 2" in shown.err
    assert run(["bench", "--compare", "a.json", "a.json"]) == 0
    assert "audio_s_per_s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "5"], "--rate is given without --load"),
        (["--voices", "a", "b"], "--voices is given without --load"),
        (["--load", "--rate", "0"], "rate is 0.0"),
        (["--load", "--rate", "5", "--concurrency", "2"], "both given"),
        (["--load", "--batch", "2"], "--batch is given with --load"),
        (["--load", "--stream"], "--stream is given with --load"),
        (["--load", "--duration", "-1"], "duration is -1.0"),
        (["--load", "--variant", "fast"], "variant is 'fast'"),
        (["--load", "--voice", "a", "--voices", "b"], "--voice beside --voices"),
    ],
    ids=str,
)
def test_wrong_arguments(capsys, monkeypatch, arguments, words):
    """A typed error, before a model is loaded."""
    monkeypatch.setattr("realtts.provider.facade.RealProvider.load", lambda self: pytest.fail("loaded"))
    assert run(["bench", "espeak", *arguments]) != 0
    assert words in capsys.readouterr().err
