"""v3 Turbo through upstream's package: its text functions as they are; its engine with random graphs, or a stand-in.

The stand-in has the engine's signature, draws from numpy's global generator as it does, and yields frames.
"""

from __future__ import annotations

import importlib
import json
import threading
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from realtts import RealProvider
from realtts.errors import CheckpointCorrupt, InvalidOption, MissingExtra, UnspeakableText, VoiceNotFound
from realtts_vieneu import spec, turbo, upstream
from realtts_vieneu.files import TURBO_CODEC_FILES, TURBO_FILES
from realtts_vieneu.testing import write_random_checkpoint

ENGINE = "vieneu._v3_turbo_engine.onnx_runtime_lite"


class Engine:
    """As upstream's ``OnnxV3LiteEngine``."""

    made: ClassVar[list[Engine]] = []

    def __init__(self, checkpoint_path, *, onnx_dir, codec_dir, threads) -> None:
        self.given = {"checkpoint_path": checkpoint_path, "onnx_dir": onnx_dir, "codec_dir": codec_dir}
        self.threads, self.calls, self.enrolled = threads, [], 0
        Engine.made.append(self)

    def infer_stream(self, *, phonemes, speaker_emb, ref_codes, max_new_frames, chunk_frames, frame_cap, **drawing):
        """A frame for each word."""
        assert speaker_emb.shape == (192,)
        assert ref_codes.shape[1] == 16
        assert not frame_cap
        self.calls.append({"phonemes": phonemes, "frames": max_new_frames, **drawing})
        for _ in range(min(len(phonemes.split()), max_new_frames)):
            yield np.random.uniform(-0.5, 0.5, 3840)

    def prepare_reference(self, wave, *, sr, denoise):
        """Of a recording."""
        self.enrolled += 1
        return np.full(192, wave.mean(), np.float32), np.zeros((5, 16), np.int64)


@pytest.fixture
def folder(tmp_path):
    """Files of the names that the package reads, with nothing in them."""
    pytest.importorskip("vieneu_utils")
    names = [name if isinstance(name, str) else name[0] for name in TURBO_FILES]
    names += [f"codec/{name}" for name in TURBO_CODEC_FILES]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("{}", encoding="utf-8")
    (tmp_path / "realtts.json").write_text('{"configuration": "v3-turbo"}', encoding="utf-8")
    (tmp_path / "voices_v3_turbo.json").unlink()
    return tmp_path


@pytest.fixture
def provider(folder, monkeypatch):
    """A provider of the plain variant over the stand-in."""
    real = turbo.module

    class Module:
        OnnxV3LiteEngine = Engine

    for where in (turbo, upstream):
        monkeypatch.setattr(where, "module", lambda name: Module if name == ENGINE else real(name))
    Engine.made.clear()
    given = {"device": "cpu", "threads": 1, "strict": True, "data_dir": str(folder / "data")}
    with RealProvider(replace(spec, optimized=None), model=folder, **given) as made:
        yield made


def test_speaks_at_48_khz(provider, folder) -> None:
    """With the files of the folder and nothing of the hub, drawn as upstream draws."""
    speech = provider.generate("Xin chào các bạn.", seed=1)
    (engine,) = Engine.made
    assert engine.given == {
        "checkpoint_path": str(folder), "onnx_dir": str(folder / "onnx_update"), "codec_dir": str(folder / "codec"),
    }  # fmt: skip
    assert (speech.sample_rate, len(speech.samples), speech.finish_reason) == (48_000, 4 * 3840, "stop")
    assert speech.metrics.tokens == 4
    drawing = {"temperature": 0.8, "top_k": 25, "top_p": 0.95, "repetition_penalty": 1.2}
    assert drawing.items() <= engine.calls[0].items()


def test_options_reach_the_engine(provider) -> None:
    """Where they are given."""
    provider.generate("Xin chào.", temperature=0.5, top_k=3, top_p=0.5, repetition_penalty=1.0, max_new_tokens=7)
    call = Engine.made[0].calls[0]
    assert (call["temperature"], call["top_k"], call["top_p"], call["repetition_penalty"]) == (0.5, 3, 0.5, 1.0)
    assert call["frames"] == 7


