"""Tensors of a safetensors file, read one at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from realtts.accel.weights.tensorfile import TensorFile, Tensors, rows_of
from realtts.errors import CheckpointCorrupt

STATE = {
    "a.x": torch.arange(12.0).view(4, 3),
    "a.y": torch.arange(6).view(3, 2),
    "b.x": torch.randn(2, 2).bfloat16(),
    "b.one": torch.tensor(3.0),
    "b.none": torch.zeros(0, 4),
}


@pytest.fixture
def path(tmp_path):
    """A file."""
    save_file(STATE, tmp_path / "some.safetensors", metadata={"format": "pt"})
    return tmp_path / "some.safetensors"


def test_tensors_are_the_files(path) -> None:
    """All of them, of every type and shape, and nothing of them shared."""
    file = TensorFile(path)
    assert set(file) == set(STATE)
    assert len(file) == len(STATE)
    for name, tensor in STATE.items():
        assert file[name].dtype == tensor.dtype
        assert torch.equal(file[name], tensor)
        assert file.shapes[name] == tuple(tensor.shape)
    file["a.x"].zero_()
    assert torch.equal(file["a.x"], STATE["a.x"])


def test_part_of_a_file(path) -> None:
    """By the rest of the names."""
    part = Tensors(TensorFile(path), "a.")
    assert dict(part.shapes) == {"x": (4, 3), "y": (3, 2)}
    assert torch.equal(part["x"], STATE["a.x"])
    assert (set(part), len(part)) == ({"x", "y"}, 2)
    with pytest.raises(KeyError):
        part["one"]


def test_rows(path) -> None:
    """In the order that is asked for, some of them twice; there must be such rows."""
    file = TensorFile(path)
    assert torch.equal(file.rows("a.x", [3, 0, 3]), STATE["a.x"][[3, 0, 3]])
    assert torch.equal(Tensors(file, "b.").rows("x", [1]), STATE["b.x"][[1]])
    assert file.rows("a.x", []).shape == (0, 3)
    for wrong in (-1, 4):
        with pytest.raises(IndexError):
            file.rows("a.x", [wrong])


@pytest.mark.parametrize("of", [dict, TensorFile], ids=["mapping", "file"])
def test_rows_of_any_state(path, of) -> None:
    """Of a file they come without the whole; tokens are ids as well as rows."""
    state = STATE if of is dict else TensorFile(path)
    assert torch.equal(rows_of(state, "a.x")((3, 0, 3)), STATE["a.x"][[3, 0, 3]])
    assert rows_of(state, "a.x")([]).shape == (0, 3)


@pytest.mark.parametrize("kept", [0, 4, 8, 60, -1])
def test_a_file_that_is_cut_short_is_told(path, kept) -> None:
    """Before anything is read of it."""
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointCorrupt, match=r"some\.safetensors"):
        TensorFile(path)


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"x": {"dtype": "F7", "shape": [1], "data_offsets": [0, 4]}},
        {"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}},
        {"x": 3},
        {"x": {"dtype": "F32", "shape": [16.0], "data_offsets": [0, 64]}},
        {"x": {"dtype": "F32", "shape": [-4, -4], "data_offsets": [0, 64]}},
        {"x": {"dtype": "F32", "shape": [15], "data_offsets": [0, 60]}},
        {"x": {"dtype": "F32", "shape": [8], "data_offsets": [32, 64]}},
        {
            "x": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]},
            "y": {"dtype": "F32", "shape": [8], "data_offsets": [32, 64]},
        },
        {"x": {"shape": [16], "data_offsets": [0, 64]}},
    ],
    ids=str,
)
def test_a_wrong_header_is_told(tmp_path, header) -> None:
    """Sizes that do not fit, gaps, tensors on each other, unknown types, something else altogether."""
    text = json.dumps(header).encode()
    (tmp_path / "bad.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))
    with pytest.raises(CheckpointCorrupt, match=r"bad\.safetensors"):
        TensorFile(tmp_path / "bad.safetensors")


def test_a_file_that_goes_away_is_told(path) -> None:
    """When a tensor is asked for."""
    file = TensorFile(path)
    path.unlink()
    with pytest.raises(CheckpointCorrupt, match="FileNotFoundError"):
        file["a.x"]


@pytest.mark.parametrize("size", [1, 1 << 20, (1 << 64) - 1])
def test_a_header_longer_than_the_file_is_told(tmp_path, size) -> None:
    """Nothing of that size is allocated."""
    (tmp_path / "bad.safetensors").write_bytes(size.to_bytes(8, "little"))
    with pytest.raises(CheckpointCorrupt, match="cut short"):
        TensorFile(tmp_path / "bad.safetensors")


def test_a_file_is_opened_once(path, monkeypatch) -> None:
    """So that its header and what is checked are of one file, should it be replaced meanwhile."""
    opened, real = [], Path.open
    monkeypatch.setattr(Path, "open", lambda self, *args, **kwargs: opened.append(self) or real(self, *args, **kwargs))
    assert TensorFile(path).shapes
    assert opened == [path]
