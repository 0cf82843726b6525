"""Requests in the model's terms: upstream's chunks and lengths, options, and what cannot be said."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from realtts.contract.types import Unread, Voice
from realtts.errors import InvalidOption, UnspeakableText, VoiceUnsuitable
from realtts.testing import make_context, make_request
from realtts_f5.configurations import CONFIGURATIONS
from realtts_f5.durations import MOST_FRAMES
from realtts_f5.frontend import prepare
from realtts_f5.noise import chunk_noise, chunk_seed
from realtts_f5.options import F5Options
from realtts_f5.text import Vocabulary

LONG = "I do not really care what you call me. I have been a silent spectator, watching species evolve. " * 6


def ask_of(
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
    context = make_context(force_tokens_per_char=None if forced is None else forced / len(text))
    voice, chosen = Voice(*recording, words), F5Options(**options)
    request = make_request(text, voice=voice, seed=5, speed=speed, options=chosen, streaming=streaming)
    return prepare(context, SimpleNamespace(vocabulary=Vocabulary(None)), request)


@pytest.fixture
def upstreams(upstream_infer, monkeypatch, recording):
    """Chunks and lengths that upstream gives its network, and that network's tokens."""
    import soundfile
    import torch

    def ask(tmp_path, text, words="These are the words of the recording.", **options):
        seen = []

        class Network:
            def sample(self, **inputs):
                seen.append((inputs["text"][0], inputs["duration"], inputs["cond"]))
                return torch.zeros(1, inputs["duration"] + 400, 100), None

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


def _at_once(function, *arguments):
    value = function(*arguments)
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
    ask = ask_of(recording, text, **options)
    expected = upstreams(tmp_path, text, **options)
    vocabulary = Vocabulary(None)
    assert len(ask.chunks) == len(expected)
    for chunk, (symbols, duration, cond) in zip(ask.chunks, expected, strict=True):
        assert chunk.ids == vocabulary.ids(symbols)
        assert chunk.frames == max(duration, len(symbols) + 1, ask.reference.frames + 1)
        assert np.array_equal(ask.reference.samples, cond[0].numpy())


@pytest.mark.parametrize("text", ["word " * 1000, "字" * 5000, "x" * 5000], ids=["words", "chinese", "one word"])
def test_text_without_punctuation_is_divided(recording, text) -> None:
    """5,000 characters with nowhere to pause; every part is of a length that the models know."""
    ask = ask_of(recording, text)
    assert len(ask.chunks) > 5
    assert max(chunk.frames for chunk in ask.chunks) <= 30 * 24_000 // 256
    assert "".join("".join(chunk.text for chunk in ask.chunks).split()) == "".join(text.split())


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
    ask = ask_of(recording, "Hello there.", quality=quality)
    assert ask.steps == steps
    assert [f"{steps} solver steps" in warning for warning in ask.warnings] == [True] * (quality != "full")
    explicit = ask_of(recording, "Hello there.", quality=quality, nfe_step=10)
    assert (explicit.steps, explicit.warnings) == (10, ())


def test_forced_frames_are_obeyed(recording) -> None:
    """A benchmark's number of frames is that of all chunks together."""
    for forced in (4000, 4001, 4002, 4003):
        ask = ask_of(recording, LONG, forced=forced)
        assert len(ask.chunks) > 2
        assert sum(chunk.frames - ask.reference.hops for chunk in ask.chunks) == forced
    one = ask_of(recording, "Hello there, my friend.", forced=469)
    assert one.chunks[0].frames - one.reference.hops == 469


def test_what_the_vocabulary_lacks_is_told(recording) -> None:
    """A few symbols are a warning, nothing but them an error."""
    assert ask_of(recording, "Hello ☃ there.").unread == (Unread((6, 7)),)
    for text in ("☃☃", "...", "ᚠᚢᚦ"):
        with pytest.raises(UnspeakableText):
            ask_of(recording, text)


def test_what_the_vocabulary_lacks_takes_no_time(recording) -> None:
    """Symbols and length are those of the text without it, and a chunk of nothing else is not spoken."""
    plain = ask_of(recording, "Hello there, my friends.").chunks
    for text in (
        "Hello there, my friends\U0001f600\U0001f600.",
        "Hello \u2603 there, my friends.",
        "Hello\u2603there, my friends.",
    ):
        assert [(c.ids, c.frames) for c in ask_of(recording, text).chunks] == [(c.ids, c.frames) for c in plain]
    words = "Twenty-four bytes of it. " * 12
    parted = ask_of(recording, words + "\u2603. " * 200 + words).chunks
    assert len(parted) > 2
    assert all(any(symbol.isalnum() for symbol in chunk.text) for chunk in parted)


def test_durations_that_cannot_be_are_refused(recording) -> None:
    """Shorter than the recording, or longer than the networks take."""
    with pytest.raises(InvalidOption, match="recording alone"):
        ask_of(recording, "Hello there.", fix_duration=3.0)
    with pytest.raises(InvalidOption, match="networks take 87 s"):
        ask_of(recording, "Hello there.", fix_duration=100.0)
    with pytest.raises(InvalidOption, match="symbols") as caught:
        ask_of(recording, "word " * 2000, fix_duration=60.0)
    assert "leave fix_duration out" in caught.value.fix
    assert ask_of(recording, "Hello there.", fix_duration=80.0).chunks[0].frames <= MOST_FRAMES


