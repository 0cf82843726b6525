"""A speech as bytes, in file objects, as AAC, and played."""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import shutil
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from realtts import OutputError, RealProvider, Speech, audio
from realtts.audio import aac, players
from realtts.testing import fake_spec

RATE = 24_000
FORMATS = ["wav", "flac", "ogg", "opus", "mp3"]
HAS_PYAV = importlib.util.find_spec("av") is not None


def tone(seconds=1.0, rate=RATE):
    """A sine at half of full scale."""
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def speech(seconds=1.0, rate=RATE):
    """A speech of a tone."""
    return Speech(tone(seconds, rate), rate)


def check(data, seconds, rate=None):
    """The bytes are audio of this length, at a level that was not changed."""
    samples, written = soundfile.read(io.BytesIO(data))
    assert len(samples) / written == pytest.approx(seconds, abs=0.06)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.354, rel=0.06)
    assert rate in {None, written}


class TestEncode:
    """`Speech.encode`."""

    @pytest.mark.parametrize("name", [*FORMATS, ".MP3"])
    @pytest.mark.parametrize("rate", [16_000, 24_000])
    def test_every_format(self, name, rate):
        """Length, rate and level are those of the speech."""
        check(speech(rate=rate).encode(name), 1.0, rate)

    def test_wav_is_the_default(self):
        """And the subtype is the caller's."""
        assert speech().encode() == audio.encode(tone(), RATE, "wav")
        data = speech().encode(subtype="float")
        assert np.array_equal(soundfile.read(io.BytesIO(data), dtype="float32")[0], tone())

    @pytest.mark.parametrize("name", ["", "wave", "mp4", None, 3, "a.wav"])
    def test_unknown_formats(self, name):
        """A typed error that lists what there is."""
        with pytest.raises(OutputError, match="choose one of wav, flac, ogg, opus, mp3, m4a, aac"):
            speech().encode(name)


class Half(io.RawIOBase):
    """An unbuffered file that takes no more than ten bytes at a time."""

    def __init__(self):
        super().__init__()
        self.data = b""

    def writable(self):
        return True

    def write(self, data):
        self.data += bytes(data[:10])
        return min(10, len(data))


