"""Requests in the model's terms: upstream's chunks and lengths, options, and what cannot be said."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from realtts.errors import InvalidOption, UnspeakableText, VoiceUnsuitable
from realtts.speech import Voice
from realtts.voices import VoiceCache
from realtts_f5.frontend import MOST_FRAMES, prepare
from realtts_f5.noise import chunk_noise, chunk_seed
from realtts_f5.options import F5Options
from realtts_f5.text import Vocabulary

LONG = "I do not really care what you call me. I have been a silent spectator, watching species evolve. " * 6


def plan_of(
    recording,
    text,
    *,
    words="These are the words of the recording.",
    speed=1.0,
    forced=None,
    streaming=False,
    **options,
):
    """A request, prepared with upstream's vocabulary."""
    context = SimpleNamespace(voice_cache=VoiceCache(), forced_tokens=lambda _: forced)
    request = SimpleNamespace(
        text=text,
        voice=Voice(*recording, words),
        language=None,
        seed=5,
        speed=speed,
        options=F5Options(**options),
        streaming=streaming,
    )
    return prepare(context, Vocabulary(None), request)


@pytest.fixture
def upstreams(upstream_infer, monkeypatch, recording):
    """Chunks and lengths that upstream gives its network, and that network's tokens."""
    import soundfile
    import torch

    def ask(tmp_path, text, words="These are the words of the recording.", **options):
        seen = []

        class Network:
            def sample(self, **given):
                seen.append((given["text"][0], given["duration"], given["cond"]))
                return torch.zeros(1, given["duration"] + 400, 100), None

        vocoder = SimpleNamespace(decode=lambda mel: torch.zeros(1, mel.shape[-1]))
        path = tmp_path / "voice.wav"
        soundfile.write(path, *recording, subtype="PCM_16")
        made, words = upstream_infer.preprocess_ref_audio_text(str(path), words, show_info=lambda *_: None)
        pool = SimpleNamespace(submit=_at_once)
        monkeypatch.setattr(upstream_infer, "ThreadPoolExecutor", lambda: _Entered(pool))
        upstream_infer.infer_process(
            made, words, text, Network(), vocoder, show_info=lambda *_: None, progress=None, device="cpu", **options
        )
        return seen

    return ask


class _Entered:
    def __init__(self, value):
        self._value = value

    def __enter__(self):
        return self._value

    def __exit__(self, *_):
        return None


def _at_once(function, *given):
    value = function(*given)
    return SimpleNamespace(result=lambda: value)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("Hello there, this is a test.", {}),
        ("Short.", {}),
        (LONG, {}),
        (LONG, {"speed": 1.7}),
        (LONG, {"fix_duration": 40.0}),
        (LONG, {"fix_duration": 40.0, "cross_fade_duration": 0.5}),
        ("Hello there, this is a test.", {"fix_duration": 12.5}),
        ("你好，世界。今天天气怎么样？我们一起去银行吧！" * 5, {}),
        ("mañana señor, ¿qué tal está? " * 8, {"speed": 0.8}),
    ],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_chunks_and_lengths_are_upstreams(upstreams, recording, tmp_path, text, options) -> None:
    """The same symbols, samples and durations reach the network."""
    plan = plan_of(recording, text, **options)
    expected = upstreams(tmp_path, text, **options)
    vocabulary = Vocabulary(None)
    assert len(plan.chunks) == len(expected)
    for chunk, (symbols, duration, cond) in zip(plan.chunks, expected, strict=True):
        assert chunk.ids == vocabulary.ids(symbols)
        assert chunk.frames == max(duration, len(symbols) + 1, plan.reference.frames + 1)
        assert np.array_equal(plan.reference.samples, cond[0].numpy())


@pytest.mark.parametrize("text", ["word " * 1000, "字" * 5000, "x" * 5000], ids=["words", "chinese", "one word"])
def test_text_without_punctuation_is_divided(recording, text) -> None:
    """5,000 characters with nowhere to pause; every part is of a length that the models know."""
    plan = plan_of(recording, text)
    assert len(plan.chunks) > 5
    assert max(chunk.frames for chunk in plan.chunks) <= 30 * 24_000 // 256
    assert "".join("".join(chunk.text for chunk in plan.chunks).split()) == "".join(text.split())


