"""Bad input: exit code 2, one message that says who, what and the fix, no traceback and nothing left behind."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile


def make_files() -> None:
    """Files that are not what they should be."""
    Path("nul.txt").write_bytes(b"first line\nsecond\0line")
    Path("latin.txt").write_bytes("Caf\u00e9".encode("latin-1"))
    Path("surrogate.txt").write_bytes(b"lone \xed\xa0\x80")
    Path("blank.txt").write_text(" \n\t \n" * 50_000)
    Path("emoji.txt").write_text("\U0001f600 " * 10, encoding="utf-8")
    Path("big.txt").write_text("word " * 2_000_000)
    Path("zero.wav").touch()
    Path("text.wav").write_text("Dear reader, this is not audio.")
    soundfile.write("silent.wav", np.zeros(48_000), 24_000)
    Path("folder").mkdir()
    Path("folder.wav").mkdir()


CASES = {
    "nothing-to-say": (["say", "-o", "x.wav"], "there is nothing to say"),
    "two-texts": (["say", "hi", "-f", "a.txt", "-o", "x.wav"], "both given"),
    "format": (["say", "hi", "-p", "fake", "-o", "x.wav", "--format", "mp4"], "unknown format"),
    "subcommand": (["voices", "lst"], "did you mean 'list'?"),
    "setting": (["say", "hi", "--dtype", "float32"], "REALTTS_DTYPE"),
    "empty": (["say", "", "-o", "x.wav"], "the text is empty"),
    "blank": (["say", " \n ", "-o", "x.wav"], "the text is blank"),
    "blank-file": (["say", "-f", "blank.txt", "-o", "x.wav"], "the text is blank"),
    "emoji": (["say", "\U0001f600\U0001f389", "-o", "x.wav"], "nothing that can be said"),
    "emoji-file": (["say", "-f", "emoji.txt", "-o", "x.wav"], "nothing that can be said"),
    "10-MB": (["say", "-f", "big.txt", "-o", "x.wav"], "--max-chars"),
    "max-chars": (["say", "hello", "-o", "x.wav", "--max-chars", "4"], "more than 4 characters"),
    "nul-file": (["say", "-f", "nul.txt", "-o", "x.wav"], "a NUL in line 2"),
    "latin-file": (["say", "-f", "latin.txt", "-o", "x.wav"], "not UTF-8"),
    "surrogate-file": (["say", "-f", "surrogate.txt", "-o", "x.wav"], "not UTF-8"),
    "surrogate": (["say", "hi \udcff there", "-o", "x.wav"], "lone surrogate"),
    "missing-file": (["say", "-f", "nowhere.txt", "-o", "x.wav"], "cannot be read"),
    "folder-as-file": (["say", "-f", "folder", "-o", "x.wav"], "cannot be read"),
    "nul-in-path": (["say", "-f", "a\0b", "-o", "x.wav"], "cannot be read"),
    "provider": (["say", "hi", "-p", "fakke", "-o", "x.wav"], "did you mean 'fake'?"),
    "model": (["say", "hi", "-p", "fake", "--model", "huge", "-o", "x.wav"], "'huge'"),
    "device": (["say", "hi", "-p", "fake", "--device", "cuda", "-o", "x.wav"], "cuda"),
    "device-name": (["say", "hi", "-p", "fake", "--device", "gpu", "-o", "x.wav"], "device"),
    "option": (["say", "hi", "-p", "fake", "-O", "loudnes=1", "-o", "x.wav"], "did you mean 'loudness'?"),
    "option-range": (["say", "hi", "-p", "fake", "-O", "loudness=9", "-o", "x.wav"], "loudness is 9"),
    "option-type": (["say", "hi", "-p", "fake", "-O", "loudness=loud", "-o", "x.wav"], "loudness is 'loud'"),
    "option-form": (["say", "hi", "-p", "fake", "-O", "loudness", "-o", "x.wav"], "NAME=VALUE"),
    "speed": (["say", "hi", "-p", "fake", "--speed", "9", "-o", "x.wav"], "speed is 9"),
    "speed-nan": (["say", "hi", "-p", "fake", "--speed", "nan", "-o", "x.wav"], "speed is nan"),
    "speed-word": (["say", "hi", "-p", "fake", "--speed", "fast", "-o", "x.wav"], "--speed"),
    "seed": (["say", "hi", "-p", "fake", "--seed", "-1", "-o", "x.wav"], "seed is -1"),
    "language": (["say", "hi", "-p", "fake", "-l", "xx", "-o", "x.wav"], "does not speak 'xx'"),
    "output-folder": (["say", "hi", "-p", "fake", "-o", "folder.wav"], "it is a folder"),
    "output-nowhere": (["say", "hi", "-p", "fake", "-o", "nowhere/x.wav"], "does not exist"),
    "output-suffix": (["say", "hi", "-p", "fake", "-o", "x.wave"], "did you mean '.wav'?"),
    "captions-suffix": (["say", "hi", "-p", "fake", "-o", "x.wav", "--captions", "x.str"], "did you mean '.srt'?"),
    "captions-nowhere": (["say", "hi", "-p", "fake", "-o", "x.wav", "--captions", "no/x.srt"], "does not exist"),
    "captions-never": (["say", "hi", "-p", "mute", "-o", "x.wav", "--captions", "x.srt"], "gives no timings"),
    "voice-missing": (["say", "hi", "-p", "fake", "-v", "no.wav", "-o", "x.wav"], "no file 'no.wav'"),
    "voice-folder": (["say", "hi", "-p", "fake", "-v", "folder.wav", "-o", "x.wav"], "is a folder"),
    "voice-empty": (["say", "hi", "-p", "fake", "-v", "zero.wav", "-o", "x.wav"], "the file is empty"),
    "voice-text": (["say", "hi", "-p", "fake", "-v", "text.wav", "-o", "x.wav"], "cannot be read as audio"),
    "voice-silent": (["say", "hi", "-p", "fake", "-v", "silent.wav", "-o", "x.wav"], "is silent"),
    "voice-unknown": (["say", "hi", "-p", "fake", "-v", "nobody", "-o", "x.wav"], "'nobody'"),
    "reference-alone": (["say", "hi", "-p", "fake", "--reference-text", "x", "-o", "x.wav"], "without a recording"),
    "status": (["status", "fakke"], "did you mean 'fake'?"),
    "add-silent": (["voices", "add", "me", "silent.wav"], "is silent"),
    "add-name": (["voices", "add", "a/b", "silent.wav"], "not usable"),
    "add-words": (["voices", "add", "me", "silent.wav", "--text-file", "latin.txt"], "latin.txt"),
    "add-words-twice": (["voices", "add", "me", "silent.wav", "--text-file", "a", "--text", "b"], "both given"),
    "remove": (["voices", "remove", "nobody"], "nobody"),
    "plugin-name": (["new-plugin", "My Plugin"], "is no provider name"),
    "plugin-prefix": (["new-plugin", "realtts-hum"], "begins with 'realtts'"),
    "plugin-taken": (["new-plugin", "fake"], "there is a provider 'fake' already"),
    "plugin-folder": (["new-plugin", "hum", "--output", "."], "there is something already"),
    "plugin-file": (["new-plugin", "hum", "--output", "text.wav/hum"], "cannot be written"),
    "command": (["sya"], "sya"),
    "argument": (["say", "hi", "--voise", "x"], "did you mean '--voice'?"),
    "argument-extra": (["providers", "extra"], "unknown argument: extra"),
    "abbreviation": (["say", "hi", "--out", "x.wav"], "did you mean '--output'?"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_is_refused(cli, work, case):
    """In process: the message names what is wrong, and the folder is as it was."""
    make_files()
    before = sorted(work.rglob("*"))
    arguments, message = CASES[case]
    result = cli(*arguments)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert "Fix: " in result.err or "--help" in result.err
    assert result.out == ""
    assert sorted(work.rglob("*")) == before


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the text is empty"),
        (b"one\0two", "a NUL"),
        (b"\xff", "not UTF-8"),
        (b"word " * 2_000_000, "more than 5,000,000 characters"),
    ],
    ids=["empty", "nul", "bytes", "10-MB"],
)
def test_standard_input_is_refused(cli, work, data, message):
    """The same checks hold for what comes by standard input."""
    result = cli("say", "-", "-p", "fake", "-o", "x.wav", stdin=data)
    assert result.code == 2
    assert result.err.startswith("standard input: ")
    assert message in result.err
    assert not any(work.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs a device that is a file")
def test_a_pipe_that_cannot_be_read(cli, monkeypatch):
    """A special file that cannot be read is an error like any other."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    result = cli("say", "-f", "/dev/null", "-p", "fake", "-o", "x.wav")
    assert (result.code, result.err) == (2, "/dev/null: it cannot be read: Permission denied. Fix: give a text file.\n")


