"""Weights that are saved in several files."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402

from realtts import checkpoints  # noqa: E402
from realtts.accel.weights.tensorfile import Tensors, read_state, rows_of, shapes_of  # noqa: E402
from realtts.contract.spec import Checkpoint  # noqa: E402
from realtts.errors import CheckpointCorrupt, CheckpointMissing  # noqa: E402
from realtts.kit.shards import with_shards  # noqa: E402

STATE = {f"layer.{n}.weight": torch.arange(12.0).reshape(4, 3) + n for n in range(5)} | {"head.bias": torch.ones(2)}


def sharded(folder, count=2, stem="model", suffix=".safetensors", state=STATE):
    """Save a state in so many parts with an index, as transformers does; returns the index."""
    names, index = sorted(state), {}
    for number in range(count):
        part = {name: state[name].clone() for name in names[number::count]}
        file = f"{stem}-{number + 1:05d}-of-{count:05d}{suffix}"
        if suffix == ".safetensors":
            save_file(part, str(folder / file), metadata={"format": "pt"})
        else:
            torch.save(part, folder / file)
        index |= dict.fromkeys(part, file)
    place = folder / f"{stem}{suffix}.index.json"
    place.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": index}), encoding="utf-8")
    return place


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_parts_are_one_state(tmp_path, suffix, count):
    """Equal tensors and shapes, and rows without the rest."""
    state = read_state(sharded(tmp_path, count, suffix=suffix))
    assert set(state) == set(STATE)
    assert len(state) == len(STATE)
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)
    assert shapes_of(state) == shapes_of(STATE)
    assert "layer.0.weight" in state
    assert "layer.9.weight" not in state
    assert torch.equal(rows_of(state, "layer.3.weight")([2, 0]), STATE["layer.3.weight"][[2, 0]])
    layers = Tensors(state, "layer.")
    assert torch.equal(layers["4.weight"], STATE["layer.4.weight"])
    assert torch.equal(layers.rows("4.weight", [1]), STATE["layer.4.weight"][[1]])


def damage(folder, kind):
    """Damage one of the files."""
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    part = folder / "model-00002-of-00002.safetensors"
    if kind == "part missing":
        part.unlink()
    elif kind == "part cut":
        part.write_bytes(part.read_bytes()[:-10])
    elif kind == "part a pointer":
        part.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n", encoding="utf-8")
    elif kind == "tensor missing":
        content["weight_map"]["layer.7.weight"] = part.name
    elif kind == "elsewhere":
        content["weight_map"]["head.bias"] = "../secret.safetensors"
    elif kind == "no map":
        del content["weight_map"]
    elif kind == "no names":
        content["weight_map"]["head.bias"] = 3
    index.write_text("{" if kind == "no JSON" else json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    "kind",
    [
        "part missing", "part cut", "part a pointer", "tensor missing", "elsewhere", "no map", "no names", "no JSON",
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_parts_is_named(tmp_path, kind):
    """By its file; nothing outside the folder is opened."""
    index = sharded(tmp_path)
    damage(tmp_path, kind)
    with pytest.raises(CheckpointCorrupt) as caught:
        read_state(index)
    named = str(caught.value)
    assert ("00002-of-00002" if "part" in kind or "tensor" in kind else index.name) in named
    assert "weights_only" not in named
    if "pointer" in kind:
        assert "Git LFS" in named


def fetched(folder):
    """The weights of a local folder, as a plugin gets them."""
    return checkpoints.fetch(Checkpoint("m", path=folder), with_shards(["config.json", "model.safetensors"]))


def test_a_plugin_gets_the_index_in_place_of_the_file(tmp_path):
    """With its parts; a whole file goes first; the identity changes with the parts."""
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CheckpointMissing, match=r"model\.safetensors or model\.safetensors\.index\.json missing"):
        fetched(tmp_path)
    sharded(tmp_path)
    files = fetched(tmp_path)
    assert files.first("model.safetensors").name == "model.safetensors.index.json"
    assert {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"} <= set(files)
    before = files.identity("model.safetensors")
    sharded(tmp_path, state=STATE | {"head.bias": torch.ones(3)})
    assert fetched(tmp_path).identity("model.safetensors") != before
    save_file(STATE, str(tmp_path / "model.safetensors"))
    assert fetched(tmp_path).first("model.safetensors").name == "model.safetensors"


@pytest.mark.parametrize(
    ("files", "more"),
    [
        (["config.json"], ("config.json",)),
        (["m.safetensors"], (("m.safetensors", "m.safetensors.index.json"),)),
        ([("a.safetensors", None)], (("a.safetensors", "a.safetensors.index.json", None),)),
        ([("a.pt", "b.bin")], (("a.pt", "b.bin", "b.bin.index.json"),)),
        (["*.safetensors", "x/y.safetensors"], ("*.safetensors", ("x/y.safetensors", "x/y.safetensors.index.json"))),
    ],
    ids=repr,
)
def test_files_with_their_indexes(files, more):
    """Only weights have one."""
    assert with_shards(files) == more
