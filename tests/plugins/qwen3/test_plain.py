"""The plain variant: upstream's frames and sound, without what upstream leaves behind."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from realtts.accel.upstream.calls import quiet
from realtts.contract.stages import Cancelled
from realtts.contract.types import Voice
from realtts.errors import VoiceUnsupported
from realtts_qwen3.frontend import prepare, utterance_of
from realtts_qwen3.options import Qwen3Options
from realtts_qwen3.upstream import why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

TEXT = "hello there, my friend."
SEED = 11
MAX_FRAMES = 8
GREEDY = {"do_sample": False, "subtalker_dosample": False}
DRAWN = [{}, GREEDY, {"temperature": 1.4, "top_k": 0, "top_p": 0.8, "subtalker_top_k": 7, "subtalker_top_p": 0.9}]
WAYS = [
    ("0.6b-custom-voice", {"speaker": "ryan"}, "en"),
    ("1.7b-custom-voice", {"speaker": "eric", "instruct": "Sadly, please."}, None),
    ("1.7b-voice-design", {"instruct": "A deep voice."}, "fr"),
]
SPEECH = [
    pytest.param(*WAYS[way], DRAWN[options], marks=marks, id=f"{WAYS[way][0]}-{options}")
    # Every option, and a model of each architecture (1.7B has a projection before its predictor).
    for way, options, marks in ((0, 0, ()), (0, 1, ()), (2, 2, ()), (1, 0, pytest.mark.full))
]
CLONING = [
    ("0.6b-base", "hello the test", False),
    ("0.6b-base", None, True),
    pytest.param("1.7b-base", "hello the test", True, marks=pytest.mark.full),
    pytest.param("1.7b-base", None, False, marks=pytest.mark.full),
]


def ask_of(weights, text=TEXT, *, forced=None, language=None, voice=None, seed=SEED, **options):
    """A request in the model's terms."""
    context = SimpleNamespace(forced_tokens=lambda _: forced)
    options = Qwen3Options(**({"max_new_tokens": MAX_FRAMES + 1} | options))
    request = SimpleNamespace(text=text, language=language, voice=voice, seed=seed, options=options)
    return prepare(context, weights, request)


def drawn(networks, ask, prompt=None, cancelled=lambda: False):
    """Frames, and the sound of them."""
    utterance = utterance_of(ask, prompt)
    codes, _ = networks.draw(utterance, cancelled)
    return codes, networks.samples(codes, utterance.codes)


def prompt_of(networks, recording):
    """What the plain variant makes of a recording."""
    return SimpleNamespace(embedding=networks.embedding(recording[0]), codes=networks.codes(recording[0]))


def theirs(call, **arguments):
    """The samples of one of upstream's own calls."""
    torch.manual_seed(SEED)
    with quiet():
        (wave,), rate = call(TEXT, max_new_tokens=MAX_FRAMES + 1, **arguments)
    assert rate == 24_000
    return wave


@pytest.mark.parametrize(("model", "arguments", "language", "options"), SPEECH)
def test_speech_is_upstreams(weights_of, networks_of, upstream_of, *, model, arguments, language, options) -> None:
    """The same seed gives the samples of upstream's own call, with speakers and with a voice by description."""
    upstream = upstream_of(model)
    call = upstream.generate_voice_design if "design" in model else upstream.generate_custom_voice
    name = {"en": "English", "fr": "French", None: "Auto"}[language]
    expected = theirs(call, language=name, **arguments, **options)
    codes, samples = drawn(networks_of(model), ask_of(weights_of(model), language=language, **arguments, **options))
    assert 2 <= len(codes) <= MAX_FRAMES
    assert np.array_equal(samples, expected)


