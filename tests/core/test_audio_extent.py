"""Recordings that end before their headers say, and those whose headers do not say where they end."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from realtts import audio
from realtts.errors import VoiceUnreadable, VoiceUnsuitable

RATE = 24_000
KINDS = {
    "wav": ("WAV", "PCM_16"),
    "wav float": ("WAV", "FLOAT"),
    "wav adpcm": ("WAV", "IMA_ADPCM"),
    "wavex": ("WAVEX", "PCM_24"),
    "rifx": ("WAV", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "aifc": ("AIFF", "ULAW"),
    "au": ("AU", "PCM_16"),
    "au little": ("AU", "ALAW"),
    "caf": ("CAF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
LITTLE_OR_BIG = {"rifx": "BIG", "au little": "LITTLE"}
PCM = [name for name, (_, subtype) in KINDS.items() if subtype.startswith("PCM") and name != "flac"]


def wave(seconds=3.0, channels=1):
    """A voice-like tone with noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    hum = 0.3 * np.sin(2 * np.pi * 150 * t) + 0.01 * np.random.default_rng(0).standard_normal(t.size)
    return np.stack([hum] * channels, axis=1)


@pytest.fixture(scope="module")
def contents():
    """A whole file of each kind, by name."""
    files = {}
    for name, (file_format, subtype) in KINDS.items():
        memory = io.BytesIO()
        endian = LITTLE_OR_BIG.get(name)
        soundfile.write(memory, wave(), RATE, format=file_format, subtype=subtype, endian=endian)
        files[name] = memory.getvalue()
    return files


def read(folder, content, seconds=60.0):
    """Read a file with that content."""
    path = folder / "recording"
    path.write_bytes(content)
    return audio.read(path, max_seconds=seconds)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_read_whole(tmp_path, contents, kind):
    """To the sample, but for encodings that come in blocks."""
    samples, rate = read(tmp_path, contents[kind])
    assert len(samples) / rate == pytest.approx(3.0, abs=0.07 if kind == "wav adpcm" else 1e-9)


@pytest.mark.parametrize("kind", ["wav", "aiff", "au", "w64", "caf", "vorbis", "mp3"])
def test_what_stands_behind_the_sound_does_no_harm(tmp_path, contents, kind):
    """A tag that some program put there."""
    samples, rate = read(tmp_path, contents[kind] + b"TAG" + bytes(125))
    assert len(samples) / rate == pytest.approx(3.0, abs=0.06)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.5, 0.93], ids=["half", "nearly"])
def test_a_file_that_was_cut_short_is_unreadable(tmp_path, contents, kind, share):
    """A download that stopped, or a disk that was full."""
    content = contents[kind]
    with pytest.raises(VoiceUnreadable, match="cut short"):
        read(tmp_path, content[: int(share * len(content))])


@pytest.mark.parametrize("kind", ["wav", "rf64", "w64", "aiff", "au", "caf", "flac", "vorbis", "opus"])
def test_a_hundredth_that_is_missing_is_noticed(tmp_path, contents, kind):
    """Where the format says its length to the byte."""
    content = contents[kind]
    with pytest.raises(VoiceUnreadable):
        read(tmp_path, content[: int(0.99 * len(content))])


@pytest.mark.parametrize("kind", ["vorbis", "opus"])
def test_an_ogg_file_that_ends_with_a_whole_page_is_noticed(tmp_path, contents, kind):
    """Its last page does not say that it is the last."""
    content = contents[kind]
    with pytest.raises(VoiceUnreadable, match="cut short"):
        read(tmp_path, content[: content.rindex(b"OggS")])


def test_an_mp4_file_that_was_cut_short_is_unreadable(tmp_path):
    """Its boxes say how long they are."""
    content = b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42" + (5000).to_bytes(4, "big") + b"mdat" + bytes(1000)
    with pytest.raises(VoiceUnreadable, match="cut short"):
        read(tmp_path, content)


def patched(content, kind, length):
    """The content with a length of the sound that the header of such a file gives while it is being written."""
    order = "little" if content[:4] in {b"RIFF", b"RF64", b"riff", b"dns."} else "big"
    content = bytearray(content)
    if kind == "w64":
        at = content.index(b"data") + 16
        content[at : at + 8] = (24 if length == 0 else length).to_bytes(8, order)
    elif kind == "rf64":
        at = content.index(b"ds64") + 16
        content[at : at + 8] = length.to_bytes(8, order)
    elif kind == "caf":
        at = content.index(b"data") + 4
        content[at : at + 8] = (length if length == 0 else 2**64 - 1).to_bytes(8, order)
    elif kind.startswith("au"):
        content[8:12] = length.to_bytes(4, order)
    else:
        at = content.index(b"SSND" if kind.startswith("ai") else b"data") + 4
        content[at : at + 4] = length.to_bytes(4, order)
        content[4:8] = length.to_bytes(4, order)
    return bytes(content)


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF], ids=["0", "the largest"])
@pytest.mark.parametrize(
    "kind", ["wav", "wav float", "wav adpcm", "wavex", "rifx", "rf64", "w64", "aiff", "aifc", "au", "au little", "caf"]
)
def test_a_file_whose_header_gives_no_length_is_read_to_its_end(tmp_path, contents, kind, length):
    """A recorder that was killed wrote it, or a program into a pipe."""
    unknown = (1 << 63) - 1 if kind == "w64" and length else length
    samples, rate = read(tmp_path, patched(contents[kind], kind, unknown))
    whole, _ = read(tmp_path, contents[kind])
    assert rate == RATE
    assert len(samples) == len(whole)
    assert np.array_equal(samples, whole)


