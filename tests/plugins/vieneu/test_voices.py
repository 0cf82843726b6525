"""Voices: presets and saved codes by name; a recording becomes codes once, whatever is said of its words."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from realtts.accel.voices.disk_cache import DiskVoiceCache
from realtts.contract.types import Voice
from realtts.contract.voice_cache import VoiceCache
from realtts.errors import CheckpointCorrupt, InvalidOption, VoiceNotFound, VoiceUnsuitable
from realtts.testing import make_context
from realtts_vieneu.constants import ENCODER_RATE
from realtts_vieneu.voices import Presets, codes_of, listed, read_presets, read_saved


class Counting:
    """An encoder that counts what it is asked for."""

    def __init__(self, frames=3) -> None:
        self.asked, self._frames = 0, frames

    def codes(self, samples):
        """As many as there are frames."""
        self.asked += 1
        assert samples.dtype == torch.float32
        return torch.arange(self._frames, dtype=torch.int32)


def written(path, content):
    """A file of that content."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


GOOD = {
    "default_voice": "Tuyên",
    "presets": {
        "Bình": {"codes": [1, 2, 3], "text": "Xin chào.", "description": "Bình (nam miền Bắc)"},
        "Tuyên": {"codes": [4], "text": "Tôi đây."},
    },
}


def test_presets_are_upstreams_shape(tmp_path) -> None:
    """By name; without one the file's default speaks, which is listed first."""
    presets = read_presets(written(tmp_path / "voices.json", GOOD))
    assert presets.find("Bình").codes == (1, 2, 3)
    assert presets.find("Bình").words == "Xin chào."
    assert presets.find(None).id == "Tuyên"
    assert [voice.id for voice in listed(presets)] == ["Tuyên", "Bình"]
    assert listed(presets)[1].description == "Bình (nam miền Bắc)"


def test_upstreams_own_file_is_read() -> None:
    """The six voices that its package brings."""
    vieneu = pytest.importorskip("vieneu")
    from pathlib import Path

    presets = read_presets(Path(vieneu.__file__).parent / "assets" / "voices.json")
    assert len(presets.voices) == 6
    assert presets.find(None).id == "Binh"
    assert len(presets.find("Doan").codes) == 308


def test_an_unknown_voice_is_refused(tmp_path) -> None:
    """With the closest name; and where there are none at all, with what else there is to do."""
    presets = read_presets(written(tmp_path / "voices.json", GOOD))
    with pytest.raises(VoiceNotFound, match="did you mean 'Bình'"):
        presets.find("Binh")
    with pytest.raises(VoiceNotFound, match="recording"):
        Presets().find(None)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"presets": []},
        {"presets": {"A": {"codes": [], "text": "x"}}},
        {"presets": {"A": {"codes": [65536], "text": "x"}}},
        {"presets": {"A": {"codes": [-1], "text": "x"}}},
        {"presets": {"A": {"codes": [1.5], "text": "x"}}},
        {"presets": {"A": {"codes": [True], "text": "x"}}},
        {"presets": {"A": {"codes": [1], "text": " "}}},
        {"presets": {"A": {"codes": [1]}}},
    ],
    ids=str,
)
def test_wrong_files_are_refused(tmp_path, wrong) -> None:
    """The checkpoint's as corrupt, a user's as a wrong option."""
    path = written(tmp_path / "voices.json", wrong)
    with pytest.raises(CheckpointCorrupt, match=r"voices\.json"):
        read_presets(path)
    with pytest.raises(InvalidOption, match="presets"):
        read_saved(str(path))


def test_files_that_are_not_there_are_refused(tmp_path) -> None:
    """Nor folders, nor what is no JSON."""
    (tmp_path / "text.json").write_text("hello", encoding="utf-8")
    for path in (tmp_path / "none.json", tmp_path, tmp_path / "text.json"):
        with pytest.raises(InvalidOption, match="voices_file"):
            read_saved(str(path))


def test_saved_codes_are_read(tmp_path) -> None:
    """From a user's file; where it names no default, the first voice speaks."""
    saved = read_saved(str(written(tmp_path / "own.json", {"presets": {"Mới": {"codes": [9], "text": "a"}}})))
    assert saved.find(None).codes == saved.find("Mới").codes == (9,)


def test_a_recording_is_encoded_once(recording) -> None:
    """Of the same samples; the words are no part of it, the weights are."""
    made, stage = Counting(), make_context()
    first = codes_of(stage, Voice(*recording, "hello"), made, weights="a@1")
    assert torch.equal(codes_of(stage, Voice(*recording, None), made, weights="a@1"), first)
    assert made.asked == 1
    codes_of(stage, Voice(recording[0] * 0.5, recording[1]), made, weights="a@1")
    codes_of(stage, Voice(*recording), made, weights="a@2")
    assert made.asked == 3
    assert (first.dtype, first.tolist(), first.is_inference()) == (torch.int64, [0, 1, 2], False)


def test_codes_outlive_the_process(recording, tmp_path) -> None:
    """As safetensors in the folder of the cache on disk."""
    made = Counting()
    for _ in range(2):
        cache = DiskVoiceCache(VoiceCache(), folder=tmp_path)
        found = codes_of(make_context(), Voice(*recording), made, weights="a@1", cache=cache)
    assert made.asked == 1
    assert found.tolist() == [0, 1, 2]
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_a_recording_without_a_code_is_refused(recording) -> None:
    """Before it is kept."""
    made, stage = Counting(frames=0), make_context()
    for _ in range(2):
        with pytest.raises(VoiceUnsuitable, match="no voice is found"):
            codes_of(stage, Voice(*recording), made, weights="a@1")
    assert made.asked == 2


def test_recordings_come_at_16_khz(recording) -> None:
    """Whatever they were recorded at."""
    samples, rate = recording
    assert len(Voice(samples, rate).at(ENCODER_RATE)) == pytest.approx(len(samples) * 16 / 24, abs=1)
    low = np.ascontiguousarray(samples[::2])
    assert np.array_equal(Voice(low, 16_000).at(ENCODER_RATE), low)
