"""The benchmark: what a record holds, fallbacks that cannot be overlooked, random weights, comparisons."""

import json
import time

import pytest
from staged_provider import staged_spec

from realtts import InvalidOption, InvalidPlugin, MissingExtra, OutputError, UnknownLanguage
from realtts.bench import (
    TEXT_SETS,
    Text,
    Workload,
    compare_records,
    find_tools,
    load_record,
    random_checkpoint,
    run_bench,
)
from realtts.bench.floor import floor_of, measure_floor
from realtts.bench.measure import spread
from realtts.bench.peak import PeakMemory
from realtts.bench.plot import plot_records
from realtts.bench.profiling import check_profile
from realtts.contract.stages import StageWork
from realtts.settings import Settings
from realtts.testing import fake_spec, faulty


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(scope="module")
def record():
    """A record of the provider that has everything."""
    spec = staged_spec()
    with random_checkpoint(spec, "tiny") as folder:
        workload = Workload((Text("Hello there, world."), Text("Bye.")), repeats=3, tokens=20)
        return run_bench(spec, workload, settings={"model": str(folder)}, label="here", random_weights="tiny")


def small(**changes):
    """A workload that takes no time."""
    return Workload((Text("one two three"),), **{"repeats": 2, **changes})


def test_a_record_holds_everything(record):
    """Both variants with cold, warm, stages, memory and texts; machine, floor, ratios; all of it JSON."""
    assert json.loads(json.dumps(record)) == record
    assert (record["schema"], record["kind"], record["label"]) == (1, "realtts.bench", "here")
    assert record["warnings"] == []
    assert list(record["variants"]) == ["plain", "optimized"]
    for asked, result in record["variants"].items():
        assert (result["asked"], result["variant"], result["attempts"]) == (asked, asked, [])
        assert result["checkpoint"] == "random, tiny"
        for figure in ("total_s", "audio_s", "rtf", "first_audio_s", "tokens_per_s", "chars_per_s", "words_per_s"):
            found = result["warm"][figure]
            assert 0 < found["min"] <= found["q1"] <= found["median"] <= found["q3"] <= found["max"], figure
        assert result["warm"]["rtf"]["n"] == 3
        assert result["warm"]["first_audio_s"]["n"] == 6
        assert result["cold"]["load_s"] < result["cold"]["first_audio_s"] <= result["cold"]["total_s"]
        assert result["memory"]["rss_peak"] > 0
        assert [text["chars"] for text in result["texts"]] == [19, 4]
    assert {"rtf", "total_s", "first_audio_s", "cold_total_s"} <= record["ratios"].keys()
    assert record["machine"]["versions"]["realtts"]
    assert record["machine"]["threads"] >= 1


def test_stages_are_held_against_the_floor(record):
    """Seconds, share and steps of each inner stage; the distance is seconds over the floor; shares sum to one."""
    for result in record["variants"].values():
        stages = result["stages"]
        assert set(stages) == {"decode", "vocoder", "other"}
        decode = stages["decode"]
        assert decode["steps"] == sum(text["tokens"] for text in result["texts"])
        assert decode["distance"] == pytest.approx(decode["seconds"] / decode["floor_s"], rel=1e-4)
        assert stages["vocoder"]["floor_s"] is None, "it counts neither bytes nor operations"
        assert sum(stage["share"] for stage in stages.values()) == pytest.approx(1.0, rel=1e-3)


def test_tokens_are_forced_for_both(record):
    """The mean text gets the number asked for, longer ones more, plain and optimized the same."""
    counts = {asked: [text["tokens"] for text in found["texts"]] for asked, found in record["variants"].items()}
    assert counts["plain"] == counts["optimized"]
    assert sum(counts["plain"]) == 2 * 20
    assert counts["plain"][0] > counts["plain"][1]


def test_a_provider_that_does_not_obey_is_told_of():
    """Forced tokens that are ignored make a warning, since the figures mean something else then."""
    record = run_bench(fake_spec(), small(tokens=50))
    assert [warning for warning in record["warnings"] if "does not obey" in warning]


