"""The plain variant: transformers' tokens and sound, without what it leaves behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from realtts.accel.upstream.calls import quiet
from realtts.contract.stages import Cancelled
from realtts.errors import VoiceUnsupported
from realtts.testing import make_context, make_request
from realtts_vieneu.frontend import prepare, utterances_of
from realtts_vieneu.options import VieNeuOptions
from realtts_vieneu.reference import Upstream
from realtts_vieneu.upstream import module

SEED = 11
MOST = 54
DRAWN = [
    ("v1", {}),
    ("v2", {}),
    ("v2", {"do_sample": False}),
    pytest.param("v2", {"temperature": 0.7, "top_k": 5}, marks=pytest.mark.full),
    ("v2", {"temperature": 1.5, "top_k": 0}),
]
LONG = "Hôm nay trời đẹp, chúng tôi đi chơi. Ngày mai có mưa, chúng tôi ở nhà."


@pytest.fixture(scope="module")
def networks_of(weights_of):
    """Networks of transformers as the plain variant has them."""
    made = {}

    def networks(model):
        if model not in made:
            made[model] = Upstream(weights_of(model), "cpu")
        return made[model]

    return networks


@pytest.fixture(scope="module")
def loaded_of(folders):
    """The same checkpoints as transformers itself loads them, language model and codec."""
    made = {}

    def loaded(model):
        if model not in made:
            auto, neucodec = module("transformers.models.auto"), module("transformers.models.neucodec")
            with quiet():
                made[model] = (
                    auto.AutoModelForCausalLM.from_pretrained(folders(model), dtype=torch.float32),
                    neucodec.NeuCodecModel.from_pretrained(folders(model) / "codec").eval(),
                )
        return made[model]

    return loaded


def utterance_of(weights, text="Xin chào các bạn.", *, forced=None, seed=SEED, **options):
    """A sentence in the model's terms."""
    rate = None if forced is None else forced / len(text)
    request = make_request(text, seed=seed, options=VieNeuOptions(**({"max_new_tokens": MOST} | options)))
    ask = prepare(make_context(force_tokens_per_char=rate), weights, request)
    return utterances_of(weights, ask, ask.codes)[0]


