"""Audio written to files: whole or not at all, in every format, and as it comes."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from realtts import audio
from realtts.errors import OutputError

RATE = 24_000
FORMATS = ["wav", "flac", "ogg", "opus", "mp3"]


def listed(folder):
    """Names of what is in a folder, hidden things too."""
    return sorted(item.name for item in folder.iterdir())


def tone(seconds=0.5, rate=RATE, hz=440.0):
    """A sine at half of full scale."""
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def pitch(samples, rate):
    """The strongest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 18))
    return np.argmax(spectrum) * rate / (1 << 18)


class FullDisk(io.RawIOBase):
    """A file on a disk with room for a few bytes only."""

    def __init__(self, room):
        self.room = room
        self.at = 0

    def writable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=0):
        self.at = offset
        return offset

    def tell(self):
        return self.at

    def write(self, data):
        if self.at + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.at += len(data)
        return len(data)


def fill_disk(monkeypatch, room):
    """Let every file that is opened for writing end on a full disk."""
    real = Path.open

    def opened(self, mode="r", *args, **kwargs):
        return FullDisk(room) if "w" in mode else real(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opened)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_written_and_read_back(tmp_path, suffix):
    """Same length, pitch and level."""
    audio.write(tmp_path / f"a.{suffix}", tone(), RATE)
    samples, rate = audio.read(tmp_path / f"a.{suffix}", max_seconds=10)
    assert rate == RATE
    assert len(samples) == pytest.approx(12_000, abs=50)
    assert pitch(samples, rate) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert listed(tmp_path) == [f"a.{suffix}"]


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [("wav", "PCM_16"), ("flac", "PCM_16"), ("ogg", "OPUS"), ("opus", "OPUS"), ("mp3", "MPEG_LAYER_III")],
)
def test_default_encodings(tmp_path, suffix, subtype):
    """16 bits where there is a choice, and Opus in Ogg."""
    audio.write(tmp_path / f"a.{suffix}", tone(), RATE)
    assert soundfile.info(tmp_path / f"a.{suffix}").subtype == subtype


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("count", [0, 1, 100])
def test_very_short_audio_gives_a_valid_file(tmp_path, suffix, count):
    """Even none at all."""
    audio.write(tmp_path / f"a.{suffix}", tone()[:count], RATE)
    assert soundfile.info(tmp_path / f"a.{suffix}").samplerate == RATE


@pytest.mark.parametrize(
    ("suffix", "rate", "expected"),
    [
        ("opus", 22_050, 24_000),
        ("opus", 44_100, 48_000),
        ("ogg", 96_000, 48_000),
        ("mp3", 20_000, 22_050),
        ("mp3", 96_000, 48_000),
        ("wav", 22_050, 22_050),
        ("flac", 96_000, 96_000),
    ],
)
def test_rates_that_a_format_lacks_are_raised(tmp_path, suffix, rate, expected):
    """To the next one that it has, the pitch kept."""
    audio.write(tmp_path / f"a.{suffix}", tone(rate=rate), rate)
    samples, written = soundfile.read(tmp_path / f"a.{suffix}")
    assert written == expected
    assert pitch(samples, written) == pytest.approx(440, abs=2)


def test_floating_point_comes_back_exactly(tmp_path):
    """Beyond full scale too."""
    samples = tone() * 3
    audio.write(tmp_path / "a.wav", samples, RATE, subtype="float")
    assert np.array_equal(audio.read(tmp_path / "a.wav", max_seconds=10)[0], samples)


def test_sixteen_bits_are_clipped_and_do_not_wrap(tmp_path):
    """What is too loud ends at full scale with its own sign."""
    audio.write(tmp_path / "a.wav", np.array([2.0, -2.0, 0.5], np.float32), RATE)
    assert soundfile.read(tmp_path / "a.wav", dtype="int16")[0].tolist() == [32767, -32768, 16384]