def test_a_fallback_is_told_of():
    """Figures of plain never pass for the optimized variant's, and the attempt is in the record."""
    record = run_bench(faulty(fake_spec(), "compile"), small(repeats=1))
    optimized = record["variants"]["optimized"]
    assert optimized["variant"] == "plain"
    assert optimized["attempts"][0]["stage"] == "compile"
    assert "traceback" not in optimized["attempts"][0]
    assert "optimized fell back to plain" in record["warnings"][0]


def test_a_rung_that_was_given_up_is_told_of():
    """The optimized variant on a lower rung is named."""
    from realtts.bench.results import warnings_of

    attempt = {"stage": "compile"}
    result = {"variant": "optimized", "rung": "fp32", "attempts": [attempt], "texts": [{"tokens": 1}]}
    assert warnings_of({"optimized": result}, small()) == ["optimized gave up a rung and ran on 'fp32'"]


def test_different_numbers_of_tokens_are_told_of():
    """Seconds of unequal work must not be compared."""
    from realtts.bench.results import warnings_of

    results = {
        asked: {"variant": asked, "rung": asked, "attempts": [], "texts": [{"tokens": count}]}
        for asked, count in (("plain", 3), ("optimized", 4))
    }
    assert "plain 3, optimized 4" in warnings_of(results, small())[0]


def test_a_provider_without_an_optimized_variant():
    """Plain alone is timed, and the record says so."""
    record = run_bench(fake_spec(optimized=None), small())
    assert list(record["variants"]) == ["plain"]
    assert record["ratios"] == {}
    assert "no optimized variant" in record["warnings"][0]


@pytest.mark.parametrize("changes", [{"stream": True}, {"batch": 3}], ids=str)
def test_streams_and_batches(changes):
    """The same figures through `stream` and `generate_batch`; a batch counts all its rows."""
    record = run_bench(fake_spec(), small(repeats=1, **changes))
    text = record["variants"]["optimized"]["texts"][0]
    rows = changes.get("batch", 1)
    assert (text["chars"], text["words"], text["tokens"]) == (13 * rows, 3 * rows, 3 * rows)
    assert text["audio_s"] == pytest.approx(0.3 * rows)


def test_the_order_takes_turns(monkeypatch):
    """Who goes first alternates, so that drift hits both variants alike."""
    from realtts.bench.contender import Contender

    order = []
    monkeypatch.setattr(Contender, "time_round", lambda self: order.append(self.asked) or self.samples.append([]))
    monkeypatch.setattr("realtts.bench.runner.summary", lambda contender, rates: {})
    monkeypatch.setattr("realtts.bench.runner.ratios", lambda results: {})
    monkeypatch.setattr("realtts.bench.runner.warnings_of", lambda results, workload: [])
    run_bench(fake_spec(), small(repeats=2))
    assert order == ["plain", "optimized", "optimized", "plain"]


def test_one_after_the_other_where_memory_is_short(monkeypatch):
    """Two models that do not fit together are timed in turn, and the record says so."""
    monkeypatch.setattr("realtts.bench.runner._fits_beside", lambda head: False)
    told = []
    record = run_bench(fake_spec(), small(), tell=told.append)
    assert record["workload"]["interleaved"] is False
    assert record["variants"]["plain"]["variant"] == "plain", "known though its model is gone"
    assert "memory does not hold both models: one after the other" in told


def test_languages_that_the_provider_lacks_are_left_out():
    """They are named; when none is left, that is an error."""
    record = run_bench(fake_spec(), Workload.of_set("multilingual", repeats=1), variants=("plain",))
    assert record["workload"]["languages"] == ["de", "en"]
    assert "fr" in record["warnings"][0]
    with pytest.raises(UnknownLanguage, match="speaks none of sv"):
        run_bench(fake_spec(), Workload((Text("Hej", "sv"),)))


