"""The plain variant: upstream's tokens and sound, without what upstream leaves behind."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from realtts.accel.upstream.calls import quiet
from realtts.contract.stages import Cancelled, never
from realtts.testing import make_context, make_request
from realtts_chatterbox.frontend import prepare
from realtts_chatterbox.noise import InjectedNoise, Noise
from realtts_chatterbox.options import ChatterboxOptions
from realtts_chatterbox.replay import logits_along, scores_at
from realtts_chatterbox.utterance import heard
from realtts_chatterbox.voices import to_upstream

KINDS = ("english", "multilingual", "turbo")
DEFAULT_KINDS = ("english", pytest.param("multilingual", marks=pytest.mark.full), "turbo")
"""One of each architecture; Multilingual's networks are English's, of other sizes."""
TEXT = "Hello there, my friend."
SEED = 11


def ask_of(weights, text=TEXT, *, forced=None, language=None, seed=SEED, **options):
    """A request in the model's terms."""
    context = make_context(force_tokens_per_char=None if forced is None else forced / len(text))
    request = make_request(text, language=language, seed=seed, options=ChatterboxOptions(**options))
    return prepare(context, weights, request)


def upstreams(upstream, kind, seed, most, **options):
    """The speech tokens of upstream's own `generate`, its limit of 1000 tokens shortened."""
    seen = []
    with quiet():
        torch.manual_seed(seed)
        run = upstream.t3.inference_turbo if kind == "turbo" else upstream.t3.inference

        def shortened(**given):
            given |= {"max_gen_len": most - 1} if kind == "turbo" else {"max_new_tokens": most}
            return run(**given)

        name = "inference_turbo" if kind == "turbo" else "inference"
        upstream.t3.__dict__[name] = shortened
        upstream.s3gen.__dict__["inference"] = lambda speech_tokens, **_: (
            seen.append(speech_tokens) or torch.zeros(1, 480),
            None,
        )
        try:
            language = {"language_id": "en"} if kind == "multilingual" else {}
            upstream.generate(TEXT, **language, **options)
        finally:
            del upstream.t3.__dict__[name], upstream.s3gen.__dict__["inference"]
    return seen[0].flatten().tolist()


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"cfg_weight": 0.3, "temperature": 1.3}, marks=pytest.mark.full),
        pytest.param({"repetition_penalty": 1.7, "top_p": 0.8, "exaggeration": 1.1}, marks=pytest.mark.full),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_upstreams(weights_of, networks_of, upstream_of, kind, options) -> None:
    """The same seed gives the tokens that upstream's own `generate` draws."""
    if kind == "turbo":
        options = {name: value for name, value in options.items() if name in {"temperature", "top_p"}}
    weights = weights_of(kind)
    found = networks_of(kind).draw(ask_of(weights, max_new_tokens=20, **options), weights.builtin, never)
    expected = upstreams(upstream_of(kind), kind, SEED, 20, **options)
    if kind == "turbo":
        expected = expected[:-3]  # the silence that it appends
    if kind == "multilingual":  # upstream leaves tokens in that are no sound
        expected = [token for token in expected if token < 6561]
    assert heard(found) == expected
    assert len(expected) >= 3


def test_no_guidance_is_two_rows_of_weight_zero(weights_of, networks_of) -> None:
    """`cfg_weight=0`, with which upstream's own `generate` fails, is upstream's loop with a weight of zero."""
    weights, networks = weights_of("english"), networks_of("english")
    ask = ask_of(weights, max_new_tokens=15, cfg_weight=0.0)
    condition, _ = to_upstream(weights.builtin, ask.exaggeration)
    torch.manual_seed(SEED)
    with quiet():
        found = networks.t3.inference(
            t3_cond=condition, text_tokens=torch.tensor([ask.ids, ask.ids]), max_new_tokens=15, temperature=0.8,
            cfg_weight=0.0, repetition_penalty=1.2, min_p=0.05, top_p=1.0,
        )  # fmt: skip
    assert networks.draw(ask, weights.builtin, never) == found[0].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_behind(weights_of, networks_of, capfd, kind) -> None:
    """No hook, no changed configuration, no second model, no random number taken, nothing printed."""
    weights, networks = weights_of(kind), networks_of(kind)
    t3, ask = networks.t3, ask_of(weights, max_new_tokens=5)
    layers, config = list(getattr(t3.tfmr, "layers", ())), t3.tfmr.config
    before = (config._attn_implementation, config.output_attentions, torch.get_rng_state().tolist())
    names = [name for name, _ in t3.named_modules()]
    networks.draw(ask, weights.builtin, never)
    with pytest.raises(Cancelled):
        networks.draw(ask, weights.builtin, lambda: True)
    assert (config._attn_implementation, config.output_attentions, torch.get_rng_state().tolist()) == before
    assert not any(layer.self_attn._forward_hooks for layer in layers)
    assert not t3.speech_head._forward_hooks
    assert [name for name, _ in t3.named_modules()] == names
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", DEFAULT_KINDS)
def test_forced_number_of_tokens(plain, kind) -> None:
    """A benchmark's number of tokens is obeyed to the token, whatever is drawn."""
    speech = plain(kind, force_tokens_per_char=1.5).generate("Twelve chars", seed=1, n_cfm_timesteps=1, watermark=False)
    assert speech.metrics.tokens == 18
    extra = 3 if kind == "turbo" else 0
    assert len(speech.samples) == (18 + extra) * 960
    assert speech.finish_reason == "length"