def test_double_precision_is_accepted(tmp_path):
    """Samples may be any floating point."""
    audio.write(tmp_path / "a.wav", tone().astype(np.float64), RATE)
    assert soundfile.info(tmp_path / "a.wav").frames == 12_000


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("a.xyz", r"unknown suffix '.xyz'.*\.wav, \.flac, \.ogg, \.opus, \.mp3"),
        ("a.flacc", "did you mean '.flac'"),
        ("a", "no suffix"),
        ("no/such/a.wav", "does not exist.*create the folder"),
        ("file/a.wav", "does not exist"),
        (".", "is a folder"),
        ("a\0.wav", "null"),
        ("x" * 300 + ".wav", "too long"),
    ],
    ids=["unknown", "misspelt", "none", "folder", "file as folder", "is folder", "NUL", "long"],
)
@pytest.mark.parametrize("live", [False, True], ids=["whole", "live"])
def test_targets_that_cannot_be_written_are_refused_at_once(tmp_path, name, what, live):
    """Before any model work, with the fix, and nothing is left behind."""
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=what):
        audio.open_writer(tmp_path / name, live=live)
    assert listed(tmp_path) == ["file"]


@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_missing_permission_is_found_at_once(tmp_path, monkeypatch, existing):
    """For a new file by the folder, for an existing one by the file."""
    path = tmp_path / "a.wav"

    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    if existing:
        path.touch()
        monkeypatch.setattr(os, "access", lambda *args: False)
    else:
        monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(OutputError, match="choose a place that you may write to"):
        audio.open_writer(path)


@pytest.mark.parametrize(
    ("samples", "rate", "subtype", "what"),
    [
        (tone().reshape(1, -1), RATE, None, r"shape \(1, 12000\)"),
        (np.zeros(5, np.int16), RATE, None, "int16"),
        (np.array([np.nan], np.float32), RATE, None, "NaN"),
        (tone(), 0, None, "0 Hz"),
        (tone(), 2_000_000_000, None, "cannot be written at"),
        (tone(), RATE, "FLOAT", "no subtype 'FLOAT'.*PCM_16"),
    ],
    ids=["shape", "dtype", "NaN", "no rate", "silly rate", "subtype"],
)
def test_what_cannot_be_written_leaves_nothing_behind(tmp_path, samples, rate, subtype, what):
    """And an older file survives."""
    (tmp_path / "a.flac").write_bytes(b"old")
    with pytest.raises(OutputError, match=what):
        audio.write(tmp_path / "a.flac", samples, rate, subtype=subtype)
    assert (tmp_path / "a.flac").read_bytes() == b"old"
    assert listed(tmp_path) == ["a.flac"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("room", [0, 1000], ids=["at once", "later"])
def test_a_full_disk_is_reported(tmp_path, monkeypatch, suffix, room):
    """Wherever it happens: in the header, while writing, or when the file is closed."""
    (tmp_path / f"a.{suffix}").write_bytes(b"old")
    fill_disk(monkeypatch, room)
    with pytest.raises(OutputError, match=r"No space left.*free some disk space"):
        audio.write(tmp_path / f"a.{suffix}", tone(), RATE)
    monkeypatch.undo()
    assert (tmp_path / f"a.{suffix}").read_bytes() == b"old"


def test_a_disk_that_fills_up_in_the_buffer_is_reported(tmp_path, monkeypatch):
    """What was buffered is written when the file is closed, and that may fail too."""

    def opened(self, mode="r", *args, **kwargs):
        return io.BufferedWriter(FullDisk(100), 10**7)

    monkeypatch.setattr(Path, "open", opened)
    writer = audio.open_writer(tmp_path / "a.wav")
    writer.write(tone(), RATE)
    with pytest.raises(OutputError, match="No space left"):
        writer.close()


@pytest.mark.parametrize("step", ["replace", "open"])
def test_failures_around_the_file_leave_the_older_one(tmp_path, monkeypatch, step):
    """When it cannot be created, and when it cannot be moved into place."""
    (tmp_path / "a.wav").write_bytes(b"old")
    writer = audio.open_writer(tmp_path / "a.wav", RATE)

    def refuse(*args, **kwargs):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, step, refuse)
    with pytest.raises(OutputError, match="Input/output error"), writer:
        writer.write(tone())
    monkeypatch.undo()
    assert (tmp_path / "a.wav").read_bytes() == b"old"
    assert listed(tmp_path) == ["a.wav"]