@pytest.mark.skipif(not hasattr(__import__("os"), "geteuid"), reason="permissions of POSIX")
def test_unwritable_output(cli, work):
    """A folder without permission is refused before anything is spoken."""
    import os

    if os.geteuid() == 0:
        target = "/proc/x.wav"  # root may write anywhere but here
    else:
        (work / "closed").mkdir(mode=0o500)
        target = "closed/x.wav"
    result = cli("say", "hi", "-p", "fake", "-o", target)
    assert result.code == 2
    assert "cannot be written" in result.err


@pytest.mark.parametrize(
    "case", ["surrogate", *(pytest.param(case, marks=pytest.mark.full) for case in ("10-MB", "voice-text", "provider"))]
)
def test_is_refused_by_the_real_command(process, work, case):
    """In a process of its own: the same; `test_is_refused` has all cases in this one."""
    make_files()
    arguments, message = CASES[case]
    result = process(*arguments)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert not (work / "x.wav").exists()


def test_bytes_on_the_command_line(process):
    """Arguments that are no UTF-8 arrive as surrogates, and are refused."""
    import os
    import subprocess

    if sys.platform == "win32":
        pytest.skip("arguments are UTF-16 there")
    command = [os.fsencode(sys.executable), b"-m", b"realtts", b"say", b"hi \xff", b"-p", b"fake", b"-o", b"x.wav"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"lone surrogate" in done.stderr
