"""Packed weights on disk: the same layers without reading the checkpoint; a file that is of no use is made anew."""

import json
import os
import shutil
import time
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
from safetensors import safe_open  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from realtts import Settings  # noqa: E402
from realtts.accel.decoder import Decoder, DecoderConfig  # noqa: E402
from realtts.accel.kernels import KERNELS, PackedLinear  # noqa: E402
from realtts.accel.kernels.native import NativeStorage  # noqa: E402
from realtts.accel.weights import packed_file  # noqa: E402
from realtts.accel.weights.packed_cache import NO_CACHE, PackedCache, source_of  # noqa: E402
from realtts.accel.weights.tensorfile import TensorFile, Tensors  # noqa: E402
from realtts.settings_sources import packed_dir  # noqa: E402

pytestmark = pytest.mark.usefixtures("unchanged")

STORED = [kernel for kernel in KERNELS if kernel.storage is not None and kernel.device == "cpu"]
LLAMA = DecoderConfig(layers=2, hidden_size=64, heads=4, kv_heads=2, head_dim=16, mlp_size=96)
CONFIGS = {
    "llama": LLAMA,
    "qwen2": DecoderConfig(**{**vars(LLAMA), "qkv_bias": True}),
    "qwen3": DecoderConfig(**{**vars(LLAMA), "qk_norm": True}),
    "gpt2": DecoderConfig(**{**vars(LLAMA), "kv_heads": 4, "rope": None, "family": "gpt2"}),
}


class Counted(Tensors):
    """Tensors of a file, with the names of those that were read."""

    def __init__(self, path):
        super().__init__(TensorFile(path))
        self.read = []

    def __getitem__(self, name):
        self.read.append(name)
        return super().__getitem__(name)


def random_state(config):
    """A decoder's tensors, in transformers' naming."""
    from realtts.accel.decoder.reading import _shapes

    draw = torch.Generator().manual_seed(0)
    shapes = {f"model.{name}": shape for name, shape in _shapes(config).items()}
    return {
        name: torch.randn(shape, generator=draw) / 8 + (1 if len(shape) == 1 else 0)
        for name, shape in {**shapes, "head": (70, config.hidden_size)}.items()
    }


@pytest.fixture
def model(tmp_path):
    """Loads a small model from a file through a cache; says what it computes, what was read and what was told."""

    def load(family="llama", precision="int8", kernel=None, *, folder=tmp_path / "packed", most=1 << 30):
        path = tmp_path / f"{family}.safetensors"
        if not path.exists():
            save_file(random_state(CONFIGS[family]), path)
        events = []
        cache, state = PackedCache(folder, most, events.append), Counted(path)
        with cache.open(state, "lm") as store:
            decoder = Decoder.from_state_dict(
                CONFIGS[family], state, prefix="model.", precision=precision, rows=(1, 2), kernel=kernel, store=store
            )
            head = decoder.pack_stored("head", lambda: (state["head"], None))
        with torch.inference_mode():
            x = torch.linspace(-1, 1, 2 * 3 * 64).sin().view(2, 3, 64)
            logits = head(decoder.prefill(x, decoder.new_cache(2, 8)))
        matrices = [name for name in state.read if "layers" in name or ".h." in name or name == "head"]
        names = [event.name for event in events]
        return SimpleNamespace(logits=logits, read=matrices, events=names, stored=store.stored)

    return load