def test_a_symbolic_link_stays_a_link(tmp_path):
    """The file that it points to is replaced."""
    real = tmp_path / "real" / "b.wav"
    real.parent.mkdir()
    real.write_bytes(b"old")
    (tmp_path / "a.wav").symlink_to(real)
    audio.write(tmp_path / "a.wav", tone(), RATE)
    assert (tmp_path / "a.wav").is_symlink()
    assert soundfile.info(real).frames == 12_000


def test_the_mode_of_an_older_file_is_kept(tmp_path):
    """A new file has the mode that the umask gives."""
    audio.write(tmp_path / "a.wav", tone(), RATE)
    (tmp_path / "new").touch()
    assert (tmp_path / "a.wav").stat().st_mode == (tmp_path / "new").stat().st_mode
    (tmp_path / "a.wav").chmod(0o640)
    audio.write(tmp_path / "a.wav", tone(), RATE)
    assert (tmp_path / "a.wav").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", [*FORMATS, ".wav", "WAV"])
def test_encode_gives_the_bytes_of_a_file(name):
    """For players and for HTTP."""
    data = audio.encode(tone(), RATE, name)
    assert soundfile.info(io.BytesIO(data)).frames == pytest.approx(12_000, abs=50)


def test_encode_names_the_formats_that_it_knows():
    """When asked for another."""
    with pytest.raises(OutputError, match="choose one of wav, flac, ogg, opus, mp3"):
        audio.encode(tone(), RATE, "wma")


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_piece_by_piece_equals_whole(tmp_path, suffix):
    """With the sample rate known at the first write only."""
    samples = tone(2.0)
    audio.write(tmp_path / f"whole.{suffix}", samples, RATE)
    with audio.open_writer(tmp_path / f"parts.{suffix}") as writer:
        assert writer.duration == 0.0
        for start in range(0, len(samples), 777):
            writer.write(samples[start : start + 777], RATE)
        assert writer.written == len(samples)
        assert writer.duration == 2.0
    whole, parts = (soundfile.read(tmp_path / f"{name}.{suffix}")[0] for name in ("whole", "parts"))
    assert np.array_equal(whole, parts)


def test_resampled_piece_by_piece(tmp_path):
    """Opus at a rate that it lacks."""
    with audio.open_writer(tmp_path / "a.opus") as writer:
        for _ in range(10):
            writer.write(tone(0.1, 22_050), 22_050)
    assert writer.written == 22_050
    assert soundfile.info(tmp_path / "a.opus").duration == pytest.approx(1.0, abs=0.001)


def test_nothing_is_visible_until_the_file_is_closed(tmp_path):
    """Only then does it appear under its name."""
    with audio.open_writer(tmp_path / "a.wav", RATE) as writer:
        assert listed(tmp_path) == []
        writer.write(tone())
        assert not (tmp_path / "a.wav").exists()
    assert listed(tmp_path) == ["a.wav"]
    writer.close()  # harmless
    writer.abort()
    assert listed(tmp_path) == ["a.wav"]


def test_an_exception_aborts(tmp_path):
    """The older file stays, and nothing else."""
    (tmp_path / "a.wav").write_bytes(b"old")
    with contextlib.suppress(KeyError), audio.open_writer(tmp_path / "a.wav", RATE) as writer:
        writer.write(tone())
        raise KeyError
    assert (tmp_path / "a.wav").read_bytes() == b"old"
    assert listed(tmp_path) == ["a.wav"]


@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_writer_that_wrote_nothing_leaves_everything_alone(tmp_path, end):
    """Whether it is closed or aborted."""
    (tmp_path / "a.wav").write_bytes(b"old")
    getattr(audio.open_writer(tmp_path / "a.wav"), end)()
    assert (tmp_path / "a.wav").read_bytes() == b"old"