@pytest.mark.parametrize("text", ["Hi.", "Hello there, my friend.", LONG, "dense " * 100])
@pytest.mark.parametrize("fade", [0.15, 1.0])
def test_the_least_duration_is_named_and_works(recording, text, fade) -> None:
    """A symbol for every frame, 0.3 s, and a third of the natural length for every chunk, and no frame more."""
    with pytest.raises(InvalidOption) as caught:
        ask_of(recording, text, fix_duration=5.0, cross_fade_duration=fade)
    least = float(re.search(r"at least ([0-9.]+):", caught.value.fix)[1])
    natural = ask_of(recording, text)
    ask = ask_of(recording, text, fix_duration=least, cross_fade_duration=fade)
    for chunk, whole in zip(ask.chunks, natural.chunks, strict=False):
        spoken = chunk.frames - ask.reference.hops
        assert spoken >= 0.3 * 93.75
        assert chunk.frames > len(chunk.ids)
        if len(ask.chunks) == len(natural.chunks):
            assert spoken >= (whole.frames - ask.reference.hops) // 3
    with pytest.raises(InvalidOption, match="too little time"):
        ask_of(recording, text, fix_duration=least - 0.01, cross_fade_duration=fade)


@pytest.mark.parametrize("words", ["I", "Hi you.", "word " * 200])
def test_words_that_are_not_the_recordings(recording, words) -> None:
    """Far too few or too many for its length would make noise: both numbers are named, and the option."""
    with pytest.raises(VoiceUnsuitable, match=r"[0-9]+ bytes and it lasts 5\.. s") as caught:
        ask_of(recording, "Hello there.", words=words)
    assert "reference_text" in caught.value.fix


def test_words_stay_whole_for_a_slow_speaker(recording) -> None:
    """A word longer than the bytes of a chunk is a chunk by itself; one beyond 30 s is cut."""
    words = ["honorificabilitudinitatibus"] * 9
    ask = ask_of(recording, " ".join(words), words="Just these few words", speed=0.3)
    assert {word for chunk in ask.chunks for word in chunk.text.split()} == set(words)
    assert len(ask_of(recording, "x" * 600, words="Just these few words").chunks) > 1


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Hello there, my friend, how are you today?", "Hello there,"),
        ("Yes. No. That depends on what you want. Tell me more about it.", "Yes. No. That depends"),
        ("One sentence without any comma in it.", "One sentence without"),
        ("Well, this is a long beginning, so.", "Well, this is a long beginning, so."),
    ],
)
def test_a_stream_begins_with_a_clause(recording, text, first) -> None:
    """A chunk of its own, where one is long enough and leaves enough; otherwise, and in the whole, nothing is cut."""
    live = ask_of(recording, text, streaming=True)
    assert live.chunks[0].text == first
    assert " ".join(chunk.text for chunk in live.chunks) == text
    assert [chunk.text for chunk in ask_of(recording, text).chunks] == [text]
    assert ask_of(recording, text, short_first_chunk=True).chunks == live.chunks
    assert len(ask_of(recording, text, streaming=True, short_first_chunk=False).chunks) == 1


SENTENCES = {
    "ordinary": "The weather has been kind to us this week. We walked along the river until the evening. Nobody had "
    "thought of bringing anything to eat. On the way back we stopped at a small bakery. It was the best bread that "
    "I have ever tasted.",
    "short": "I like tea. You like milk. We drink it at noon. They all sit down. Then we go home.",
}


def share_of(seconds, text):
    """Work of a stream's first chunk over that of all chunks, for a speaker of 15 bytes a second."""
    rate = 24_000
    time = np.arange(round((seconds - 0.05) * rate)) / rate
    wave = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 10)) * 0.1
    words = ("these are words of somebody " * 20)[: round(15 * seconds)]
    ask = ask_of((wave.astype(np.float32), rate), text, words=words, streaming=True)
    shape = CONFIGURATIONS["f5-v1-base"].architecture
    products = 2 * shape.dim**2 * (4 + 2 * shape.ff_mult)
    costs = [chunk.frames * (products + 4 * shape.dim * chunk.frames) for chunk in ask.chunks]
    assert min(len(chunk.text.encode()) for chunk in ask.chunks) >= 10
    return costs[0] / sum(costs)


@pytest.mark.parametrize(
    ("seconds", "name", "most"),
    [
        *((seconds, "ordinary", 0.3) for seconds in (3, 5, 8)),
        # Five sentences of 5 s together: what is computed for the recording's frames is more than all of the speech.
        (3, "short", 0.35),
        (5, "short", 0.40),
        (8, "short", 0.43),
    ],
)
def test_a_streams_first_chunk_is_a_small_part(seconds, name, most) -> None:
    """Five sentences: 30 % of the work, more only where the whole is shorter than the recording."""
    assert share_of(seconds, SENTENCES[name]) <= most


def test_small_first_parts_cost_no_more_chunks(recording) -> None:
    """One more than the whole has, however long the recording: parting it further would make the whole slower."""
    for text in (*SENTENCES.values(), LONG):
        assert len(ask_of(recording, text, streaming=True).chunks) <= len(ask_of(recording, text).chunks) + 1


def test_every_end_of_a_range_is_taken(recording, option_ends) -> None:
    """What the options allow is not refused behind the load; the seconds of `fix_duration` depend on the text."""
    for option in option_ends(F5Options):
        if "fix_duration" not in option:
            ask_of(recording, "Some words to be said.", **option)


@pytest.mark.parametrize("text", ["Yes.", "No", "Oui !", "Sí.", "Ja, ja.", "好。", "Да", "はい"])
@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0, 4.0])
def test_speed_counts_on_short_texts(recording, text, speed) -> None:
    """At the natural speed they last as upstream has it, at another one in proportion."""
    at_speed, natural = (ask_of(recording, text, speed=value) for value in (speed, 1.0))
    frames, usual = (ask.chunks[0].frames - ask.reference.hops for ask in (at_speed, natural))
    assert frames == pytest.approx(usual / speed, abs=1.5)
