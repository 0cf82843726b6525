"""Audio files read for cloning, and what is wrong with those that cannot be."""

from __future__ import annotations

import os

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


def test_a_file_that_never_ends_is_unreadable(tmp_path, monkeypatch):
    """A FLAC file from a pipe has no length, and libsndfile cannot read it."""
    soundfile.write(tmp_path / "a.flac", noise(), RATE)
    monkeypatch.setattr(soundfile.SoundFile, "frames", 2**63 - 1)
    with pytest.raises(VoiceUnreadable, match="how long"):
        audio.read(tmp_path / "a.flac", max_seconds=2)
