"""The GPU campaign's parts that need neither torch nor a GPU: findings, budgets, records, comparisons, packing."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

from gpu import campaign, launch, pack
from gpu.__main__ import main
from gpu.compare import changes_between, table_of
from gpu.findings import FILE, Findings, read_findings
from gpu.page import page_of
from gpu.pictures import bars_of
from gpu.record import make_record, medians
from gpu.setup import MODELS, Setup
from gpu.speed import forms_of
from gpu.stages import COMMANDS, check_stages, limit_s, run_stage


def runs(*seconds):
    """Warm runs of two seconds of audio."""
    return [{"total_s": s, "rtf": s / 2, "first_audio_s": s / 10} for s in seconds]


@pytest.fixture
def findings(tmp_path):
    """Those of a short campaign, in which some things went wrong."""
    found = Findings(tmp_path / "out")
    found.add("env", "versions", torch="2.11.0", python="3.12.1 (main)")
    found.add("env", "device", device="NVIDIA H200", smi="570.1, 1980 MHz", cores=16)
    used = {"before": {"used": 2**30}, "loaded": {"used": 3 * 2**30}, "unloaded": {"used": 2**30}}
    found.add("speed", "qwen3 | graphs | load", rung="bf16+graphs", memory_before=used["before"], memory=used["loaded"])
    found.add("speed", "qwen3 | graphs | whole", cold=runs(9)[0], warm=runs(0.2, 0.1, 0.3))
    found.add("speed", "qwen3 | graphs | stream", cold=runs(9)[0], warm=runs(0.4))
    found.add("speed", "qwen3 | graphs | after unload", memory=used["unloaded"])
    found.add("speed", "qwen3 | graphs, fp8 | load", error="SettingsError: quantization is 'fp8'")
    found.add("rival", "faster-qwen3-tts", warm=runs(0.5, 0.7), first_audio_s=[0.2, 0.1])
    found.add("parity", "qwen3 | verify", ok=False, checks=[{"name": "tokens, float32", "ok": False}])
    found.add("parity", "qwen3 | fp32", relative_error=1e-7, as_asked=True)
    found.add("parity", "qwen3 | bf16", relative_error=0.004, as_asked=False, dtype="float32", quantization="none")
    found.add("parity", "qwen3 | fp8", error="SettingsError: quantization is 'fp8'")
    found.add("tests", "tests/accel", code=1, tail="...F\n1 failed, 62 passed in 20.00s\n")
    found.add("micro", "graph node", us_per_node_1=2.5, seconds=1.0)
    found.add("speed:f5", "ended", code=-9, killed=True, seconds=190.0)
    found.add("profile:f5", "skipped", why="no time is left")
    return found


@pytest.fixture
def record(findings):
    """The record of them."""
    return make_record([findings.folder], label="first", commit="abc123")


def test_what_fails_is_a_finding_and_costs_no_other(tmp_path):
    """Its error is written down; an interrupt is nobody's finding."""
    findings = Findings(tmp_path)
    for error in (ValueError("no"), ImportError("no module"), MemoryError(), RuntimeError("CUDA error: " + "x" * 9000)):
        with findings.measuring("stage", type(error).__name__) as result:
            result["before"] = 1
            raise error
    with pytest.raises(KeyboardInterrupt), findings.measuring("stage", "interrupted"):
        raise KeyboardInterrupt
    entries = read_findings(tmp_path)
    assert [entry["name"] for entry in entries] == ["ValueError", "ImportError", "MemoryError", "RuntimeError"]
    assert all(entry["error"].startswith(entry["name"]) and entry["before"] == 1 for entry in entries)
    assert all(len(json.dumps(entry)) < 5000 for entry in entries)


def test_lines_that_a_crash_has_cut_are_left_out(tmp_path):
    """The others count."""
    Findings(tmp_path).add("a", "b", value=1)
    with (tmp_path / FILE).open("a", encoding="utf-8") as file:
        file.write('{"stage": "a", "na\n[1, 2]\n{"stage": "a"}\n\n')
    assert [entry["value"] for entry in read_findings(tmp_path)] == [1]