def test_a_voice_is_recorded_by_its_name_only(tmp_path):
    """Where a recording lies is nobody's business."""
    record = run_bench(fake_spec(), small(repeats=1, voice="high"), variants=("plain",))
    assert record["workload"]["voice"] == "high"


@pytest.mark.parametrize("name", TEXT_SETS)
def test_text_sets(name):
    """Each has texts with languages, none twice."""
    texts = Workload.of_set(name).texts
    assert len(texts) == len({item.text for item in texts}) >= 2
    assert all(item.language and item.text == item.text.strip() for item in texts)


def test_the_multilingual_set_has_many_languages():
    """Scripts with and without spaces among them."""
    languages = {item.language for item in Workload.of_set("multilingual").texts}
    assert len(languages) >= 20
    assert {"zh", "ar", "ru", "hi"} <= languages


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repeats": 0}, "repeats is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"tokens": 0}, "tokens is 0"),
        ({"stream": True, "batch": 2}, "both given"),
        ({"texts": ()}, "no text"),
    ],
)
def test_workloads_that_make_no_sense(changes, message):
    """Each is a typed error."""
    with pytest.raises(InvalidOption, match=message):
        Workload(**{"texts": (Text("hi"),), **changes})


def test_unknown_names():
    """A text set and a variant that are not there."""
    with pytest.raises(InvalidOption, match="no text set 'huge'"):
        Workload.of_set("huge")
    with pytest.raises(InvalidOption, match="variant is 'fast'"):
        run_bench(fake_spec(), small(), variants=("fast",))