def test_misuse_of_a_writer_is_explained(tmp_path):
    """No rate, another rate, and after the end."""
    writer = audio.open_writer(tmp_path / "a.wav")
    with pytest.raises(OutputError, match="not known"):
        writer.write(tone())
    writer.write(tone(), RATE)
    with pytest.raises(OutputError, match="changed from 24000 to 16000"):
        writer.write(tone(), 16_000)
    writer.close()
    with pytest.raises(OutputError, match="closed"):
        writer.write(tone(), RATE)


def test_live_files_grow_where_they_are(tmp_path):
    """They can be read while they are written, and are complete in the end."""
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    writer = audio.open_writer(path, live=True)
    assert path.read_bytes() == b"old"
    writer.write(tone(), RATE)
    assert len(audio.read(path, max_seconds=10)[0]) == 12_000
    writer.write(tone(), RATE)
    assert len(audio.read(path, max_seconds=10)[0]) == 24_000
    writer.close()
    assert soundfile.info(path).frames == 24_000
    assert int.from_bytes(path.read_bytes()[40:44], "little") == 48_000


def test_an_aborted_live_file_is_removed(tmp_path):
    """Half a file helps nobody."""
    with contextlib.suppress(KeyError), audio.open_writer(tmp_path / "a.wav", live=True) as writer:
        writer.write(tone(), RATE)
        raise KeyError
    assert listed(tmp_path) == []


def test_a_wav_file_ends_before_four_gigabytes(tmp_path, monkeypatch):
    """What was written until then is a valid file."""
    monkeypatch.setattr("realtts.audio.encoder._WAV_BYTES", 50_000)
    writer = audio.open_writer(tmp_path / "a.wav", RATE)
    writer.write(tone())
    writer.write(tone())
    with pytest.raises(OutputError, match=r"4 GiB.*\.flac"):
        writer.write(tone())
    writer.close()
    assert soundfile.info(tmp_path / "a.wav").frames == 24_000


def test_other_formats_do_not_end_there(tmp_path, monkeypatch):
    """The limit is WAV's own."""
    monkeypatch.setattr("realtts.audio.encoder._WAV_BYTES", 10)
    audio.write(tmp_path / "a.flac", tone(), RATE)


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
def test_named_pipes_are_written_directly(tmp_path, suffix):
    """A reader at the other end gets the whole audio, and the pipe stays."""
    pipe = tmp_path / f"pipe.{suffix}"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    audio.write(pipe, tone(), RATE)
    reader.join()
    (tmp_path / f"copy.{suffix}").write_bytes(received[0])
    samples, rate = audio.read(tmp_path / f"copy.{suffix}", max_seconds=10)
    assert (len(samples), rate) == (12_000, RATE)
    assert pipe.is_fifo()


def test_a_reader_that_went_away_is_reported(tmp_path):
    """A broken pipe is an error like a full disk."""
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = audio.open_writer(pipe, RATE)
    writer.write(tone())
    os.close(reader)
    with pytest.raises(OutputError, match="Broken pipe"):
        writer.write(tone())
    writer.abort()
    assert pipe.is_fifo()


def test_devices_need_no_suffix():
    """They get WAV."""
    audio.write("/dev/null", tone(), RATE)


def test_standard_output_may_be_a_file(tmp_path, monkeypatch):
    """A file that the shell opened is written, not replaced."""
    path = tmp_path / "out.wav"
    with path.open("wb") as file:
        audio.write(f"/proc/self/fd/{file.fileno()}", tone(), RATE)
    assert listed(tmp_path) == ["out.wav"]
    assert len(audio.read(path, max_seconds=10)[0]) == 12_000


def test_a_device_without_permission_is_refused(monkeypatch):
    """At once, like any other target."""
    monkeypatch.setattr(os, "access", lambda *args: False)
    with pytest.raises(OutputError, match="no permission"):
        audio.open_writer("/dev/null")
