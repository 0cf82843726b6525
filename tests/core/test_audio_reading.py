"""Audio files read for cloning, and what is wrong with those that cannot be."""

from __future__ import annotations

import contextlib
import importlib.machinery
import os
import sys
import types

import numpy as np
import pytest
import soundfile

from realtts import audio
from realtts.errors import VoiceNotFound, VoiceUnreadable, VoiceUnsuitable

RATE = 16_000


def noise(seconds=1.0):
    """Noise at a tenth of full scale."""
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_every_encoding_becomes_float32(tmp_path, subtype):
    """Mono, in [-1, 1], at the rate of the file."""
    soundfile.write(tmp_path / "a.wav", noise(), RATE, subtype=subtype)
    samples, rate = audio.read(tmp_path / "a.wav", max_seconds=2)
    assert samples.dtype == np.float32
    assert (samples.shape, rate) == ((RATE,), RATE)
    assert np.allclose(samples, noise(), atol=0.02)


def test_channels_are_averaged(tmp_path):
    """Two of them, one silent."""
    soundfile.write(tmp_path / "a.wav", np.stack([noise(), 0 * noise()], axis=1), RATE, subtype="FLOAT")
    assert np.allclose(audio.read(str(tmp_path / "a.wav"), max_seconds=2)[0], noise() / 2)


def test_long_files_are_read_in_blocks(tmp_path):
    """Longer than one block."""
    soundfile.write(tmp_path / "a.wav", noise(10), RATE, subtype="FLOAT")
    assert np.array_equal(audio.read(tmp_path / "a.wav", max_seconds=10)[0], noise(10))


@pytest.mark.parametrize("name", ["no.wav", "no/such.wav", "a\0.wav", "x" * 300], ids=["file", "folder", "NUL", "long"])
def test_a_missing_file_is_not_found(tmp_path, name):
    """Whatever the path looks like."""
    with pytest.raises(VoiceNotFound, match="check the path"):
        audio.read(tmp_path / name, max_seconds=2)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.raw", "a"])