# -- kernels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(64, 64), (97, 160), (33, 32), (256, 96), (16, 128)], ids=str)
@pytest.mark.parametrize("kernel", STORED, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("bias", [None, 0.5])
def test_what_is_stored_multiplies_as_what_is_packed(kernel, shape, bias):
    """Bit for bit, through plain tensors."""
    if not kernel.works():
        pytest.skip("does not work with this torch")
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    x = torch.randn(3, shape[1], generator=torch.Generator().manual_seed(2))
    biases = [None if bias is None else torch.full((shape[0],), bias) for _ in range(2)]
    with torch.inference_mode():
        tensors = PackedLinear.dump(weight, biases[0], kernel)
        assert all(type(tensor) is torch.Tensor and tensor.is_contiguous() for tensor in tensors.values())
        loaded, packed = PackedLinear.load(tensors, kernel), PackedLinear(weight, biases[1], kernel)
        assert torch.equal(loaded(x), packed(x))
    assert (loaded.in_features, loaded.out_features) == (shape[1], shape[0])
    assert loaded.bytes_read == packed.bytes_read


# -- a start and the next --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("family", CONFIGS)
def test_the_second_start_reads_no_layer(model, family, precision):
    """And computes the same, bit for bit; it tells of packing at the first alone."""
    plain, first, second = (
        model(family, precision, folder=None), model(family, precision), model(family, precision),
    )  # fmt: skip
    assert plain.read
    assert not plain.events
    assert first.read
    assert first.events == ["weights.packing", "weights.packed"]
    assert not second.read
    assert not second.events
    assert torch.equal(first.logits, plain.logits)
    assert torch.equal(second.logits, plain.logits)


@pytest.mark.parametrize("kernel", STORED, ids=lambda kernel: kernel.name)
def test_each_kernel_has_its_own_file(model, kernel, tmp_path):
    """One is not read for another."""
    if not kernel.works():
        pytest.skip("does not work with this torch")
    for other in STORED:
        if other.precision == kernel.precision and other is not kernel and other.works():
            model(precision=other.precision, kernel=other.name)
    first = model(precision=kernel.precision, kernel=kernel.name)
    assert first.read
    assert torch.equal(model(precision=kernel.precision, kernel=kernel.name).logits, first.logits)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_floats_are_not_stored(model, precision, tmp_path):
    """The checkpoint's own file is as good."""
    assert model(precision=precision).read
    assert model(precision=precision).read
    assert not (tmp_path / "packed").exists()


def test_tensors_in_memory_are_not_stored(tmp_path):
    """There is no file that says when they change."""
    with PackedCache(tmp_path / "packed", 1 << 30).open({"a": torch.ones(1)}, "lm") as store:
        store.begin({})
        assert store.group("a", lambda: {"b": torch.ones(2)})["b"].sum() == 2
    assert not (tmp_path / "packed").exists()


def test_other_weights_have_another_file(model, tmp_path):
    """By size, time of change and beginning; a folder that is moved keeps its file."""
    path = tmp_path / "llama.safetensors"
    model()
    before = source_of([path])
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    assert source_of([moved / shutil.copy2(path, moved)]) == before
    os.utime(path, ns=(1, 1))
    assert source_of([path]) != before
    assert model().read
    state = random_state(LLAMA)
    state["head"] *= 2
    save_file(state, path)
    changed = model()
    assert changed.read
    assert torch.equal(model().logits, changed.logits)
    assert source_of([tmp_path / "missing"]) is None


def test_any_program_can_read_a_file(model, tmp_path):
    """It is safetensors, each tensor at a multiple of 64 bytes, in a folder of this user alone."""
    model()
    (path,) = (tmp_path / "packed").iterdir()
    with safe_open(path, "pt") as file:
        names = set(file.keys())
        assert {"layer.0/qkv.shape", "layer.1/input_norm", "head/shape"} <= names
        assert file.get_tensor("layer.0/qkv.shape").tolist() == [128, 64]
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    offsets = [begin + about["data_offsets"][0] for name, about in header.items() if "/" in name]
    assert len(offsets) > 20
    assert not [offset for offset in offsets if offset % 64]
    if os.name == "posix":
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o600


# -- faults ----------------------------------------------------------------------------------------------------------


def cut(content, share):
    """The beginning of a file."""
    return content[: int(len(content) * share)]


def flipped(content, at):
    """One bit is another."""
    place = at if at >= 0 else len(content) + at
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


DAMAGES = {
    "empty": lambda content: b"",
    "cut in its length": lambda content: content[:5],
    "cut in its header": lambda content: content[:700],
    "cut in its data": lambda content: cut(content, 0.999),
    "longer": lambda content: content + b"more",
    "flipped length": lambda content: flipped(content, 3),
    "flipped header": lambda content: flipped(content, 40),
    "flipped first tensor": lambda content: flipped(content, (1 << 20) + 1),
    "flipped last tensor": lambda content: flipped(content, -1),
    "text": lambda content: b"nothing of the kind" * 100,
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_again(model, tmp_path, damage):
    """At the latest by the start after the next."""
    first = model()
    (path,) = (tmp_path / "packed").iterdir()
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    for _ in range(2):
        assert torch.equal(model().logits, first.logits)
    third = model()
    assert not third.read
    assert torch.equal(third.logits, first.logits)


def test_a_file_of_other_weights_is_made_again(model, tmp_path):
    """It lies under this one's name."""
    first = model(precision="int8")
    (path,) = (tmp_path / "packed").iterdir()
    model(precision="int4")
    (other,) = set((tmp_path / "packed").iterdir()) - {path}
    shutil.copy(other, path)
    assert torch.equal(model(precision="int8").logits, first.logits)
    assert not model(precision="int8").read


def test_one_that_is_removed_while_it_is_read_is_packed(model, tmp_path, monkeypatch):
    """Another process makes room."""
    first = model()
    (path,) = (tmp_path / "packed").iterdir()
    group = packed_file.PackedFile.group

    def removed(self, name):
        path.unlink(missing_ok=True)
        return group(self, name)

    monkeypatch.setattr(packed_file.PackedFile, "group", removed)
    assert torch.equal(model().logits, first.logits)


@pytest.mark.parametrize("fault", ["file for folder", "full", "bound", "not ours", "failing disk"])
def test_what_cannot_be_stored_is_told_and_done_without(model, tmp_path, monkeypatch, caplog, fault):
    """The speech is the same; the log says why the next start will not be faster, and nothing is left behind."""
    expected, folder, most = model(folder=None).logits, tmp_path / "packed", 1 << 30
    if fault == "file for folder":
        folder.write_text("")
    elif fault == "full":
        free = shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    elif fault == "bound":
        most = 2 << 20
        monkeypatch.setattr(packed_file, "_HEADER", (2 << 20) - 1000)
    elif fault == "not ours":
        if os.name != "posix":
            pytest.skip("no owners")
        folder.mkdir()
        monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 7)
        os.chown(folder, folder.stat().st_uid or 12345, -1)
    else:
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "broken")))
    for _ in range(2):
        done = model(folder=folder, most=most)
        assert done.read
        assert torch.equal(done.logits, expected)
    assert "weight_cache_disk_mb=0" in caplog.text or "cannot be read" in caplog.text
    assert not folder.is_dir() or not list(folder.iterdir())