class Forwards:
    """An object with nothing but write, such as a response of a web server."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += bytes(data)


class TestFileObjects:
    """`Speech.save` and `open_writer` with something that is open already."""

    @pytest.mark.parametrize("name", [None, *FORMATS])
    def test_bytes_io(self, name):
        """WAV where nothing is said; the object is left open, at the end of what was written."""
        file = io.BytesIO()
        speech().save(file, format=name)
        assert file.tell() == len(file.getvalue())
        assert file.getvalue()[:4] == {None: b"RIFF", "wav": b"RIFF", "flac": b"fLaC", "mp3": file.getvalue()[:4]}.get(
            name, b"OggS"
        )
        check(file.getvalue(), 1.0)

    def test_it_begins_where_the_object_stands(self):
        """Two speeches in one object, behind something else."""
        file = io.BytesIO(b"head")
        file.seek(4)
        speech().save(file)
        middle = file.tell()
        speech(0.5).save(file)
        assert file.getvalue()[:4] == b"head"
        check(file.getvalue()[4:middle], 1.0)
        check(file.getvalue()[middle:], 0.5)

    @pytest.mark.parametrize("name", ["a.mp3", "a.FLAC", "a.ogg", "a.dat", "a"])
    def test_the_name_of_an_open_file_counts(self, tmp_path, name):
        """A file that was opened as .mp3 holds MP3."""
        with (tmp_path / name).open("wb") as file:
            speech().save(file)
        kinds = {"a.mp3": "MP3", "a.FLAC": "FLAC", "a.ogg": "OGG"}
        assert soundfile.info(str(tmp_path / name)).format == kinds.get(name, "WAV")

    @pytest.mark.parametrize("kind", [Half, Forwards])
    def test_poor_objects(self, kind):
        """Those that take little at a time, and those that can do nothing but write."""
        file = kind()
        speech().save(file)
        check(file.data, 1.0)

    def test_a_pipe(self):
        """A number instead of a name, and no way back."""
        read, write = os.pipe()
        with os.fdopen(read, "rb") as reader, os.fdopen(write, "wb") as writer:
            speech(0.1).save(writer)
            writer.close()
            check(reader.read(), 0.1)

    @pytest.mark.parametrize("file", [io.StringIO(), io.BytesIO()], ids=["text", "closed"])
    def test_objects_that_take_no_bytes(self, file):
        """Typed errors."""
        if isinstance(file, io.BytesIO):
            file.close()
        with pytest.raises(OutputError):
            speech().save(file)

    @pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
    def test_a_full_disk(self):
        """A typed error too."""
        with Path("/dev/full").open("wb", buffering=0) as file, pytest.raises(OutputError, match="No space left"):
            speech().save(file)

    def test_nothing_is_written_of_audio_that_cannot_be(self):
        """Samples with NaN."""
        file = io.BytesIO()
        with pytest.raises(OutputError, match="NaN"):
            Speech(np.full(10, np.nan, np.float32), RATE).save(file)
        assert file.getvalue() == b""

    @pytest.mark.parametrize("live", [False, True])
    def test_piece_by_piece(self, live):
        """At the end, with right lengths; or as it comes, and after an error without what was not written yet."""
        file = io.BytesIO()
        with audio.open_writer(file, RATE, live=live) as writer:
            writer.write(tone())
            assert bool(file.getvalue()) == live
        assert not file.closed
        data = file.getvalue()
        assert len(data) == 44 + 2 * RATE
        assert (data[4:8] == b"\xff\xff\xff\xff") == live

    def test_an_error_leaves_nothing(self):
        """What waited is dropped."""
        file = io.BytesIO()

        def fail():
            with audio.open_writer(file, RATE) as writer:
                writer.write(tone())
                raise ValueError

        with pytest.raises(ValueError):
            fail()
        assert file.getvalue() == b""

    def test_a_path_with_a_format(self, tmp_path):
        """What is said comes before the suffix, and a name may have none."""
        speech().save(tmp_path / "speech", format="flac")
        assert soundfile.info(str(tmp_path / "speech")).format == "FLAC"


FFMPEG = """#!{python}
import sys
from pathlib import Path
arguments = sys.argv[1:]
data = sys.stdin.buffer.read()
{body}
"""


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """Put a program called ffmpeg where programs are looked for, and take PyAV away."""
    monkeypatch.setattr(aac.importlib.util, "find_spec", lambda _: None)
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", str(program.parent))

    def make(body):
        program.write_text(FFMPEG.format(python=sys.executable, body=body), encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return make


class TestAac:
    """AAC and M4A."""

    @pytest.mark.parametrize("name", ["m4a", "aac"])
    def test_nobody_can_write_it(self, tmp_path, monkeypatch, name):
        """A typed error before any work, with what to install and what to choose instead; nothing is left behind."""
        monkeypatch.setattr(aac.importlib.util, "find_spec", lambda _: None)
        monkeypatch.setenv("PATH", str(tmp_path))
        for call in (
            lambda: speech().encode(name),
            lambda: speech().save(tmp_path / f"a.{name}"),
            lambda: audio.open_writer(tmp_path / f"a.{name}"),
            lambda: audio.open_writer(io.BytesIO(), format=name),
            lambda: speech().save(io.BytesIO(), format=name),
        ):
            with pytest.raises(OutputError, match="pip install av, or install ffmpeg, or choose a format"):
                call()
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(sys.platform == "win32", reason="the program is a script")
    @pytest.mark.parametrize(("name", "container"), [("m4a", "ipod"), ("aac", "adts")])
    def test_by_ffmpeg(self, ffmpeg, name, container):
        """It gets the samples at a rate that AAC has; what it writes is what comes out."""
        ffmpeg("open(arguments[-1], 'wb').write(' '.join(arguments[:-1]).encode() + b'|' + data)")
        about, _, data = speech(rate=22_051).encode(name).partition(b"|")
        assert f"-f f32le -ar 24000 -ac 1 -i pipe:0 -c:a aac -b:a 96000 -f {container}".encode() in about
        samples = np.frombuffer(data, "<f4")
        assert len(samples) == pytest.approx(24_000, abs=2)
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.354, rel=0.02)

    @pytest.mark.skipif(sys.platform == "win32", reason="the program is a script")
    @pytest.mark.parametrize(
        "body", ["print('Unknown encoder aac', file=sys.stderr); sys.exit(1)", "sys.stdin.close(); sys.exit('no disk')"]
    )
    def test_ffmpeg_fails(self, ffmpeg, tmp_path, body):
        """Its last words are in the error, and nothing is left behind."""
        ffmpeg(body)
        with pytest.raises(OutputError, match=r"ffmpeg failed \((Unknown encoder aac|no disk)\)"):
            speech().save(tmp_path / "a.m4a")
        assert [path.name for path in tmp_path.iterdir()] == ["bin"]

    @pytest.mark.skipif(not HAS_PYAV, reason="PyAV is not installed")
    @pytest.mark.parametrize("rate", [8_000, 16_001, 22_050, 24_000, 48_000])
    @pytest.mark.parametrize("name", ["m4a", "aac"])
    @pytest.mark.parametrize("live", [False, True])
    def test_by_pyav(self, tmp_path, rate, name, live):
        """Decoded again it has its length, but for the frames that AAC adds, its level and a rate that AAC has."""
        path = tmp_path / f"a.{name}"
        with audio.open_writer(path, rate, live=live) as writer:
            for start in range(0, 2 * rate, 5_000):
                writer.write(tone(2.0, rate)[start : start + 5_000])
        samples, written = audio.read(path, max_seconds=5)
        assert written == {16_001: 22_050}.get(rate, rate)
        frames = 1 if name == "m4a" and not live else 3
        assert 2.0 - 0.001 <= len(samples) / written <= 2.0 + frames * 1024 / written
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.354, rel=0.1)
        if not live:
            assert speech(2.0, rate).encode(name) == path.read_bytes() or name == "m4a"  # M4A holds the time

    @pytest.mark.skipif(not (HAS_PYAV and shutil.which("ffmpeg")), reason="PyAV or ffmpeg is not installed")
    def test_both_agree(self, monkeypatch):
        """A real ffmpeg and PyAV write files of about the same size."""
        ours = len(speech(3.0).encode("m4a"))
        monkeypatch.setattr(aac.importlib.util, "find_spec", lambda _: None)
        assert len(speech(3.0).encode("m4a")) == pytest.approx(ours, rel=0.1)

    def test_subtypes(self):
        """There is one."""
        with pytest.raises(OutputError, match=r"M4A has no subtype 'PCM_16'.*choose one of AAC"):
            audio.encode(tone(), RATE, "m4a", subtype="PCM_16")


@pytest.mark.skipif(sys.platform == "win32", reason="the players are shell scripts")
class TestPlay:
    """`Speech.play`."""

    @pytest.fixture
    def install(self, tmp_path, monkeypatch):
        """Put a script on a PATH of its own."""
        folder = tmp_path / "bin"
        folder.mkdir()
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.chdir(tmp_path)

        def install(name, body):
            (folder / name).write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{body}\n", encoding="utf-8")
            (folder / name).chmod(0o755)

        return install

    @pytest.mark.parametrize("seconds", [0.0, 0.1, 1.0, 2.5])
    def test_all_of_it_is_heard(self, tmp_path, install, seconds):
        """It returns when the player has ended, which got every sample."""
        install("aplay", "cat > heard")
        speech(seconds).play()
        heard = (tmp_path / "heard").read_bytes() if (tmp_path / "heard").exists() else b""
        assert len(np.frombuffer(heard, "<i2")) == round(seconds * RATE)

    def test_a_player_of_files(self, tmp_path, install):
        """It gets a WAV file."""
        install("afplay", 'cp "$1" heard.wav')
        speech().play()
        assert soundfile.info(str(tmp_path / "heard.wav")).duration == pytest.approx(1.0)

    def test_no_player(self, install):
        """The error says what to install, and no option of the command line."""
        with pytest.raises(OutputError, match="no player was found") as caught:
            speech().play()
        assert caught.value.who == "play"
        assert caught.value.fix.endswith("or save the speech to a file")

    def test_a_player_that_fails(self, install):
        """Its own words are in the error."""
        install("aplay", "echo 'cannot find card 0' >&2; exit 1")
        with pytest.raises(OutputError, match=r"cannot find card 0.*or save the speech to a file"):
            speech(30.0).play()

    def test_an_interrupt_ends_the_player(self, install, monkeypatch):
        """Ctrl-C while it plays."""
        install("aplay", "cat > heard; sleep 60")
        stopped = []

        def interrupted(self):
            raise KeyboardInterrupt

        stop = players.Playback.stop
        monkeypatch.setattr(players.Playback, "finish", interrupted)
        monkeypatch.setattr(players.Playback, "stop", lambda self: (stopped.append(self), stop(self)))
        with pytest.raises(KeyboardInterrupt):
            speech().play()
        assert stopped[0]._process is None


@pytest.mark.parametrize("texts", [["one"], ("one", "two"), {"one"}, np.array(["one"])], ids=range(4))
def test_several_texts_belong_to_a_batch(texts):
    """The error of `generate` names the method that takes them."""
    with RealProvider(fake_spec()) as tts, pytest.raises(Exception, match=r"call generate_batch\(texts\)"):
        tts.generate(texts)


def test_before_a_load_nothing_is_known():
    """Whether the fast path runs is neither true nor false then; afterwards it is."""
    with RealProvider(fake_spec()) as tts:
        assert tts.get_provider_status()["optimization_enabled"] is None
        assert tts.load().get_provider_status()["optimization_enabled"] is True
        tts.unload()
        assert tts.get_provider_status()["optimization_enabled"] is None
    with RealProvider(fake_spec(), optimize=False) as tts:
        assert tts.load().get_provider_status()["optimization_enabled"] is False


@pytest.mark.parametrize(
    ("setting", "asked", "same"),
    [("de", None, "de"), ("de", "en", "en"), ("xx", None, None), (None, "de", "de"), ("pt_BR", None, "pt-br")],
)
def test_the_language_of_the_settings(setting, asked, same):
    """It holds where the call names none, and is dropped where the provider does not speak it."""
    with RealProvider(fake_spec(), language=setting) as tts, RealProvider(fake_spec()) as plain:
        ours = tts.generate("hello there", language=asked, seed=1)
        assert np.array_equal(ours.samples, plain.generate("hello there", language=same, seed=1).samples)
