"""``realtts say``: text in, audio out."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from realtts.cli import speaking
from realtts.cli.app import run
from realtts.cli.interrupts import Interrupts
from realtts.settings import Settings

WORDS = "one two three four five six seven eight"
WORD_S = 0.1  # of the fake provider


def seconds(path: Path) -> float:
    """Length of an audio file."""
    return soundfile.info(path).duration


def largest(folder: Path) -> int:
    """Size of the largest file, temporary ones included, which may vanish at any time."""
    sizes = [0]
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return max(sizes)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "mp3"])
def test_a_text_becomes_a_file(cli, work, suffix):
    """Every format is written, and the last line says what and how."""
    result = cli("say", WORDS, "-p", "fake", "-o", f"a.{suffix}", "--seed", 7)
    assert result.code == 0
    assert seconds(work / f"a.{suffix}") == pytest.approx(0.8, abs=0.1)
    assert result.err.startswith(f"a.{suffix}: 0.80 s of audio, RTF ")
    assert result.err.endswith("fake/optimized, seed 7\n")
    assert result.out == ""


def test_the_seed_repeats_the_speech(cli, work):
    """The same seed gives the same file, and one that is drawn is printed."""
    drawn = cli("say", WORDS, "-p", "fake", "-o", "a.wav").err.rpartition("seed ")[2].strip()
    cli("say", WORDS, "-p", "fake", "-o", "b.wav", "--seed", drawn)
    cli("say", WORDS, "-p", "fake", "-o", "c.wav", "--seed", int(drawn) + 1)
    files = [(work / name).read_bytes() for name in ("a.wav", "b.wav", "c.wav")]
    assert files[0] == files[1] != files[2]


def test_quiet_prints_nothing(cli):
    """--quiet leaves only errors, whatever was given up."""
    assert cli("say", WORDS, "-p", "falls", "-o", "a.wav", "-q").err == ""


@pytest.mark.parametrize(
    "data",
    [WORDS.encode(), b"\xef\xbb\xbf" + WORDS.encode(), WORDS.replace(" ", "\r\n").encode()],
    ids=["plain", "mark", "windows"],
)
def test_standard_input_is_read(cli, work, data):
    """A dash stands for standard input, with or without a byte order mark."""
    assert cli("say", "-", "-p", "fake", "-o", "a.wav", stdin=data).code == 0
    assert seconds(work / "a.wav") == pytest.approx(0.8)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_read(cli, work, encoding):
    """A text file in UTF-8, or in UTF-16 with its mark."""
    (work / "a.txt").write_text(WORDS, encoding=encoding)
    assert cli("say", "--file", "a.txt", "-p", "fake", "-o", "a.wav").code == 0
    assert seconds(work / "a.wav") == pytest.approx(0.8)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in the file system")
def test_a_pipe_is_read_as_a_file(cli, work):
    """--file <(command) can be read only once, and works."""
    os.mkfifo(work / "pipe")
    feeder = threading.Thread(target=(work / "pipe").write_text, args=(WORDS,))
    feeder.start()
    assert cli("say", "--file", "pipe", "-p", "fake", "-o", "a.wav").code == 0
    feeder.join()
    assert seconds(work / "a.wav") == pytest.approx(0.8)


def test_a_text_may_begin_with_a_dash(cli, work):
    """Behind -- everything is text."""
    assert cli("say", "-p", "fake", "-o", "a.wav", "--", "-5 degrees").code == 0
    assert seconds(work / "a.wav") == pytest.approx(0.2)


def test_all_arguments_reach_the_provider(cli, work, recording):
    """Voice, words of the recording, language, speed, device and options change the request."""
    arguments = ["-p", "fake", "--seed", 1, "--device", "cpu"]
    cli("say", WORDS, *arguments, "-o", "plain.wav")
    result = cli(
        "say", WORDS, *arguments, "-o", "a.wav", "-v", recording, "--reference-text", "la", "-l", "pt_BR", "--strict",
        "--speed", 2, "-O", "loudness=0.6",
    )  # fmt: skip
    assert result.code == 0, result.err
    spoken, plain = soundfile.read(work / "a.wav")[0], soundfile.read(work / "plain.wav")[0]
    assert len(spoken) == pytest.approx(len(plain) / 2, rel=0.1)
    assert np.abs(spoken).max() > 1.5 * np.abs(plain).max()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("label=5", "'5' None"),
        ("label=true", "'true' None"),
        ("label=a=b", "'a=b' None"),
        ("limit=5", "'' 5"),
        ("limit=null", "'' None"),
    ],
)
def test_options_have_the_type_that_the_provider_wants(cli, given, shown):
    """Values are JSON where the option takes that, else strings."""
    result = cli("say", WORDS, "-p", "markup", "-o", "a.wav", "-O", given)
    assert shown in result.out


def test_option_names_may_have_dashes(cli):
    """--option max-new-tokens means max_new_tokens."""
    assert cli("say", WORDS, "-p", "fake", "-o", "a.wav", "-O", "max-new-tokens=3").err.startswith("a.wav: 0.30 s")


def test_markup_is_not_cut_into_blocks(cli, monkeypatch):
    """A document in SSML reaches the provider whole."""
    monkeypatch.setattr(speaking, "BLOCK_CHARS", 20)
    assert cli("say", WORDS, "-p", "markup", "-o", "a.wav", "-O", "ssml=true").out == f"| {len(WORDS)} '' None\n"
    assert cli("say", WORDS, "-p", "markup", "-o", "a.wav").out.count("|") == 2


@pytest.mark.parametrize("provider", ["fake", "pieces"])
def test_a_long_text_is_spoken_block_by_block(cli, work, monkeypatch, provider):
    """Blocks follow one another with the pause that paragraphs have within a block."""
    monkeypatch.setattr(speaking, "BLOCK_CHARS", 50)
    (work / "a.txt").write_text(f"{WORDS}.\n\n{WORDS}.\n\n{'*' * 8}\n\n{WORDS}.\n", encoding="utf-8")
    assert cli("say", "-f", "a.txt", "-p", provider, "-o", "a.wav", "--captions", "a.srt").code == 0
    pause = 0.45
    assert seconds(work / "a.wav") == pytest.approx(3 * 8 * WORD_S + 2 * pause, abs=1e-3)
    starts = [line[:12] for line in (work / "a.srt").read_text().splitlines() if "-->" in line]
    expected = [n * (8 * WORD_S + pause) for n in range(3)]
    assert starts[:3] == [f"00:00:{start:06.3f}".replace(".", ",") for start in expected]


def test_blocks_are_no_longer_than_the_settings_allow(cli, work, monkeypatch):
    """A small max_text_chars makes small blocks, not errors."""
    monkeypatch.setenv("REALTTS_MAX_TEXT_CHARS", "10")
    assert cli("say", WORDS.replace(" ", "\n"), "-p", "fake", "-o", "a.wav").code == 0
    assert seconds(work / "a.wav") == pytest.approx(0.8 + 4 * 0.15)


@pytest.mark.parametrize(("text", "pause"), [("one. two.", 0.15), ("one\n\ntwo", 0.45), ("onee two", 0.0)])
def test_pauses_between_blocks(cli, work, monkeypatch, text, pause):
    """After a sentence, after a paragraph, and none where a sentence goes on; faster speech pauses less."""
    monkeypatch.setattr(speaking, "BLOCK_CHARS", 5)
    for speed in (1, 2):
        assert cli("say", text, "-p", "fake", "-o", "a.wav", "--speed", speed).code == 0
        assert seconds(work / "a.wav") == pytest.approx((0.2 + pause) / speed, abs=0.02)


@pytest.mark.parametrize(("suffix", "first"), [("srt", "1"), ("VTT", "WEBVTT")])
def test_captions(cli, work, suffix, first):
    """Subtitles come from the timings."""
    result = cli("say", WORDS, "-p", "fake", "-o", "a.wav", "--captions", f"a.{suffix}")
    lines = (work / f"a.{suffix}").read_text(encoding="utf-8").splitlines()
    assert lines[0] == first
    assert lines[-1] == WORDS
    assert f"a.{suffix}: captions" in result.err


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_captions_on_a_full_disk(cli, work):
    """Subtitles that cannot be written are an error, beside the audio."""
    (work / "a.srt").symlink_to("/dev/full")
    result = cli("say", WORDS, "-p", "fake", "-o", "a.wav", "--captions", "a.srt")
    assert result.code == 2
    assert result.err.startswith("a.srt: writing failed (No space left on device)")


def test_what_was_given_up_is_listed(cli):
    """One line for each rung: stage, exception and remedy, with brackets and line breaks as plain text."""
    result = cli("say", WORDS, "-p", "falls", "-o", "a.wav")
    assert result.code == 0
    assert "falls/plain" in result.err
    line = result.err.splitlines()[1]
    assert "in stage compile: RuntimeError: no [bold]compiler[/bold] here. Remedy: " in line


def test_warnings_are_listed(cli):
    """Warnings of the speech come after the summary."""
    result = cli("say", WORDS, "-p", "fake", "-o", "a.wav", "-O", "loudness=2")
    assert "warning: " in result.err.splitlines()[1]
    assert "clipped" in result.err.splitlines()[1]


def test_strict_fails_instead(cli, work):
    """--strict raises what would have been given up."""
    result = cli("say", WORDS, "-p", "falls", "-o", "a.wav", "--strict")
    assert result.code == 2
    assert "in stage compile" in result.err.splitlines()[0]
    assert not any(work.iterdir())


def test_an_error_leaves_nothing(cli, work):
    """What was spoken before an error is removed, and an older file stays as it was."""
    assert cli("say", WORDS, "-p", "breaks", "-o", "new.wav").code == 2
    (work / "old.wav").write_bytes(b"precious")
    result = cli("say", WORDS, "-p", "breaks", "-o", "old.wav")
    assert "the model broke" in result.err
    assert [path.name for path in work.iterdir()] == ["old.wav"]
    assert (work / "old.wav").read_bytes() == b"precious"


def test_an_error_leaves_a_stream(cli, work):
    """With --stream the part that others may have read already stays, and is valid."""
    result = cli("say", WORDS, "-p", "breaks", "-o", "a.wav", "--stream")
    assert result.code == 2
    left = seconds(work / "a.wav")
    assert 0 < left <= 0.5
    assert f"a.wav holds the first {left:.2f} s of audio" in result.err


def test_an_error_before_the_stream_leaves_an_older_file(cli, work):
    """--stream touches nothing before there is audio."""
    (work / "a.wav").write_bytes(b"precious")
    assert cli("say", WORDS, "-p", "stuck", "-o", "a.wav", "--stream").code == 2
    assert (work / "a.wav").read_bytes() == b"precious"


def test_a_stream_can_be_read_while_it_is_written(cli, work):
    """With --stream the file grows at its final path."""
    sizes = []

    def watch():
        while not sizes or sizes[-1] < 2 * 16_000 * WORD_S * 4:
            sizes.append((work / "a.wav").stat().st_size if (work / "a.wav").exists() else 0)
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    cli("say", WORDS, "-p", "fake", "-o", "a.wav", "--stream", "-O", "delay_s=0.02")
    watcher.join()
    assert sizes[-1] < (work / "a.wav").stat().st_size


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_full_disk(cli):
    """A disk that is full is an error with its name."""
    result = cli("say", WORDS, "-p", "fake", "-o", "/dev/full", "--stream")
    assert result.code == 2
    assert "/dev/full" in result.err
    assert "No space left" in result.err


@pytest.mark.skipif(sys.platform == "win32", reason="needs /dev/stdout")
def test_audio_to_standard_output(process):
    """A WAV goes into a pipe, and everything else to standard error."""
    import subprocess

    command = [sys.executable, "-m", "realtts", "say", WORDS, "-p", "fake", "-o", "/dev/stdout"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout.startswith(b"RIFF")
    assert len(done.stdout) == 44 + 2 * 16_000 * 8 // 10
    assert done.stderr.startswith(b"/dev/stdout: 0.80 s")


@pytest.mark.skipif(sys.platform == "win32", reason="needs /dev/stdout")
def test_a_reader_that_goes_away(process, work):
    """Nobody reads the audio any more: the command ends without a word."""
    read, write = os.pipe()
    os.close(read)
    import subprocess

    command = [sys.executable, "-m", "realtts", "say", WORDS, "-p", "fake", "-o", "/dev/stdout"]
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


class TestInterrupt:
    """Ctrl-C and SIGTERM."""

    LONG = "word " * 500

    def interrupt(self, path: Path, number: int) -> threading.Thread:
        """Send a signal to this process as soon as there is audio."""

        def send():
            while not (path.exists() and path.stat().st_size > 10_000):
                time.sleep(0.005)
            os.kill(os.getpid(), number)

        sender = threading.Thread(target=send)
        sender.start()
        return sender

    def test_leaves_a_valid_part(self, cli, work):
        """In process, so that the signal meets every state: path and seconds are printed, the file is valid."""
        sender = self.interrupt(work / "a.wav", signal.SIGINT)
        result = cli(
            "say", self.LONG, "-p", "fake", "-o", "a.wav", "--stream", "-O", "delay_s=0.02", "--captions", "a.srt"
        )
        sender.join()
        left = seconds(work / "a.wav")
        assert result.code == 130
        assert 0 < left < 50
        assert result.err == f"Interrupted: a.wav holds the first {left:.2f} s of audio.\n"
        assert "word word" in (work / "a.srt").read_text()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_before_any_audio(self, cli, work, monkeypatch):
        """A signal before the first sound leaves an older file alone."""
        (work / "a.wav").write_bytes(b"precious")

        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(speaking, "_run", interrupted)
        result = cli("say", WORDS, "-p", "fake", "-o", "a.wav")
        assert (result.code, result.err) == (130, "Interrupted before any audio: a.wav was not written.\n")
        assert (work / "a.wav").read_bytes() == b"precious"

    def test_before_the_outputs(self, cli, monkeypatch):
        """A signal while the outputs are checked."""

        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(speaking, "Outputs", interrupted)
        result = cli("say", WORDS, "-p", "fake", "-o", "a.wav")
        assert (result.code, result.err) == (130, "Interrupted before any audio.\n")

    @pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")
    @pytest.mark.parametrize(
        ("stream", "number"),
        [
            pytest.param(True, signal.SIGTERM, id="stream-15"),
            pytest.param(False, signal.SIGINT, id="moved-2"),
            pytest.param(True, signal.SIGINT, id="stream-2", marks=pytest.mark.full),
            pytest.param(False, signal.SIGTERM, id="moved-15", marks=pytest.mark.full),
        ],
    )
    def test_a_real_process(self, work, number, stream):
        """A process that is asked to end finishes its file, says so, and exits with 130; no traceback."""
        import subprocess

        command = [sys.executable, "-m", "realtts", "say", self.LONG, "-p", "fake", "-o", "a.wav", "-O", "delay_s=0.02"]
        child = subprocess.Popen(
            [*command, *(["--stream"] if stream else [])],
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background jobs ignore SIGINT, and so would this one.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no other thread runs
        )
        with child:
            while not largest(work) > 10_000:
                assert child.poll() is None
                time.sleep(0.01)
            child.send_signal(number)
            err = child.communicate(timeout=60)[1]
        left = seconds(work / "a.wav")
        assert child.returncode == 130
        assert 0 < left < 50
        assert err == f"Interrupted: a.wav holds the first {left:.2f} s of audio.\n"
        assert [path.name for path in work.iterdir()] == ["a.wav"]

    def test_part_on_a_full_disk(self, cli, work, monkeypatch):
        """A part that cannot be finished is not left half."""
        from realtts.audio import Writer
        from realtts.errors import OutputError

        def full(self):
            raise OutputError("full", who="disk")

        def interrupted(run):
            run.outputs.write_silence(1.0)
            raise KeyboardInterrupt

        monkeypatch.setattr(Writer, "close", full)
        monkeypatch.setattr(speaking, "_run", interrupted)
        result = cli("say", WORDS, "-p", "fake", "-o", "a.wav")
        assert (result.code, result.err) == (130, "Interrupted before any audio: a.wav was not written.\n")
        assert not any(work.iterdir())

    def test_waits_for_the_end_of_a_write(self):
        """A signal inside a section that is held is raised at its end, once, and not inside a nested one's."""
        finished = []

        def write(interrupts):
            with interrupts.held():
                with interrupts.held():
                    signal.raise_signal(signal.SIGINT)
                    finished.append("inner")
                finished.append("outer")
            finished.append("never")

        with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
            write(interrupts)
        assert finished == ["inner", "outer"]

    def test_an_error_in_a_held_section_comes_first(self):
        """The error is not replaced by the interrupt; what is ignored stays ignored."""

        def write(interrupts):
            with interrupts.held():
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGINT)
                raise ValueError("full")

        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            with Interrupts() as interrupts, pytest.raises(ValueError, match="full"):
                write(interrupts)
        finally:
            signal.signal(signal.SIGTERM, before)

    def test_in_another_thread(self, cli, work):
        """Only the main thread may set handlers; others speak without."""
        codes = []
        speaker = threading.Thread(
            target=lambda: codes.append(run(["say", WORDS, "-p", "fake", "-o", str(work / "a.wav"), "-q"]))
        )
        speaker.start()
        speaker.join()
        assert codes == [0]


class TestProgress:
    """The bar for long texts."""

    def test_on_a_terminal(self, cli, work, monkeypatch):
        """A long text shows how far it is; a short one, or --quiet, nothing."""
        import io

        class Terminal(io.StringIO):
            def isatty(self):
                return True

        def shown(*arguments):
            screen = Terminal()
            monkeypatch.setattr(sys, "stderr", screen)
            assert cli("say", *arguments, "-p", "fake", "-o", "a.wav").code == 0
            return screen.getvalue()

        assert "/1,250 chars" in shown("word " * 250)
        assert "chars" not in shown("word")
        assert shown("word " * 250, "-q") == ""

    def test_not_in_a_pipe(self, cli):
        """Where standard error is no terminal there is no bar."""
        assert "chars" not in cli("say", "word " * 250, "-p", "fake", "-o", "a.wav").err


def test_the_limits_of_blocks_are_below_those_of_settings():
    """By default a block is never too long for a request."""
    assert Settings.model_fields["max_text_chars"].default > speaking.BLOCK_CHARS
