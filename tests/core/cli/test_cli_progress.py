"""What a command says while a model is loaded and a long text is spoken; widths and times."""

from __future__ import annotations

import io
import os
import re
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from realtts import Chunk, Mark, RealProvider, hookimpl
from realtts.cli import console, loading, speaking
from realtts.contract.events import Event
from realtts.testing import fake_spec
from realtts.testing.fake import FakeProvider

WORDS = "one two three four five six seven eight"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


def columns_of(line):
    """How many columns a terminal needs."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)


@pytest.fixture
def noticed(monkeypatch):
    """A load is spoken of from its first moment, and every stage."""
    monkeypatch.setattr(loading, "_NOTICED_S", 0.0)
    monkeypatch.setattr(loading, "_SHORTEST_S", 0.0)


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self):
        return True


class Listener:
    """A provider that is only listened to."""

    spec = fake_spec()

    def add_listener(self, listener):
        self.tell = lambda name, **data: listener(Event(name, data=data))


class TestLoad:
    """The lines of a load."""

    def test_one_line_for_each_stage_with_its_time(self, cli, noticed):
        """Before the summary, each stage once, in order, without control characters."""
        result = cli("say", WORDS, "-p", "fake", "-o", "a.wav")
        *stages, summary = result.err.splitlines()
        names = [re.fullmatch(r"fake: ([a-z ]+) \.\.\. \d+\.\d s", line)[1] for line in stages]
        assert names == ["starting", "loading the model", "converting the precision", "compiling", "warming up"]
        assert summary.startswith("a.wav: ")
        assert not CONTROL.search(result.err.replace("\n", ""))

    @pytest.mark.parametrize("command", [["status", "fake", "--load"], ["voices", "list", "-p", "fake"]])
    def test_other_commands_that_load(self, cli, noticed, command):
        """They say the same, on standard error."""
        result = cli(*command)
        assert "fake: loading the model ... " in result.err
        assert "loading" not in result.out

    def test_quiet(self, cli, noticed):
        """--quiet says nothing."""
        assert cli("say", WORDS, "-p", "fake", "-o", "a.wav", "-q").err == ""

    def test_a_quick_load_says_nothing(self, cli, monkeypatch):
        """Nobody has waited for it."""
        monkeypatch.setattr(loading, "_NOTICED_S", 60.0)
        assert cli("say", WORDS, "-p", "fake", "-o", "a.wav").err.startswith("a.wav: ")

    def test_a_stage_that_fails(self, cli, noticed):
        """Its line says so, and the next path has lines of its own."""
        lines = cli("say", WORDS, "-p", "falls", "-o", "a.wav").err.splitlines()
        failed = next(number for number, line in enumerate(lines) if "compiling ... failed after 0.0 s" in line)
        assert any("loading the model ... " in line for line in lines[failed:])

    def test_an_error_ends_the_line(self, cli, noticed):
        """The message stands on a line of its own."""
        err = cli("say", WORDS, "-p", "stuck", "-o", "a.wav").err
        assert all(line.count("stuck: ") <= 1 for line in err.splitlines())
        assert err.splitlines()[-1].startswith("provider 'stuck'")

    def test_a_line_is_begun_before_the_stage_ends(self, capsys, monkeypatch):
        """Whoever waits sees what for; a warning meanwhile gets a line of its own, and no word is lost."""
        monkeypatch.setattr(loading, "_NOTICED_S", 60.0)
        tts = Listener()
        with loading.Loading(tts) as shown:
            tts.tell("request.started")
            tts.tell("stage.started", stage="load")
            shown._notice()
            assert capsys.readouterr().err.endswith("fake: loading the model ...")
            console.warn("it creaks")
            tts.tell("stage.finished", stage="load", seconds=25.13)
            assert capsys.readouterr().err == "\nwarning: it creaks\nfake: loading the model ... 25.1 s\n"
            tts.tell("stage.started", stage="compile")
            shown._notice()
            tts.tell("stage.finished", stage="compile", seconds=7384.0)
            assert capsys.readouterr().err == "fake: compiling ... 2:03:04\n"

    def test_a_download(self, capsys):
        """Without a terminal: what is fetched, and how long it took, in plain lines; the load goes on behind them."""
        tts = Listener()
        with loading.Loading(tts):
            tts.tell("stage.started", stage="load")
            tts.tell("download.started", bytes=3 << 30, repo="owner/model", licence="mit", files=["a", "b"])
            for done in range(0, 3 << 30, 1 << 28):
                tts.tell("download.progress", bytes=3 << 30, done_bytes=done, file="a")
            tts.tell("download.finished", bytes=3 << 30, seconds=61.0)
        assert capsys.readouterr().err.splitlines() == [
            "fake: downloading 3.0 GiB of owner/model (2 files, licence: mit)",
            "fake: downloaded 3.0 GiB in 61.0 s",
        ]

    def test_a_download_on_a_terminal(self, monkeypatch):
        """There a bar shows how far it is."""
        screen = Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        tts = Listener()
        with loading.Loading(tts):
            tts.tell("download.started", bytes=4 << 20, repo="owner/model", licence="", files=["a"])
            tts.tell("download.progress", bytes=4 << 20, done_bytes=1 << 20, file="a")
            tts.tell("download.finished", bytes=4 << 20, seconds=1.0)
        assert "1.0/4.2 MiB" in screen.getvalue() or "1.0/4.0 MiB" in screen.getvalue()


class Marks(FakeProvider):
    """A provider whose marks come late, in odd order, or not at all."""

    @hookimpl
    def generate(self, context, model, request):
        style = request.seed % 4
        for match in re.finditer(r"\S+", request.text):
            marks = {
                0: (Mark(0.0, 0.1, match.span()),),
                1: (),
                2: (Mark(0.0, 0.1, match.span()),) if match.start() % 2 else (),
                3: (Mark(0.0, 0.1, (0, match.end() if match.start() % 3 else 1)),),
            }[style]
            yield Chunk(np.full(1600, 0.1, np.float32), 16000, marks=marks)
        yield Chunk(np.zeros(0, np.float32), 16000)


class TestBook:
    """How far a long text is."""

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("max_chars", [None, 30])
    def test_a_stream_counts_what_was_read(self, seed, max_chars):
        """Whatever marks the provider gives: never fewer than before, and the whole text at the end."""
        text = f"{WORDS}. {WORDS}!\n\n{WORDS}.   \n"
        with RealProvider(fake_spec(plain=f"{__name__}:Marks", optimized=None, max_chars=max_chars)) as tts:
            stream = tts.stream(text, seed=seed)
            assert stream.spoken_chars == 0
            counts = [stream.spoken_chars for _ in stream]
        assert counts == sorted(counts)
        assert counts[-1] == stream.spoken_chars == len(text)
        if max_chars or seed == 0:
            assert len(set(counts)) > 2

    @pytest.mark.parametrize("provider", ["fake", "mute", "pieces", "markup", "breaks"])
    @pytest.mark.parametrize("end", ["", "\n\n***\n\n"])
    def test_the_bar_never_falls_and_ends_full(self, cli, work, monkeypatch, provider, end):
        """In blocks, with and without marks, with stretches that say nothing; an error leaves it where it was."""
        monkeypatch.setattr(speaking, "BLOCK_CHARS", 120)
        shown = []
        monkeypatch.setattr(speaking.Progress, "update", lambda _, chars, seconds: shown.append(chars))
        text = f"{WORDS}. {WORDS}.\n\n" * 6 + WORDS + end
        (work / "a.txt").write_text(text, encoding="utf-8")
        code = cli("say", "-f", "a.txt", "-p", provider, "-o", "a.wav").code
        assert shown == sorted(shown)
        assert (shown[-1] == len(text)) == (code == 0) == (provider != "breaks")

    def test_plain_lines_where_there_is_no_terminal(self, cli, monkeypatch):
        """Now and then, in percent and time of audio."""
        monkeypatch.setattr("realtts.cli.progress._LINE_S", 0.0)
        lines = cli("say", "word " * 250, "-p", "fake", "-o", "a.wav").err.splitlines()[:-1]
        percents = [int(re.fullmatch(r"(\d+) %: 0:00:\d\d of audio", line)[1]) for line in lines]
        assert percents == sorted(percents)
        assert percents[-1] == 100
        assert cli("say", "word " * 250, "-p", "fake", "-o", "a.wav", "-q").err == ""

    def test_a_dumb_terminal_gets_lines(self, monkeypatch):
        """One that cannot draw a line anew."""
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setenv("TERM", "xterm")
        assert console.is_terminal()
        monkeypatch.setenv("TERM", "dumb")
        assert not console.is_terminal()


class TestWidths:
    """Everything fits 80 columns."""

    @pytest.mark.parametrize(
        "row",
        [
            ["short", "x", "y"],
            ["a-checkpoint-with-a-very-long-name-" * 3, "provider", "owner/name at 0123456789ab"],
            ["name", "a licence of many words " * 6, "owner/" + "n" * 90],
            ["\u58f0" * 60, "b", "c"],
            ["a", "b", "word " * 60],
            ["a" * 70, "b" * 70, "c" * 70],
        ],
        ids=range(6),
    )
    def test_tables(self, capsys, monkeypatch, row):
        """The last column is cut, or the widest go on in further lines; nothing else is lost."""
        monkeypatch.setenv("COLUMNS", "80")
        console.table(["first", "second", "third"], [row, ["1", "2", "3"]])
        lines = capsys.readouterr().out.splitlines()
        assert all(columns_of(line) <= 80 for line in lines)
        shown = "".join("".join(lines).split())
        assert all(shown.count(char) >= text.count(char) for text in row[:2] for char in set(text) - {" "})

    @pytest.mark.parametrize("text", ["", "word", "word " * 40, "/" + "folder/" * 30, "\u58f0" * 90], ids=range(5))
    def test_entries(self, capsys, monkeypatch, text):
        """Long words too, such as paths; joined again they are what they were."""
        monkeypatch.setenv("COLUMNS", "80")
        console.entry("label", text)
        lines = capsys.readouterr().out.splitlines()
        assert all(columns_of(line) <= 80 for line in lines)
        assert "".join("".join(lines).split()) == "label" + "".join(text.split())

    @pytest.mark.parametrize(
        ("what", "fix", "ways"),
        [
            (
                "the data folder " + "/folder" * 30 + " cannot be written",
                "set REALTTS_DATA_DIR to a folder that can",
                1,
            ),
            (
                "it may not work: " + "; ".join(f"wants b{n}==1, here is 2" for n in range(20)),
                "realtts install fake",
                1,
            ),
            ("x " * 120, "pip install --force-reinstall " + "some-package " * 20 + ", or realtts install x", 2),
            ("torch is missing", "uv pip install 'realtts[torch]', or in an environment of its own: " + "f5 " * 60, 2),
            (
                "\u58f0" * 90,
                "update the driver, or check CUDA_VISIBLE_DEVICES and the container's access to the GPU",
                2,
            ),
            ("ok", "realtts install " + "a" * 70 + " --from " + "b" * 30, 1),
        ],
        ids=range(6),
    )
    def test_problems(self, capsys, monkeypatch, what, fix, ways):
        """Nothing is lost; a command goes on behind a backslash, so that a shell reads it whole."""
        monkeypatch.setenv("COLUMNS", "80")
        console.problem(what, fix)
        out = capsys.readouterr().out
        assert all(columns_of(line) <= 80 for line in out.splitlines())
        joined = "".join(out.replace("\\\n", "").split())
        assert joined == "".join(f"- {what}{fix}".replace(", or ", "or").split())
        assert len(re.findall(r"^ {6}\S", out, re.MULTILINE)) == ways

    @pytest.mark.parametrize(
        "command",
        [
            ["providers"],
            ["doctor"],
            ["models"],
            ["envs"],
            ["status", "falls", "--load"],
            ["voices", "list", "-p", "fake"],
            ["voices", "list"],
            ["bench", "staged", "--repeats", "1", "--text", "hi"],
            ["verify", "staged", "--text", "hi"],
        ],
        ids=" ".join,
    )
    def test_every_command(self, cli, staged, recording, monkeypatch, command):
        """Tables and entries of the real commands; a problem and its remedy, each in one piece, may be longer."""
        cli("voices", "add", "a-saved-voice-with-a-long-name", recording, "--text", "word " * 40)
        lines = cli(*command).out.splitlines()
        assert lines
        assert [line for line in lines if len(line) > 80 and not line.startswith(("  - ", "      "))] == []


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0.00 s"), (59.999, "60.00 s"), (3599.0, "3599.00 s"), (3600.0, "1:00:00"), (7523.4, "2:05:23"),
     (360_000.0, "100:00:00")],
)  # fmt: skip
def test_times_over_an_hour(seconds, shown):
    """They are read as h:mm:ss."""
    assert console.duration(seconds) == shown


class TestOutput:
    """Where the audio goes."""

    def test_a_name_that_is_free(self, cli, work):
        """Without -o and --play a file is written that was not there; the line names it."""
        for name in ("speech.wav", "speech-2.wav", "speech-3.wav"):
            assert cli("say", WORDS, "-p", "fake").err.startswith(f"{name}: ")
        (work / "book.txt").write_text(WORDS)
        assert cli("say", "-f", "book.txt", "-p", "fake", "--format", "FLAC").err.startswith("book.flac: ")
        (work / "book-2.mp3").symlink_to("nowhere")
        (work / "book.mp3").touch()
        assert cli("say", "-f", "book.txt", "-p", "fake", "--format", ".mp3").err.startswith("book-3.mp3: ")
        assert (work / "book.mp3").stat().st_size == 0

    @pytest.mark.parametrize("name", ["wav", "flac", "ogg", "opus", "mp3"])
    def test_standard_output(self, work, capfdbinary, monkeypatch, name):
        """Nothing but audio, whatever a model prints; everything else on standard error."""
        import soundfile

        from realtts.cli.app import run

        code = run(["say", WORDS, "-p", "markup", "-o", "-", "--format", name])
        out, err = capfdbinary.readouterr()
        assert code == 0
        assert soundfile.read(io.BytesIO(out))[0].size == pytest.approx(
            0.8 * soundfile.info(io.BytesIO(out)).samplerate, rel=0.1
        )
        assert b"| 39 ''" in err
        assert b"standard output: 0.80 s of audio" in err

    def test_standard_output_in_a_real_process(self, work, plugins, monkeypatch):
        """Also what is printed on the descriptor itself, as C libraries do, goes elsewhere."""
        import subprocess

        import realtts

        source = (plugins / "fake_variants.py").read_text() + "\nimport os\nos.write(1, b'noise')\n"
        (work / "fake_variants.py").write_text(source)
        folders = [work, plugins, Path(realtts.__file__).parents[1]]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
        command = [sys.executable, "-m", "realtts", "say", WORDS, "-p", "markup", "-o", "-"]
        done = subprocess.run(command, capture_output=True, check=True)
        assert done.stdout.startswith(b"RIFF")
        assert len(done.stdout) == 44 + 2 * 16_000 * 8 // 10
        assert b"| 39 ''" in done.stderr
        assert b"noise" in done.stderr

    def test_a_terminal_gets_no_audio(self, cli, monkeypatch):
        """Bytes on a screen help nobody."""
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        result = cli("say", WORDS, "-p", "fake", "-o", "-")
        assert (result.code, "standard output: it is a terminal" in result.err) == (2, True)

    def test_a_format_beside_a_suffix(self, cli, work):
        """What is said comes before what the name says."""
        import soundfile

        assert cli("say", WORDS, "-p", "fake", "-o", "a.bin", "--format", "flac").code == 0
        assert soundfile.info(str(work / "a.bin")).format == "FLAC"


def test_the_module_is_importable_by_a_spec():
    """The provider above is found by its import path."""
    assert Path(sys.modules[__name__].__file__ or "").name == "test_cli_progress.py"