@pytest.mark.parametrize(
    "option", [{"emotion": "natural"}, {"silence": 0.1}, {"do_sample": False}, {"prompt_format": "chat"}]
)
def test_options_of_the_others_are_refused(provider, option) -> None:
    """Rather than ignored."""
    with pytest.raises(InvalidOption, match="v3"):
        provider.generate("Xin chào.", **option)


def test_the_package_presets_speak(provider) -> None:
    """All of them are listed, and speak by their names; without one the default does."""
    ids = [voice.id for voice in provider.voices()]
    assert len(ids) == 25
    names = ("Hải Đăng", None, "Trúc Ly")
    sounds = [provider.generate("Xin chào.", voice=name, seed=1).samples for name in names]
    assert np.array_equal(sounds[0], sounds[1])
    assert [len(sound) for sound in sounds] == [2 * 3840] * 3
    with pytest.raises(VoiceNotFound, match="voices list"):
        provider.generate("Xin chào.", voice="nobody")


def test_voices_of_the_checkpoint_come_on_top(provider, folder) -> None:
    """And its default speaks."""
    own = {"default_voice": "Mới", "presets": {"Mới": {"speaker_emb": [0.5] * 192, "codes": [[1] * 16] * 4}}}
    (folder / "voices_v3_turbo.json").write_text(json.dumps(own), encoding="utf-8")
    assert len(provider.voices()) == 26
    (folder / "voices_v3_turbo.json").write_text("{}", encoding="utf-8")
    provider.unload()
    with pytest.raises(CheckpointCorrupt, match="voices_v3_turbo"):
        provider.generate("Xin chào.")


def test_a_recording_is_enrolled_once(provider, recording) -> None:
    """By its content and whether it is cleaned."""
    for _ in range(2):
        provider.generate("Xin chào.", voice=recording, reference_text="Những từ.")
    assert Engine.made[0].enrolled == 1
    provider.generate("Xin chào.", voice=recording, reference_text="Những từ.", denoise=False)
    assert Engine.made[0].enrolled == 2


def test_seeds_and_the_global_generator(provider) -> None:
    """A seed repeats the speech, and numpy's own generator is as it was."""
    np.random.seed(5)
    before = np.random.get_state()[1].tolist()
    first = provider.generate("Xin chào các bạn.", seed=1).samples
    chunks = list(provider.stream("Xin chào các bạn.", seed=1))
    assert np.random.get_state()[1].tolist() == before
    assert len(chunks) > 1
    assert chunks[-1].finish_reason == "stop"
    assert np.array_equal(np.concatenate([chunk.samples for chunk in chunks]), first)
    assert not np.array_equal(provider.generate("Xin chào các bạn.", seed=2).samples, first)


def test_sentences_have_the_packages_pauses(provider) -> None:
    """Half a second behind a sentence, more between paragraphs."""
    speech = provider.generate("Hôm nay trời đẹp lắm các bạn ơi.\n\nNgày mai trời có thể mưa to.", seed=1)
    assert 12_000 < len(speech.samples) - speech.metrics.tokens * 3840 < 96_000
    assert len(Engine.made[0].calls) == 2


def test_special_tokens_in_a_text_are_read(provider) -> None:
    """The package would take them for its own; its cues in brackets work."""
    provider.generate("Xin chào <|emotion_1|> bạn.")
    assert "<|" not in Engine.made[0].calls[0]["phonemes"]
    provider.generate("Nghe hay quá [cười].")
    assert "<|emotion_1|>" in Engine.made[0].calls[1]["phonemes"]


def test_what_has_no_sound_is_refused(provider) -> None:
    """As by the others."""
    with pytest.raises(UnspeakableText):
        provider.generate("你好")


def test_an_unknown_voice_is_refused_before_the_text_is_read(provider) -> None:
    """A text without sound shows it: that fault would be found first."""
    with pytest.raises(VoiceNotFound):
        provider.generate("你好", voice="Nobody")


def test_sentences_without_sound_are_left_out(provider) -> None:
    """And told; the engine is not asked to speak a full stop."""
    speech = provider.generate("Xin chào.\n\n你好。\n\nTạm biệt.", seed=1)
    assert all(any(sign.isalpha() for sign in call["phonemes"]) for call in Engine.made[0].calls)
    assert any("你" in warning for warning in speech.warnings)