@pytest.mark.parametrize(("model", "words", "non_streaming"), CLONING)
def test_cloning_is_upstreams(weights_of, networks_of, upstream_of, recording, *, model, words, non_streaming) -> None:
    """With the words of the recording, and by the speaker embedding alone."""
    networks = networks_of(model)
    prompt = prompt_of(networks, recording)
    (item,) = upstream_of(model).create_voice_clone_prompt(recording, words, x_vector_only_mode=words is None)
    assert torch.equal(prompt.embedding, item.ref_spk_embedding)
    assert words is None or torch.equal(prompt.codes, item.ref_code)
    expected = theirs(
        upstream_of(model).generate_voice_clone, language="English", voice_clone_prompt=[item],
        non_streaming_mode=non_streaming,
    )  # fmt: skip
    voice = Voice(*recording, words)
    ask = ask_of(weights_of(model), voice=voice, language="en", non_streaming_mode=non_streaming)
    codes, samples = drawn(networks, ask, prompt)
    assert len(samples) == 1920 * len(codes)
    # Upstream cuts the recording off at a rounded share of the whole, which may be a sample early.
    assert len(expected) - len(samples) in {0, 1}
    assert np.array_equal(samples, expected[len(expected) - len(samples) :])


def test_nothing_is_left_behind(weights_of, networks_of, capfd) -> None:
    """No hook, no random number taken, nothing printed, also where a request is cancelled."""
    networks, weights = networks_of("0.6b-custom-voice"), weights_of("0.6b-custom-voice")
    talker = networks.model.talker
    before = torch.get_rng_state().tolist()
    capfd.readouterr()
    drawn(networks, ask_of(weights))
    with pytest.raises(Cancelled):
        drawn(networks, ask_of(weights), cancelled=lambda: True)
    assert torch.get_rng_state().tolist() == before
    assert not talker.model._forward_pre_hooks
    assert not talker.codec_head._forward_hooks
    assert capfd.readouterr() == ("", "")


def test_cancelling_stops_at_the_next_frame(weights_of, networks_of) -> None:
    """It is asked before each one."""
    calls = []
    with pytest.raises(Cancelled):
        drawn(
            networks_of("0.6b-custom-voice"),
            ask_of(weights_of("0.6b-custom-voice"), forced=50),
            cancelled=lambda: calls.append(1) or len(calls) > 3,
        )
    assert len(calls) == 4


def test_forced_number_of_frames(plain) -> None:
    """A benchmark's number of frames is obeyed, whatever is drawn."""
    speech = plain(force_tokens_per_char=1.0).generate("Six ch", seed=1)
    assert (speech.metrics.tokens, len(speech.samples), speech.finish_reason) == (6, 6 * 1920, "length")


def test_a_special_token_in_a_text_ends_nothing(weights_of, networks_of) -> None:
    """`<|im_end|>` in a text is read, where upstream's prompt would end."""
    weights = weights_of("0.6b-custom-voice")
    cut, whole = ask_of(weights, "hello<|im_end|>the test"), ask_of(weights, "hello")
    assert len(cut.text) > len(whole.text) + 5
    assert weights.sizes.config["im_end_token_id"] not in cut.text
    codes, _ = drawn(networks_of("0.6b-custom-voice"), cut)
    assert len(codes) >= 2


def test_seed_repeats_the_speech(plain) -> None:
    """Equal requests give equal samples, others do not, and torch's own generator has no say."""
    provider = plain(force_tokens_per_char=0.5)
    samples = []
    for number, seed in enumerate((1, 1, 2)):
        torch.manual_seed(number)
        samples.append(provider.generate("Hello.", seed=seed).samples)
    assert np.array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])


def test_speakers_are_listed(plain) -> None:
    """The nine of the checkpoint, the dialects of two of them told."""
    provider = plain(force_tokens_per_char=0.5)
    listed = {voice.id: voice for voice in provider.voices()}
    assert len(listed) == 9
    assert "sichuan" in listed["eric"].description
    assert provider.generate("Hello.", voice="sohee").duration > 0


def test_a_model_that_clones_lists_none(plain, recording) -> None:
    """And says what it wants."""
    provider = plain("0.6b-base", force_tokens_per_char=0.5)
    assert not provider.voices()
    with pytest.raises(VoiceUnsupported, match="recording"):
        provider.generate("Hello.")
    assert provider.generate("Hello.", voice=recording, reference_text="hello the").duration > 0


def test_the_status_says_whose_networks_speak(plain) -> None:
    """qwen-tts itself, where it is installed."""
    provider = plain(force_tokens_per_char=0.5)
    provider.load()
    assert "qwen-tts" in str(provider.get_provider_status())