def test_seed_repeats_the_speech_and_leaves_the_voice(plain, weights_of, networks_of) -> None:
    """Equal requests give equal samples; conditionals are as before."""
    provider = plain("english", force_tokens_per_char=1.0)
    one, two, other = (provider.generate("Hello.", seed=seed, n_cfm_timesteps=1).samples for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    weights = weights_of("english")
    before = copy.deepcopy(weights.builtin)
    networks_of("english").draw(ask_of(weights, max_new_tokens=3), weights.builtin, never)
    for name, tensor in vars(before).items():
        assert torch.equal(tensor, getattr(weights.builtin, name))


def test_fast_is_never_silent(plain) -> None:
    """The quality preset says that it was used."""
    speech = plain("english", force_tokens_per_char=1.0).generate("Hello.", quality="fast")
    assert any("5 solver steps" in warning for warning in speech.warnings)


def test_watermark_is_an_option(plain) -> None:
    """It is there by default and not where it is switched off."""
    from realtts_chatterbox.watermark import Watermarker

    provider = plain("english", force_tokens_per_char=2.0)
    given = {"seed": 5, "n_cfm_timesteps": 1}
    marked, bare = (provider.generate("Hello there.", watermark=mark, **given).samples for mark in (True, False))
    assert len(marked) == len(bare)
    assert not np.array_equal(marked, bare)
    watermarker = Watermarker()
    assert watermarker.confidence(marked, 24_000) > watermarker.confidence(bare, 24_000)


def test_builtin_voice_is_listed(plain) -> None:
    """The checkpoint's own voice has an id, and may be asked for by it."""
    provider = plain("english", force_tokens_per_char=1.0)
    assert "default" in [voice.id for voice in provider.voices()]
    assert provider.generate("Hello.", voice="default", n_cfm_timesteps=1).duration > 0


@pytest.mark.parametrize("kind", DEFAULT_KINDS)
def test_replay_follows_the_draw(weights_of, networks_of, kind) -> None:
    """The score of every decision is largest where the token was drawn, and logits along it are finite."""
    weights, networks = weights_of(kind), networks_of(kind)
    ask, voice = ask_of(weights, max_new_tokens=8), weights.builtin
    tokens = networks.draw(ask, voice, never)
    for step in (0, 3, len(tokens) - 1):
        assert int(scores_at(networks, ask, voice, tokens, step).argmax()) == tokens[step]
    logits = logits_along(networks, ask, voice, tokens)
    assert logits.shape == (len(tokens), networks.t3.hp.speech_tokens_dict_size)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("kind", DEFAULT_KINDS)
def test_sound_is_upstreams(weights_of, networks_of, kind) -> None:
    """The same tokens and noise give the samples of upstream's own `S3Gen.inference`, voiced frames included."""
    networks, ask, voice = networks_of(kind), ask_of(weights_of(kind)), weights_of(kind).builtin
    tokens = list(range(100, 120))
    found = networks.samples(ask, voice, networks.mel(ask, voice, tokens, never))
    _, gen = to_upstream(voice, 0.5)
    said = torch.tensor([tokens + ([4299] * 3 if kind == "turbo" else [])])
    with quiet(), InjectedNoise([Noise(ask.seed)], voice.mel.shape[1]):
        expected, source = networks.s3gen.inference(said, ref_dict=gen, n_cfm_timesteps=ask.steps)
    assert np.array_equal(found, expected[0].numpy())
    assert source.abs().max() > 0.05
    with pytest.raises(Cancelled):
        networks.mel(ask, voice, tokens, lambda: True)
    decoder = networks.s3gen.flow.decoder
    assert not decoder.estimator.time_mlp._forward_pre_hooks
    assert "basic_euler" not in vars(decoder)