def test_a_limit_ends_a_sentence(provider) -> None:
    """And is told."""
    speech = provider.generate("Xin chào các bạn thân mến.", max_new_tokens=2)
    assert (speech.finish_reason, len(speech.samples)) == ("length", 2 * 3840)


def test_a_benchmarks_number_is_shared(provider, folder) -> None:
    """Limits of two equal sentences, together as many as asked for: each alone would be rounded up."""
    text = "Xin chào các bạn.\n" * 4
    given = {"device": "cpu", "threads": 1, "data_dir": str(folder / "data"), "force_tokens_per_char": 3 / len(text)}
    with RealProvider(replace(spec, optimized=None), model=folder, **given) as forced:
        forced.generate(text, max_chars=20)
    limits = [call["frames"] for call in Engine.made[-1].calls]
    assert sorted(limits) == [1, 2]


def test_cancelling_stops_at_the_next_frame(provider) -> None:
    """Nothing more is asked of the engine."""
    stream = provider.stream("một hai ba bốn năm sáu bảy tám chín mười " * 3)
    next(stream)
    threading.Thread(target=provider.cancel).start()
    rest = list(stream)
    assert len(rest) < 25


def test_without_the_package_the_error_names_the_extra(folder, monkeypatch) -> None:
    """And no rung is blamed for it."""

    def absent(name):
        raise MissingExtra("vieneu cannot be imported", who="vieneu", fix="install realtts-vieneu[v3]")

    monkeypatch.setattr(upstream, "module", absent)
    with (
        RealProvider(replace(spec, optimized=None), model=folder, device="cpu") as made,
        pytest.raises(Exception, match=r"realtts-vieneu\[v3\]"),
    ):
        made.generate("Xin chào.")


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """Random graphs that upstream's own engine runs."""
    for name in ("onnx", "onnxruntime", "vieneu", "kaldi_native_fbank"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("graphs")
    write_random_checkpoint(folder, model="v3-turbo", eos_bias=3.0)
    return folder


@pytest.fixture
def real(graphs, tmp_path):
    """A provider over upstream's own engine."""
    given = {"device": "cpu", "threads": 1, "strict": True, "data_dir": str(tmp_path)}
    with RealProvider(replace(spec, optimized=None), model=graphs, **given) as made:
        yield made


def test_upstreams_engine_speaks(real) -> None:
    """Presets, seeds, streams and limits; numpy's generator is left alone."""
    np.random.seed(5)
    before = np.random.get_state()[1].tolist()
    one, again, other = (real.generate("Xin chào các bạn.", seed=seed, max_new_tokens=12) for seed in (1, 1, 2))
    assert np.array_equal(one.samples, again.samples)
    assert not np.array_equal(one.samples, other.samples)
    assert 0 < len(one.samples) <= 12 * 3840
    live = list(real.stream("Xin chào các bạn.", seed=1, max_new_tokens=12))
    assert np.array_equal(np.concatenate([chunk.samples for chunk in live]), one.samples)
    assert np.random.get_state()[1].tolist() == before


def test_upstreams_engine_says_what_the_package_says(real, graphs, monkeypatch) -> None:
    """The same samples as the package's own class gives for a sentence."""
    upstream = pytest.importorskip("vieneu.v3turbo")
    engine = importlib.import_module(ENGINE)
    monkeypatch.setattr(engine.OnnxV3LiteEngine, "_fetch", staticmethod(lambda *_: graphs / "codec"))
    package = upstream.V3TurboVieNeuTTS(
        backbone_repo=str(graphs), onnx_dir=str(graphs / "onnx_update"), backend="onnx", threads=1, babble_retries=0
    )
    dice = turbo._Dice(3)
    with dice.thrown():
        expected = np.concatenate(list(package.infer_stream("Xin chào các bạn.", voice="Trúc Ly", max_new_frames=12)))
    found = real.generate("Xin chào các bạn.", voice="Trúc Ly", seed=3, max_new_tokens=12).samples
    assert np.array_equal(found, expected)


def test_upstreams_engine_clones(real, recording) -> None:
    """A recording has its effect."""
    preset = real.generate("Xin chào.", seed=1, max_new_tokens=6)
    cloned = real.generate("Xin chào.", seed=1, max_new_tokens=6, voice=recording, reference_text="Những từ.")
    assert not np.array_equal(preset.samples, cloned.samples)