def test_tools_are_found_by_convention(monkeypatch, tmp_path):
    """``package.testing`` beside the plain class, the class's own module last; nothing is no error."""
    package = tmp_path / "some_plugin"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plain.py").write_text("")
    (package / "testing.py").write_text("def write_random_checkpoint(path, size, seed=0): ...\nTOKENS_PER_CHAR = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = find_tools(fake_spec(plain="some_plugin.plain:Plain"))
    assert (found.module, found.TOKENS_PER_CHAR, found.tokens) == ("some_plugin.testing", 3, None)
    assert find_tools(staged_spec()).module == "staged_provider"
    assert find_tools(fake_spec()).module == ""


def test_tools_that_cannot_be_imported(monkeypatch, tmp_path):
    """The module and its error are named."""
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "__init__.py").write_text("")
    (tmp_path / "torn" / "testing.py").write_text("import no_such_thing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidPlugin, match=r"'torn\.testing' cannot be imported.*no_such_thing"):
        find_tools(fake_spec(plain="torn:Plain"))


def test_random_checkpoints_are_removed():
    """The folder is gone at the end, whatever happened."""
    with random_checkpoint(staged_spec(), "tiny") as folder:
        assert list(folder.iterdir())
    assert not folder.exists()
    with pytest.raises(InvalidOption, match="size is 'huge'"), random_checkpoint(staged_spec(), "huge"):
        pass
    with pytest.raises(InvalidOption, match="write_random_checkpoint"), random_checkpoint(fake_spec(), "tiny"):
        pass


def test_the_floor_is_the_slower_of_two():
    """Bytes over bandwidth or operations over their rate; a type without a rate has its bytes; nothing has no floor."""
    rates = {"bytes_per_s": 100.0, "flops_per_s": {"float32": 10.0}}
    assert floor_of(StageWork(bytes=200, flops=5), rates) == 2.0
    assert floor_of(StageWork(bytes=200, flops=50), rates) == 5.0
    assert floor_of(StageWork(bytes=200, flops=50, dtype="int8"), rates) == 2.0
    assert floor_of(StageWork(steps=3), rates) is None
    # Where TF32 is allowed, float32 is held against it, and no other type is.
    rates["flops_per_s"] |= {"tf32": 50.0, "bfloat16": 25.0}
    for dtype, seconds in (("float32", 1.0), ("bfloat16", 2.0), ("int8", 0.0), ("float16", 0.0), ("tf32", 1.0)):
        assert floor_of(StageWork(flops=50, dtype=dtype), rates) == (seconds or None)


def test_rates_are_measured():
    """Positive figures, by a method that is named."""
    rates = measure_floor(fake_spec(), "cpu", Settings())
    assert rates["bytes_per_s"] > 1e8
    assert rates["flops_per_s"]["float32"] > 1e7
    assert "numpy" in rates["method"]


def test_peak_memory_sees_what_is_gone_again():
    """Memory that was only held for a while is in the peak."""
    with PeakMemory() as peak:
        block = bytearray(b"\1") * (64 << 20)
        time.sleep(0.2)  # until a sample was taken
        del block
    assert peak.rss_growth > 32 << 20
    assert peak.device_peak is None


def test_spread():
    """Median, quartiles and extremes; one value is all of them; none is None."""
    assert spread([4, 1, 3, 2]) == {"median": 2.5, "q1": 1.75, "q3": 3.25, "min": 1, "max": 4, "n": 4}
    assert spread([7])["q1"] == 7
    assert spread([]) is None


def test_comparing_records(record, tmp_path):
    """Ratios of every figure that both have; a record with itself gives ones and no warning."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(record) + "\n")
    found = compare_records(load_record(path), record)
    assert found["warnings"] == []
    assert {row[1] for row in found["rows"]} >= {"rtf", "total_s", "cold_total_s", "stage decode"}
    assert {row[4] for row in found["rows"]} <= {1.0, None}


def test_comparisons_that_mean_nothing_are_told_of(record):
    """Another machine, workload, version, rung or dtype; and the records' own warnings."""
    other = json.loads(json.dumps(record))
    other["machine"]["cpu"] = "abacus"
    other["machine"]["versions"]["numpy"] = "0"
    other["workload"]["tokens"] = 1
    other["provider"] = "else"
    other["variants"]["plain"]["rung"] = "slow"
    other["variants"]["plain"]["details"]["dtype"] = "float16"
    other["warnings"] = ["loud"]
    warnings = "\n".join(compare_records(record, other)["warnings"])
    for part in (
        "machines differ: cpu", "workloads differ: tokens is 20 and 1", "versions differ: numpy", "provider is",
        "plain ran differently: rung", "plain ran differently: dtype", "the second: loud",
    ):  # fmt: skip
        assert part in warnings
    other["variants"] = {}
    assert "no variant in common" in "\n".join(compare_records(record, other)["warnings"])


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "cannot be read"), ("[1]", "holds no benchmark record"), ('{"kind": "realtts.bench"}', "schema is None")],
)
def test_files_that_are_no_records(tmp_path, content, message):
    """Each is a typed error that names the file."""
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(InvalidOption, match=message) as caught:
        load_record(path)
    assert caught.value.who == str(path)


def test_pictures(record, tmp_path):
    """One or several records become a picture."""
    pytest.importorskip("matplotlib")
    bare = run_bench(fake_spec(), small(repeats=1), label="bare")
    plot_records([record, bare], tmp_path / "a.png")
    plot_records([record], tmp_path / "a.svg")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "svg" in (tmp_path / "a.svg").read_text()[:500]
    with pytest.raises(OutputError, match="unknown suffix"):
        plot_records([record], tmp_path / "a.gif")
    with pytest.raises(OutputError, match="no such folder"):
        plot_records([record], tmp_path / "nowhere" / "a.png")


def test_a_picture_without_matplotlib(record, tmp_path, monkeypatch):
    """The error names the extra."""
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match="matplotlib") as caught:
        plot_records([record], tmp_path / "a.png")
    assert "realtts[plot]" in caught.value.fix


def test_profiles_need_torch(tmp_path):
    """A provider that does not run on torch has no profile."""
    with pytest.raises(InvalidOption, match="does not run on torch"):
        check_profile(fake_spec(), tmp_path)