@pytest.mark.parametrize("content", [b"just a text file, no audio", b"\0" * 5000], ids=["text", "zeros"])
def test_what_is_no_audio_is_unreadable(tmp_path, name, content):
    """Whatever it calls itself."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VoiceUnreadable, match=f"{name}.*pass a WAV"):
        audio.read(tmp_path / name, max_seconds=2)


def test_an_empty_file_is_unreadable(tmp_path):
    """It has not even a header."""
    (tmp_path / "a.wav").touch()
    with pytest.raises(VoiceUnreadable, match="empty"):
        audio.read(tmp_path / "a.wav", max_seconds=2)


def test_a_file_without_frames_is_unreadable(tmp_path):
    """It has only a header."""
    soundfile.write(tmp_path / "a.wav", noise(0), RATE)
    with pytest.raises(VoiceUnreadable, match="no audio"):
        audio.read(tmp_path / "a.wav", max_seconds=2)


def test_folders_and_pipes_are_unreadable(tmp_path):
    """And a pipe does not block."""
    with pytest.raises(VoiceUnreadable, match="folder"):
        audio.read(tmp_path, max_seconds=2)
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(VoiceUnreadable, match="not a regular file"):
        audio.read(tmp_path / "pipe.wav", max_seconds=2)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.9])
def test_a_file_that_is_cut_short_is_unreadable(tmp_path, suffix, share):
    """A download that stopped."""
    soundfile.write(tmp_path / f"a.{suffix}", noise(), RATE)
    content = (tmp_path / f"a.{suffix}").read_bytes()
    (tmp_path / f"a.{suffix}").write_bytes(content[: int(share * len(content))])
    with pytest.raises(VoiceUnreadable):
        audio.read(tmp_path / f"a.{suffix}", max_seconds=2)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF], ids=hex)
def test_a_wav_file_from_a_pipe_may_not_know_its_length(tmp_path, length):
    """Its header says so with a length that cannot be."""
    soundfile.write(tmp_path / "a.wav", noise(), RATE)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[40:44] = length.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content)
    assert len(audio.read(tmp_path / "a.wav", max_seconds=2)[0]) == RATE


def test_a_riff_file_without_data_is_unreadable(tmp_path):
    """It has chunks, but none with samples."""
    (tmp_path / "a.wav").write_bytes(b"RIFF\x20\0\0\0WAVEjunk\x04\0\0\0abcd")
    with pytest.raises(VoiceUnreadable):
        audio.read(tmp_path / "a.wav", max_seconds=2)


def test_a_long_file_is_refused_from_its_header(tmp_path, monkeypatch):
    """Before a sample is read."""
    soundfile.write(tmp_path / "a.wav", noise(3), RATE)
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    with pytest.raises(VoiceUnsuitable, match=r"longer than 2 s: it has 3\.0 s"):
        audio.read(tmp_path / "a.wav", max_seconds=2)


@pytest.mark.parametrize("share", [1.0, 0.5], ids=["whole", "half"])
def test_a_flac_file_from_a_pipe_is_read_to_its_end(tmp_path, share):
    """Its header does not say how long it is; one that was cut short is noticed all the same."""
    soundfile.write(tmp_path / "a.flac", noise(), RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content[: int(share * len(content))])
    if share < 1:
        with pytest.raises(VoiceUnreadable):
            audio.read(tmp_path / "a.flac", max_seconds=2)
        return
    assert len(audio.read(tmp_path / "a.flac", max_seconds=2)[0]) == RATE
    with pytest.raises(VoiceUnsuitable, match=r"longer than 0\.5 s"):
        audio.read(tmp_path / "a.flac", max_seconds=0.5)


def unknown(folder, content=b"\0\0\0\x20ftypM4A of which libsndfile knows nothing" * 9):
    """A file in a format that libsndfile does not know."""
    (folder / "a.m4a").write_bytes(content)
    return folder / "a.m4a"


def program(folder, monkeypatch, body):
    """A program ffmpeg that writes into its last argument; PyAV is not there."""
    place = folder / "bin" / "ffmpeg"
    place.parent.mkdir()
    place.write_text(f"#!{sys.executable}\nimport sys\n{body}\n", encoding="utf-8")
    place.chmod(0o755)
    monkeypatch.setenv("PATH", str(place.parent))
    monkeypatch.setitem(sys.modules, "av", None)


def test_other_formats_are_read_by_ffmpeg(tmp_path, monkeypatch):
    """Where it is present: its channels averaged, never more than can be used, and no addresses of playlists."""
    wave = tmp_path / "known.wav"
    soundfile.write(wave, np.stack([noise(), 0 * noise()], axis=1), RATE, subtype="FLOAT")
    copy = f"import shutil; open({str(tmp_path / 'told')!r}, 'w').write(chr(10).join(sys.argv))"
    program(tmp_path, monkeypatch, f"{copy}; shutil.copyfile({str(wave)!r}, sys.argv[-1])")
    samples, rate = audio.read(unknown(tmp_path), max_seconds=2)
    assert (samples.dtype, rate) == (np.float32, RATE)
    assert np.allclose(samples, noise() / 2)
    told = (tmp_path / "told").read_text(encoding="utf-8").split("\n")
    assert told[told.index("-i") + 1] == f"file:{tmp_path / 'a.m4a'}"
    assert told[told.index("-t") + 1] == "3"
    assert told[told.index("-protocol_whitelist") + 1] == "file"
    with pytest.raises(VoiceUnsuitable, match=r"longer than 0\.5 s"):
        audio.read(tmp_path / "a.m4a", max_seconds=0.5)


@pytest.mark.parametrize("body", ["sys.exit(1)", "pass", "open(sys.argv[-1], 'w').write('nothing')"])
def test_what_ffmpeg_cannot_read_is_unreadable(tmp_path, monkeypatch, body):
    """It fails, writes nothing, or writes no audio."""
    program(tmp_path, monkeypatch, body)
    with pytest.raises(VoiceUnreadable, match=r"a\.m4a.*install PyAV"):
        audio.read(unknown(tmp_path), max_seconds=2)


class FakeAV(types.ModuleType):
    """PyAV's classes as far as they are used, over five seconds of two channels."""

    def __init__(self, *, fails=False):
        super().__init__("av")
        self.__spec__ = importlib.machinery.ModuleSpec("av", None)
        self.fails, self.decoded, self.opened = fails, 0, ()

    def open(self, name, options):
        """A container."""
        self.opened = name, options
        if self.fails:
            raise OSError("no such format")
        return contextlib.nullcontext(
            types.SimpleNamespace(
                streams=types.SimpleNamespace(audio=[types.SimpleNamespace(rate=RATE)]), decode=self._frames
            )
        )

    def _frames(self, audio):
        for second in range(5):
            self.decoded += 1
            yield np.stack([np.full(RATE, 0.1 * second, np.float32), np.zeros(RATE, np.float32)])

    def AudioResampler(self, format):  # noqa: N802, A002 - its names
        """Planes of float32."""
        assert format == "fltp"
        return types.SimpleNamespace(resample=lambda frame: [types.SimpleNamespace(to_ndarray=lambda: frame)])


def test_other_formats_are_read_by_pyav(tmp_path, monkeypatch):
    """Where it is present, without ffmpeg; no more is decoded than is looked at."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "av", fake := FakeAV())
    samples, rate = audio.read(unknown(tmp_path), max_seconds=9)
    assert (len(samples), rate) == (5 * RATE, RATE)
    assert np.allclose(samples.reshape(5, RATE).mean(1), 0.05 * np.arange(5))
    place, options = fake.opened
    assert (place, options["protocol_whitelist"]) == (f"file:{tmp_path / 'a.m4a'}", "file")
    assert not {"concat", "hls", "dash", "sdp", "image2", "imf"} & set(options["format_whitelist"].split(","))
    monkeypatch.setitem(sys.modules, "av", fake := FakeAV())
    with pytest.raises(VoiceUnsuitable, match="longer than 1 s"):
        audio.read(tmp_path / "a.m4a", max_seconds=1)
    assert fake.decoded == 2
    monkeypatch.setitem(sys.modules, "av", FakeAV(fails=True))
    with pytest.raises(VoiceUnreadable):
        audio.read(tmp_path / "a.m4a", max_seconds=1)


@pytest.mark.parametrize(
    "content",
    [
        "ffconcat version 1.0\nfile recording\n",  # itself, again and again
        "ffconcat version 1.0\nfile other.wav\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.wav\n#EXT-X-ENDLIST\n",
        "v=0\nm=audio 5004 RTP/AVP 0\n",
        "<MPD><Period><BaseURL>other.wav</BaseURL></Period></MPD>",
    ],
)
def test_lists_of_files_are_no_recordings(tmp_path, content):
    """Whoever sends one would hear, or exhaust, what lies beside it."""
    samples = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    audio.write(tmp_path / "other.wav", samples, RATE)
    (tmp_path / "recording").write_text(content)
    with pytest.raises(VoiceUnreadable, match="cannot be read as audio"):
        audio.read(tmp_path / "recording", max_seconds=9)