def test_noise_is_of_seed_and_index_alone() -> None:
    """The first chunk's is what upstream draws for the seed; others have seeds of their own."""
    import torch

    before = torch.get_rng_state()
    drawn = torch.randn(50, 100, generator=torch.Generator().manual_seed(7))
    assert torch.equal(chunk_noise(7, 0, 50), drawn)
    assert torch.equal(chunk_noise(7, 3, 50), chunk_noise(7, 3, 50))
    assert not torch.equal(chunk_noise(7, 3, 50), drawn)
    assert len({chunk_seed(7, index) for index in range(100)}) == 100
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("quality", "steps"), [("fast", 7), ("balanced", 16), ("full", 32)])
def test_quality_says_what_it_sets(recording, quality, steps) -> None:
    """Fewer steps are never silent; an explicit number wins."""
    plan = plan_of(recording, "Hello there.", quality=quality)
    assert plan.steps == steps
    assert [f"{steps} solver steps" in warning for warning in plan.warnings] == [True] * (quality != "full")
    given = plan_of(recording, "Hello there.", quality=quality, nfe_step=10)
    assert (given.steps, given.warnings) == (10, ())


def test_forced_frames_are_obeyed(recording) -> None:
    """A benchmark's number of frames is that of all chunks together."""
    plan = plan_of(recording, LONG, forced=4000)
    assert len(plan.chunks) > 1
    assert abs(sum(chunk.frames - plan.reference.hops for chunk in plan.chunks) - 4000) <= len(plan.chunks)
    one = plan_of(recording, "Hello there, my friend.", forced=469)
    assert one.chunks[0].frames - one.reference.hops == 469


def test_what_the_vocabulary_lacks_is_told(recording) -> None:
    """A few symbols are a warning, nothing but them an error."""
    assert "☃" in plan_of(recording, "Hello ☃ there.").warnings[0]
    for text in ("☃☃", "...", "ᚠᚢᚦ"):
        with pytest.raises(UnspeakableText):
            plan_of(recording, text)


def test_durations_that_cannot_be_are_refused(recording) -> None:
    """Shorter than the recording, or longer than the networks take."""
    with pytest.raises(InvalidOption, match="recording alone"):
        plan_of(recording, "Hello there.", fix_duration=3.0)
    with pytest.raises(InvalidOption, match="networks take 87 s"):
        plan_of(recording, "Hello there.", fix_duration=100.0)
    assert plan_of(recording, "Hello there.", fix_duration=80.0).chunks[0].frames <= MOST_FRAMES


def test_words_that_do_not_fit_the_recording(recording) -> None:
    """A letter for five seconds still gives chunks that fit; thousands of words are refused by their option's name."""
    for text in ("字字字", "word " * 200):
        assert max(chunk.frames for chunk in plan_of(recording, text, words="I").chunks) <= MOST_FRAMES
    with pytest.raises(VoiceUnsuitable, match="reference_text"):
        plan_of(recording, "Hello there.", words="word " * 2000)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Hello there, my friend, how are you today?", "Hello there, my friend,"),
        ("Yes. No. That depends on what you want. Tell me more about it.", "Yes. No. That depends on what you want."),
        ("One sentence without any comma in it.", "One sentence without any comma in it."),
        ("Well, this is a long beginning, so.", "Well, this is a long beginning, so."),
    ],
)
def test_a_stream_begins_with_a_clause(recording, text, first) -> None:
    """A chunk of its own, where one is long enough and leaves enough; otherwise, and in the whole, nothing is cut."""
    live = plan_of(recording, text, streaming=True)
    assert live.chunks[0].text == first
    assert " ".join(chunk.text for chunk in live.chunks) == text
    assert [chunk.text for chunk in plan_of(recording, text).chunks] == [text]
    assert plan_of(recording, text, short_first_chunk=True).chunks == live.chunks
    assert len(plan_of(recording, text, streaming=True, short_first_chunk=False).chunks) == 1