def test_the_page_has_the_commands():
    """As the program prints them, with every stage."""
    page = (launch.ROOT / "docs/benchmarks/gpu.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"\n{' '.join(command.words('out'))}\n" in page
        for stage in command.stages:
            assert f"| `{stage.partition(':')[0]}" in page, stage


def test_the_four_commands_are_below_ten_minutes():
    """All stages of all models are in them, and every name is one."""
    stages = [stage for command in COMMANDS for stage in command.stages]
    assert len(COMMANDS) == 4
    assert all(command.budget_s < 590 for command in COMMANDS)
    assert check_stages(stages) == []
    assert len(set(stages)) == len(stages)
    for name in MODELS:
        assert {f"speed:{name}", f"parity:{name}", f"profile:{name}"} <= set(stages)
    assert all(0 < limit_s(stage) < 590 for stage in stages)


@pytest.mark.parametrize("stage", ["speed", "speed:nobody", "env:qwen3", "nothing", "", "speed:qwen3:more"])
def test_what_is_no_stage_is_refused(tmp_path, capsys, stage):
    """Before anything is run."""
    assert main(["run", "env", stage, "--out", str(tmp_path / "out")]) == 2
    assert "no such stage" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_plain_and_every_precision_are_compared():
    """In the same run, and in float32 without quantization too."""
    for name in MODELS:
        forms = forms_of(name, dry=False)
        assert list(forms)[-1] == "plain"
        assert {"graphs", "graphs, fp8", "graphs, float32", "eager"} <= forms.keys()
        assert forms["graphs, fp8"]["quantization"] == "fp8"


def test_a_stage_that_cannot_begin_is_a_finding(tmp_path, monkeypatch):
    """A plugin that is missing, a package that is missing: the campaign goes on."""
    monkeypatch.setitem(sys.modules, "realtts_vieneu", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    setup = Setup(tmp_path / "out", tmp_path / "weights", tmp_path, dry=True)
    for stage in ("speed:vieneu", "parity:vieneu", "profile:vieneu", "rival", "write:vieneu"):
        assert run_stage(stage, setup), stage
    assert not run_stage("micro", setup)  # nothing of it works without torch
    entries = read_findings(tmp_path / "out")
    assert (
        len([entry for entry in entries if "ImportError" in entry.get("error", "") or "Module" in entry["error"]]) >= 6
    )
    assert entries[-1]["name"] == "died"


def test_every_stage_has_a_process_and_an_end(tmp_path, monkeypatch):
    """One that crashes, one that hangs, one that there is no time for."""
    programs = {"env": "raise SystemExit(3)", "micro": "import time; time.sleep(60)", "glue": "pass", "rival": "pass"}

    def start(setup, stage):
        return subprocess.Popen([sys.executable, "-c", programs[stage]])

    monkeypatch.setattr(campaign, "_start", start)
    monkeypatch.setattr(campaign, "limit_s", lambda stage: 0.3 if stage == "micro" else 30.0)
    setup = Setup(tmp_path, tmp_path, tmp_path, dry=True)
    campaign.run_campaign(setup, ["env", "micro", "glue"], budget_s=60)
    campaign.run_campaign(setup, ["rival"], budget_s=0)
    ends = {each["stage"]: each for each in read_findings(tmp_path) if each["name"] in {"ended", "skipped"}}
    assert (ends["env"]["code"], ends["env"]["killed"]) == (3, False)
    assert ends["micro"]["killed"]
    assert (ends["glue"]["code"], ends["rival"]["name"]) == (0, "skipped")


def test_the_record_has_what_was_measured(record):
    """By card, model and form, with medians, memory and what went wrong."""
    assert (record["card"], record["label"], record["commit"]) == ("NVIDIA H200", "first", "abc123")
    graphs = record["speed"]["qwen3"]["graphs"]
    assert graphs["runs"]["whole"]["warm"]["total_s"] == 0.2
    assert graphs["runs"]["whole"]["warm"]["rtf_range"] == [0.05, 0.15]
    assert [graphs["memory"][when]["used"] >> 30 for when in ("before", "loaded", "unloaded")] == [1, 3, 1]
    assert record["rival"]["warm"]["rtf"] == 0.3
    assert record["parity"]["qwen3"]["fp32"]["relative_error"] == 1e-7
    assert record["stages"]["speed:f5"]["killed"]
    assert len(record["errors"]) == 2
    json.dumps(record)


def test_what_was_measured_twice_counts_once(findings):
    """The last, also where it failed before."""
    findings.add("parity", "qwen3 | fp8", relative_error=0.02, as_asked=True)
    findings.add("speed", "qwen3 | graphs | whole", cold={}, warm=runs(0.05))
    record = make_record([findings.folder])
    assert record["parity"]["qwen3"]["fp8"]["relative_error"] == 0.02
    assert record["speed"]["qwen3"]["graphs"]["runs"]["whole"]["warm"]["total_s"] == 0.05
    assert [each["name"] for each in record["errors"]] == ["qwen3 | graphs, fp8 | load"]


def test_the_page_says_it(record):
    """Tables of speed, memory and parity at every precision; the rival; what could not be measured."""
    page = page_of(record)
    for words in (
        "NVIDIA H200", "570.1", "commit abc123", "| graphs | `bf16+graphs` | 0.1 | 0.2 |", "40.0",
        "1,024 | 3,072 | 1,024", "RTF 0.3", "100.0 ms",
        "| qwen3 | 1.0e-07 | 4.0e-03 (ran as float32, none) | not offered |",
        "not kept: tokens, float32", "1 failed, 62 passed",
        "SettingsError", "speed:f5: it took too long", "profile:f5: no time is left",
    ):  # fmt: skip
        assert words.lower() in page.lower(), words
    last = page.rpartition("```json\n")[2].removesuffix("\n```\n")
    assert json.loads(last)["card"] == "NVIDIA H200"


def test_records_of_little_make_pages_too(tmp_path):
    """Of nothing but a fault, for example."""
    findings = Findings(tmp_path)
    findings.add("env", "died", error="ImportError: no torch")
    page = page_of(make_record([tmp_path]))
    assert "an unknown card" in page
    assert "no torch" in page


def test_two_records_are_compared(findings, record):
    """Every figure with its ratio; what is in one alone; what changed little may be left out."""
    findings.add("speed", "qwen3 | graphs | whole", cold={}, warm=runs(0.1))
    findings.add("speed", "f5 | graphs | whole", cold={}, warm=runs(1.0))
    after = make_record([findings.folder], label="second")
    changes = {change.what: change for change in changes_between(record, after)}
    assert changes["qwen3 | graphs | whole | total_s"].ratio == 0.5
    assert changes["micro | graph node | us_per_node_1"].ratio == 1
    assert changes["f5 | graphs | whole | total_s"].ratio is None
    table = table_of(record, after, least=0.05)
    assert "qwen3 · graphs · whole · total_s | 0.2 | 0.1 | 0.5" in table
    assert "graph node" not in table
    assert "f5" in table


@pytest.mark.full
def test_the_commands_work_together(findings, tmp_path, capsys):
    """From findings to a record, a page, a comparison and a picture."""
    pytest.importorskip("matplotlib")
    path, page, picture = tmp_path / "r.json", tmp_path / "r.md", tmp_path / "r.png"
    assert main(["record", str(findings.folder), "-o", str(path), "--page", str(page), "--label", "x"]) == 0
    assert json.loads(capsys.readouterr().out)["card"] == "NVIDIA H200"
    assert main(["compare", str(path), str(path)]) == 0
    assert main(["plot", str(path), str(path), "-o", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert bars_of(json.loads(path.read_text()), "whole", "rtf") == {"qwen3, graphs": 0.1}
    assert main(["commands"]) == 0
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(SystemExit, match="no record"):
        main(["compare", str(path), str(tmp_path / "other.json")])


@pytest.mark.parametrize(
    ("values", "expected"), [([], 0), ([{}], 1), ([{"rtf": None}, {"rtf": 2.0}], 2), ([{"rtf": 1}, {"rtf": 3}], 2)]
)
def test_medians_of_what_is_there(values, expected):
    """Runs without a figure do not count for it."""
    result = medians(values)
    assert result["runs"] == expected
    assert result.get("rtf", 2.0) == 2.0


def test_wheels_are_unpacked_once_and_put_on_the_path(tmp_path):
    """Each folder its own; those that exclude others are seen by some stages alone."""
    for folder in ("common", "qwen"):
        (tmp_path / "wheels" / folder).mkdir(parents=True)
        with zipfile.ZipFile(tmp_path / "wheels" / folder / f"{folder}_x-1-py3-none-any.whl", "w") as archive:
            archive.writestr(f"{folder}_x/__init__.py", "")
            archive.writestr(f"{folder}_x-1.data/purelib/moved.py", "")
    site = tmp_path / "site"
    launch.unpack(tmp_path / "wheels", site)
    assert (site / "common/common_x/__init__.py").is_file()
    assert (site / "common/moved.py").is_file()
    (site / "common/moved.py").unlink()
    launch.unpack(tmp_path / "wheels", site)
    launch.unpack(tmp_path / "nothing", site)
    assert not (site / "common/moved.py").exists()
    environ = launch.environment_of(launch.ROOT, site, {"PYTHONPATH": "before"})
    path = environ["PYTHONPATH"].split(os.pathsep)
    assert path[-1] == "before"
    assert str(site / "common") in path
    assert str(site / "qwen") not in path
    assert environ["CAMPAIGN_PATH_rival"] == str(site / "qwen")
    assert all((launch.ROOT / name).is_dir() for name in ("benchmarks/gpu", "core/src", "plugins/qwen3/src"))


def test_sources_look_installed(tmp_path):
    """Core and plugins have their versions and entry points without an install."""
    launch.write_entry_points(launch.ROOT, tmp_path)
    names = {path.name.partition("-")[0] for path in tmp_path.glob("*.dist-info")}
    assert {"realtts", "realtts_qwen3", "realtts_remote"} <= names
    points = next(tmp_path.glob("realtts_qwen3-*.dist-info")) / "entry_points.txt"
    assert "[realtts.providers]\nqwen3 = realtts_qwen3:spec" in points.read_text()


def test_wheels_are_those_of_the_other_machine():
    """For its Python, without dependencies, each pinned; upstream of every model is among them."""
    for name, wheels in pack.WHEELS.items():
        command = pack.download_command(name, launch.ROOT)
        assert {"--no-deps", "--only-binary=:all:", "3.12"} <= set(command)
        assert all("==" in requirement for requirement in wheels)
    everything = " ".join(word for wheels in pack.WHEELS.values() for word in wheels)
    assert all(name in everything for name in ("chatterbox-tts", "f5-tts", "qwen-tts", "faster-qwen3-tts", "sea-g2p"))