@torch.inference_mode()
def theirs(model, utterance, end):
    """The tokens of upstream's own call of ``generate``."""
    greedy = utterance.params.greedy
    torch.manual_seed(utterance.seed)
    drawing = {} if greedy else {"temperature": utterance.params.temperature, "top_k": utterance.params.top_k}
    ids = torch.tensor([utterance.ids])
    with quiet():
        found = model.generate(
            ids, max_length=len(utterance.ids) + utterance.most, eos_token_id=end, do_sample=not greedy,
            use_cache=True, min_new_tokens=50, **drawing,
        )  # fmt: skip
    return found[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize(("model", "options"), DRAWN, ids=str)
def test_tokens_are_transformers(weights_of, networks_of, loaded_of, model, options) -> None:
    """The same seed gives the tokens of upstream's own call, drawn and not."""
    weights = weights_of(model)
    utterance, end = utterance_of(weights, **options), weights.reader.speech.end
    tokens, ended = networks_of(model).draw(utterance, lambda: False)
    expected = theirs(loaded_of(model)[0], utterance, end)
    assert len(expected) >= 50
    assert tokens == [token for token in expected if token != end]
    assert ended == (expected[-1] == end)


def test_sound_is_transformers(weights_of, networks_of, loaded_of) -> None:
    """Of its codec as it loads it, sample for sample; 480 for each code."""
    networks = networks_of("v2")
    codes = torch.randint(0, 65536, (37,), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), quiet():
        expected = loaded_of("v2")[1].decode(codes[None, None]).audio_values[0, 0].numpy()
    found = networks.samples(codes)
    assert len(found) == 37 * 480
    assert np.array_equal(found, expected)
    assert len(networks.samples(codes[:0])) == 0


def test_logits_are_those_that_tokens_were_drawn_from(weights_of, networks_of) -> None:
    """Greedy, each token is the best of its row."""
    weights = weights_of("v2")
    utterance = utterance_of(weights, do_sample=False)
    tokens, _ = networks_of("v2").draw(utterance, lambda: False)
    logits = networks_of("v2").logits(utterance, tokens).clone()
    logits[:, weights.reader.speech.end] = -torch.inf  # not before the fiftieth
    assert logits.argmax(-1).tolist() == tokens


def test_what_is_no_speech_is_dropped(weights_of, networks_of) -> None:
    """As upstream's decoding of the text that tokens are."""
    table = weights_of("v2").reader.speech.codes
    found = networks_of("v2").heard([table[5], 3, table[65535], 260, table[0]])
    assert found.tolist() == [5, 65535, 0]


def test_forced_sentences_are_speech_alone(weights_of, networks_of) -> None:
    """Exactly as many codes, and no end."""
    weights = weights_of("v1")
    for most in (1, 7, 60):
        tokens, ended = networks_of("v1").draw(utterance_of(weights, forced=most, max_new_tokens=None), lambda: False)
        assert len(networks_of("v1").heard(tokens)) == most
        assert not ended


def test_nothing_is_left_behind(weights_of, networks_of, capfd) -> None:
    """No random number taken, nothing printed, also where a request is cancelled."""
    networks, utterance = networks_of("v2"), utterance_of(weights_of("v2"))
    before = torch.get_rng_state().tolist()
    capfd.readouterr()
    networks.draw(utterance, lambda: False)
    with pytest.raises(Cancelled):
        networks.draw(utterance, lambda: True)
    assert torch.get_rng_state().tolist() == before
    assert capfd.readouterr() == ("", "")


def test_cancelling_stops_at_the_next_token(weights_of, networks_of) -> None:
    """It is asked after each one."""
    asked = []
    with pytest.raises(Cancelled):
        networks_of("v2").draw(utterance_of(weights_of("v2"), forced=50), lambda: asked.append(1) or len(asked) > 3)
    assert len(asked) <= 5


def test_cloning_is_transformers(weights_of, networks_of, loaded_of, recording) -> None:
    """The codes of a recording are its codec's own."""
    torchaudio = pytest.importorskip("torchaudio")
    assert torchaudio is not None
    samples = torch.from_numpy(np.ascontiguousarray(recording[0][: 16_000 * 2]))
    features = module("transformers.models.neucodec.feature_extraction_neucodec").NeuCodecFeatureExtractor()
    with torch.inference_mode(), quiet():
        given = features(audio=samples.numpy(), sampling_rate=16_000, return_tensors="pt")
        expected = loaded_of("v2")[1].encode(**given).audio_codes[0, 0]
    found = networks_of("v2").codes(samples)
    assert found.tolist() == expected.tolist()[: len(found)]
    assert len(found) == 100


def test_forced_number_of_tokens(plain) -> None:
    """A benchmark's number of tokens is obeyed, whatever is drawn, over all sentences."""
    speech = plain(force_tokens_per_char=1.0).generate("Sáu chữ", seed=1)
    assert (speech.metrics.tokens, len(speech.samples), speech.finish_reason) == (7, 7 * 480, "length")


def test_sentences_come_one_by_one_with_pauses(plain) -> None:
    """Each is a chunk of a stream; together they are the whole."""
    provider = plain(force_tokens_per_char=0.2)
    options = {"seed": 3, "max_chars": 40, "silence": 0.5}
    chunks = list(provider.stream(LONG, **options))
    whole = provider.generate(LONG, **options)
    assert np.array_equal(np.concatenate([chunk.samples for chunk in chunks]), whole.samples)
    assert len(whole.samples) == whole.metrics.tokens * 480 + 12_000
    pause = len(whole.samples) - 12_000
    assert pause > 0


def test_seed_repeats_the_speech(plain) -> None:
    """Equal requests give equal samples, others do not, and torch's own generator has no say."""
    provider = plain(force_tokens_per_char=0.5)
    samples = []
    for number, seed in enumerate((1, 1, 2)):
        torch.manual_seed(number)
        samples.append(provider.generate("Xin chào.", seed=seed).samples)
    assert np.array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])


def test_presets_are_listed_and_speak(plain, recording) -> None:
    """The default one first; a recording needs its words."""
    provider = plain(force_tokens_per_char=0.5)
    assert [voice.id for voice in provider.voices()] == ["Minh", "Lan"]
    sounds = [provider.generate("Xin chào.", voice=voice, seed=1).samples for voice in (None, "Minh", "Lan")]
    assert np.array_equal(sounds[0], sounds[1])
    assert not np.array_equal(sounds[0], sounds[2])
    with pytest.raises(VoiceUnsupported, match="reference_text"):
        provider.generate("Xin chào.", voice=recording)
    assert provider.generate("Xin chào.", voice=recording, reference_text="Những từ.").duration > 0


def test_warnings_come_with_the_speech(plain) -> None:
    """Once, whatever the number of sentences."""
    speech = plain(force_tokens_per_char=0.2).generate(f"{LONG} 你好", max_chars=40)
    assert sum("你" in warning for warning in speech.warnings) == 1