@pytest.mark.parametrize("kind", ["wav", "rifx", "w64"])
def test_such_a_file_may_be_too_long(tmp_path, contents, kind):
    """It is not read on for ever."""
    with pytest.raises(VoiceUnsuitable, match="longer than 1 s"):
        read(tmp_path, patched(contents[kind], kind, 0), seconds=1.0)


def test_stereo_without_a_length(tmp_path):
    """Both channels are read."""
    memory = io.BytesIO()
    soundfile.write(memory, wave(channels=2), RATE, format="WAV", subtype="PCM_16")
    assert len(read(tmp_path, patched(memory.getvalue(), "wav", 0))[0]) == 3 * RATE


def test_a_wav_file_that_is_empty_indeed_stays_empty(tmp_path):
    """Behind its samples, of which there are none, stands a chunk of another kind."""
    memory = io.BytesIO()
    soundfile.write(memory, np.zeros(0), RATE, format="WAV", subtype="PCM_16")
    content = memory.getvalue() + b"LIST\x04\0\0\0INFO"
    with pytest.raises(VoiceUnreadable, match="holds no audio"):
        read(tmp_path, content)


def caf(*chunks):
    """A CAF file of chunks, each a name with the length that it claims."""
    return b"caff\0\1\0\0" + b"".join(name + length.to_bytes(8, "big") for name, length in chunks)


def w64(*chunks):
    """A W64 file of chunks."""
    start = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0" + bytes(8) + b"wave" + bytes(12)
    return start + b"".join(name.ljust(16, b"\0") + length.to_bytes(8, "little") for name, length in chunks)


ENDLESS = {
    "caf beyond all places": caf((b"desc", 2**63 - 1)) + bytes(64),
    "caf of a negative length": caf((b"desc", 2**64 - 2)) + bytes(64),
    "caf of empty chunks": caf(*[(b"free", 0)] * 20_000),
    "w64 beyond all places": w64((b"fmt ", 2**64 - 1)) + bytes(64),
    "w64 of empty chunks": w64(*[(b"junk", 24)] * 20_000),
    "wav of empty chunks": b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 20_000,
    "aiff of empty chunks": b"FORM\0\0\0\0AIFF" + b"junk\0\0\0\0" * 20_000,
    "mp4 of empty atoms": b"\0\0\0\x08ftyp" + b"\0\0\0\x08free" * 20_000,
    "mp4 beyond all places": b"\0\0\0\x01ftyp" + b"\xff" * 8 + bytes(64),
    "mp3 of empty tags": b"ID3\4\0\0\0\0\0\0" * 20_000,
    "ogg of empty pages": (b"OggS" + bytes(23)) * 20_000,
    "rf64 of all lengths": b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0" + b"\xff" * 28 + b"data\xff\xff\xff\xff",
    "au that begins behind its end": b".snd" + b"\xff" * 20 + bytes(40),
}


@pytest.mark.parametrize("case", ENDLESS, ids=str)
def test_lengths_without_measure_and_chunks_without_end(tmp_path, case):
    """A typed error, whatever a header says; a file of a gigabyte of empty chunks would keep nobody for long."""
    with pytest.raises((VoiceUnreadable, VoiceUnsuitable)):
        read(tmp_path, ENDLESS[case])


@pytest.mark.parametrize("kind", ["wav", "wav float", "wavex", "rifx", "aiff"])
@pytest.mark.parametrize("share", [0.5, 0.1, 0.001], ids=["half", "a tenth", "next to nothing"])
def test_a_file_that_goes_on_behind_the_length_of_its_samples_is_read_to_its_end(tmp_path, contents, kind, share):
    """As a recorder leaves it that brings the length up to date from time to time."""
    content = bytearray(contents[kind])
    name, order = (b"SSND", "big") if kind == "aiff" else (b"data", "big" if kind == "rifx" else "little")
    at = content.index(name) + 4
    length = int.from_bytes(content[at : at + 4], order)
    content[at : at + 4] = (round(length * share) // 16 * 16).to_bytes(4, order)
    samples, rate = read(tmp_path, bytes(content))
    assert len(samples) / rate == pytest.approx(3.0, abs=0.01)