def test_an_error_while_packing_leaves_nothing(tmp_path):
    """And is the caller's."""
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(4)}, path)
    cache = PackedCache(tmp_path / "packed", 1 << 30)

    def broken():
        assert list((tmp_path / "packed").iterdir())
        raise ZeroDivisionError

    def pack():
        with cache.open(TensorFile(path), "lm") as store:
            store.begin({})
            store.group("a", lambda: {"b": torch.ones(2)})
            store.group("b", broken)

    with pytest.raises(ZeroDivisionError):
        pack()
    assert list((tmp_path / "packed").iterdir()) == []


def test_two_may_write_at_once(tmp_path):
    """Each writes the whole; the file is that of one of them."""
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(4)}, path)
    cache = PackedCache(tmp_path / "packed", 1 << 30)
    with cache.open(TensorFile(path), "lm") as one, cache.open(TensorFile(path), "lm") as two:
        for store in (one, two):
            store.begin({"precision": "int8"})
            store.group("x", lambda: {"b": torch.arange(5)})
    with cache.open(TensorFile(path), "lm") as third:
        third.begin({"precision": "int8"})
        assert third.stored
        assert third.group("x", pytest.fail)["b"].tolist() == [0, 1, 2, 3, 4]
    assert len(list((tmp_path / "packed").iterdir())) == 1


def test_the_oldest_go_first(tmp_path):
    """By their last use; files of others, and those that are being written, stay."""
    path, folder = tmp_path / "a.safetensors", tmp_path / "packed"
    save_file({"a": torch.ones(4)}, path)
    cache = PackedCache(folder, 4 << 20)

    def use(part):
        with cache.open(TensorFile(path), part) as store:
            store.begin({})
            store.group("x", lambda: {"b": torch.zeros(400_000, dtype=torch.uint8)})
            return store.stored

    folder.mkdir()
    (folder / "note.txt").write_text("")
    (folder / "new.safetensors.1.part").write_text("")
    (folder / "old.safetensors.2.part").write_text("")
    os.utime(folder / "old.safetensors.2.part", (1, 1))
    for number, part in enumerate(("one", "two")):
        use(part)
        for file in folder.glob("*.safetensors"):
            if time.time() - file.stat().st_mtime < 3600:
                os.utime(file, (1000 + number, 1000 + number))
    assert use("one")  # used last
    use("three")
    assert use("one")
    assert not use("two")
    assert {"note.txt", "new.safetensors.1.part"} < {file.name for file in folder.iterdir()}
    assert not (folder / "old.safetensors.2.part").exists()


@pytest.mark.parametrize("megabytes", [0, 1, 4096])
def test_the_settings_say_where_and_how_much(tmp_path, megabytes):
    """0 does without the disk."""
    settings = Settings(weight_cache_disk_mb=megabytes, data_dir=tmp_path)
    cache = PackedCache.of(settings)
    assert cache.max_bytes == megabytes << 20
    assert cache.folder == (packed_dir(settings) if megabytes else None)
    assert NO_CACHE.folder is None


@pytest.mark.parametrize("kind", ["int8", "int4", "bf16"])
@pytest.mark.parametrize("bias", [None, 0.5])
def test_native_weights_are_stored_as_they_are_read(kind, bias):
    """Their bytes, bias included."""
    native = pytest.importorskip("realtts_native")
    if native.usable() is not None:
        pytest.skip(native.usable())
    weight = torch.randn(64, 96, generator=torch.Generator().manual_seed(1))
    added = None if bias is None else torch.full((64,), bias)
    storage, x = NativeStorage(kind), torch.randn(3, 96, generator=torch.Generator().manual_seed(2))
    tensors = {name: tensor.clone() for name, tensor in storage.dump(weight, added).items()}
    outputs = []
    for packed in (storage.load(tensors, added), native.Weight.pack(weight, kind, bias=added)):
        outputs.append(torch.empty(3, 64))
        packed.run(x, outputs[-1], pool=native.Pool(1))
    assert torch.equal(*outputs)
    assert storage.layout.startswith(str(native.LAYOUT))
