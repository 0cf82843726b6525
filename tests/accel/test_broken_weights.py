"""Files of weights that are broken or hostile are refused as corrupt, with a short message, and never raise raw."""

import io
import json
import pickle
import zipfile

import pytest

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

from realtts import CheckpointCorrupt, CheckpointMismatch  # noqa: E402
from realtts.accel.decoder import DecoderConfig  # noqa: E402
from realtts.accel.weights.tensorfile import TensorFile, read_pickled, read_state  # noqa: E402


def tensors_of(header, data=b"\0" * 16):
    """A safetensors file with this header, a dict or JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(shape=(4,), offsets=(0, 16), dtype="F32"):
    """What a header says of a tensor."""
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


BROKEN_TENSORS = {
    "empty": b"",
    "short": b"\x05",
    "endless header": b"\xff" * 8 + b"{}",
    "deep": tensors_of(b'{"a":' * 2000 + b"1" + b"}" * 2000),
    "deep list": tensors_of(b"[" * 50_000),
    "overlapping": tensors_of({"a": entry(), "b": entry()}),
    "overlapping in part": tensors_of({"a": entry(), "b": entry((3,), (4, 16))}),
    "a hole": tensors_of({"a": entry((1,), (0, 4)), "b": entry((1,), (12, 16))}),
    "a hole at the end": tensors_of({"a": entry((1,), (0, 4))}),
    "cut short": tensors_of({"a": entry((8,), (0, 32))}),
    "infinite shape": tensors_of(b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,16]}}'),
    "huge shape": tensors_of({"a": entry((2**62, 2**62))}),
    "negative shape": tensors_of({"a": entry((-4,))}),
    "broken shape": tensors_of({"a": entry((4.5,))}),
    "boolean shape": tensors_of({"a": entry((True, 4))}),
    "5,000 digits": tensors_of(b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,16]}}'),
    "unknown type": tensors_of({"a": entry(dtype="Q7")}),
    "type of wrong type": tensors_of({"a": entry(dtype=[1])}),
    "backwards": tensors_of({"a": entry((4,), (16, 0))}),
    "no shape": tensors_of({"a": {"dtype": "F32", "data_offsets": [0, 16]}}),
    "twice": tensors_of(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},'
                        b'"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'),
    "metadata of wrong type": tensors_of({"__metadata__": {"a": 1}, "b": entry()}),
    "metadata of nothing": tensors_of({"__metadata__": None, "b": entry()}),
    "more rows than can be counted": tensors_of({"a": entry(), "b": entry((0, 2**70), (16, 16))}),
    "an offset beyond all files": tensors_of({"a": entry((2**62,), (0, 2**64))}),
    "a tensor of nothing": tensors_of({"a": None}),
    "a list": tensors_of([1, 2]),
    "no json": tensors_of(b"\xff\xfe\x00"),
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
}  # fmt: skip


@pytest.mark.parametrize("content", BROKEN_TENSORS.values(), ids=BROKEN_TENSORS)
def test_broken_safetensors_are_corrupt(tmp_path, content):
    """By whatever part of it is wrong."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointCorrupt, match=r"model\.safetensors") as caught:
        TensorFile(path)
    assert len(str(caught.value)) < 500


def pickled(value):
    """A ``.pt`` file of a value."""
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def deep(levels):
    """Lists inside each other."""
    value = []
    for _ in range(levels):
        value = [value]
    return value


def repacked(content, change):
    """A ``.pt`` file with other bytes for its pickle."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name.endswith("data.pkl") else old.read(name))
    return out.getvalue()


def in_itself():
    """A list that holds itself twice, so that every level of it has twice as many parts."""
    value = []
    value += [value, value]
    return value


def shared(levels):
    """Lists that hold the one below twice."""
    value = [torch.zeros(1)]
    for _ in range(levels):
        value = [value, value]
    return value


SOUND = pickled({"a": torch.zeros(4)})
BROKEN_PICKLES = {
    "empty": b"",
    "text": b"hello",
    "half a zip": SOUND[: len(SOUND) // 2],
    "a zip without its end": SOUND[:-10],
    "a zip of something else": repacked(SOUND, lambda _: b""),
    "a memo that is missing": repacked(SOUND, lambda _: b"\x80\x02h\x07."),
    "a memo in text": repacked(SOUND, lambda _: b"g99\n."),
    "an empty stack": repacked(SOUND, lambda _: b"\x80\x02."),
    "a pop of nothing": repacked(SOUND, lambda _: b"\x80\x020."),
    "an unknown operation": repacked(SOUND, lambda _: b"\x80\x02\xff."),
    "half a pickle": repacked(SOUND, lambda old: old[: len(old) // 2]),
    "a wrong protocol": repacked(SOUND, lambda _: b"\x80\x63."),
    "code": pickle.dumps(print),
    "code in a zip": repacked(SOUND, lambda _: pickle.dumps(eval, protocol=2)),
    "deep": pickled(deep(150)),
    "in itself": pickled({"a": in_itself()}),
    "shared and deep": pickled(shared(100)),
    "a long number": repacked(SOUND, lambda _: b"I" + b"9" * 5000 + b"\n."),
    "no text": repacked(SOUND, lambda _: b"\x80\x02X\x02\x00\x00\x00\xff\xfe."),
    "lfs": BROKEN_TENSORS["lfs"],
}


@pytest.mark.parametrize("content", BROKEN_PICKLES.values(), ids=BROKEN_PICKLES)
@pytest.mark.parametrize("name", ["a.pt", "pytorch_model.bin", "b.pth"])
def test_a_broken_pickle_is_corrupt(tmp_path, name, content):
    """And torch's advice to load it with the code in it is not passed on."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointCorrupt) as caught:
        read_pickled(path)
    assert len(str(caught.value)) < 500
    assert "weights_only" not in str(caught.value)
    assert "trust" not in str(caught.value)
    if content.startswith(b"version"):
        assert "Git LFS" in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [3, "x", [torch.zeros(1)], {"a": 1}, {"a": {"b": torch.zeros(1)}}, {1: torch.zeros(1)}, {None: torch.zeros(1)}],
)
def test_a_state_of_something_else_is_corrupt(tmp_path, value):
    """Tensors by name, or nothing."""
    path = tmp_path / "a.pt"
    path.write_bytes(pickled(value))
    with pytest.raises(CheckpointCorrupt):
        read_state(path)


GOOD = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-6,
}  # fmt: skip


@pytest.mark.parametrize("value", [-1, True, 1.5, "64", [64], 10**30, float("inf"), {}])
@pytest.mark.parametrize("name", ["hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim"])
def test_a_decoder_of_impossible_sizes_is_a_mismatch(name, value):
    """By the name of the entry, before anything is made of it."""
    with pytest.raises(CheckpointMismatch, match=name):
        DecoderConfig.from_transformers({**GOOD, name: value})


def test_sound_files_are_read(tmp_path):
    """Strictness refuses nothing that is sound: empty tensors, scalars and metadata."""
    tensors = {"a": torch.arange(6.0).view(2, 3), "b": torch.zeros(0, 3), "c": torch.tensor(1, dtype=torch.int64)}
    safetensors_torch.save_file(tensors, tmp_path / "m.safetensors", {"é": "ü"})
    state = TensorFile(tmp_path / "m.safetensors")
    assert all(torch.equal(state[name], tensor) for name, tensor in tensors.items())
    (tmp_path / "m.pt").write_bytes(pickled(tensors))
    assert torch.equal(read_state(tmp_path / "m.pt")["a"], tensors["a"])
    assert DecoderConfig.from_transformers(GOOD).layers == 2
