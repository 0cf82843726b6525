"""A recording into what the networks take."""

from __future__ import annotations

import pytest
import soundfile
import torch

from realtts.accel.upstream.calls import quiet
from realtts.contract.types import Request, Voice
from realtts.errors import VoiceNotFound, VoiceUnsuitable
from realtts_chatterbox.voices import conditionals_of, to_upstream, voice_of

KINDS = ("english", pytest.param("multilingual", marks=pytest.mark.full), "turbo")


@pytest.mark.parametrize("kind", KINDS)
def test_conditionals_are_upstreams(networks_of, upstream_of, recording, tmp_path, kind) -> None:
    """As upstream's `prepare_conditionals` makes them of the same samples in a file."""
    samples, rate = recording
    path = tmp_path / "voice.wav"
    soundfile.write(path, samples, rate, subtype="FLOAT")
    upstream = upstream_of(kind)
    builtin = upstream.conds
    with quiet():
        upstream.prepare_conditionals(path, **({"norm_loudness": False} if kind == "turbo" else {}))
    expected, upstream.conds = upstream.conds, builtin
    if kind == "turbo":  # upstream's step of loudness is float64 with numpy 2, which its own models refuse
        pytest.importorskip("pyloudnorm")
        import numpy as np

        level = upstream.norm_loudness(samples, rate).astype(np.float32)
        soundfile.write(path, level, rate, subtype="FLOAT")
        with quiet():
            upstream.prepare_conditionals(path, norm_loudness=False)
        expected, upstream.conds = upstream.conds, builtin
    found = conditionals_of(Voice(samples, rate), networks_of(kind).encoders, kind)
    assert torch.equal(found.tokens, expected.gen["prompt_token"])
    assert torch.equal(found.t3_tokens, expected.t3.cond_prompt_speech_tokens)
    assert found.tokens.unique().numel() > 3
    for ours, theirs in (
        (found.mel, expected.gen["prompt_feat"]),
        (found.embedding, expected.gen["embedding"]),
        (found.speaker, expected.t3.speaker_emb),
    ):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("samples", [48_000, 48_001 + 240, 48_000 + 480, 48_000 + 730])
def test_two_frames_for_every_token(networks_of, recording, samples) -> None:
    """However the recording ends."""
    voice = Voice(recording[0][:samples], recording[1])
    found = conditionals_of(voice, networks_of("english").encoders, "english")
    assert found.mel.shape == (1, 2 * found.tokens.shape[1], 80)


def test_other_rates(networks_of, recording) -> None:
    """A recording at another rate gives nearly the same voice."""
    import librosa

    samples, rate = recording
    encoders = networks_of("english").encoders
    one = conditionals_of(Voice(samples, rate), encoders, "english")
    two = conditionals_of(Voice(librosa.resample(samples, orig_sr=rate, target_sr=44_100), 44_100), encoders, "english")
    assert one.mel.shape == two.mel.shape
    assert torch.cosine_similarity(one.speaker, two.speaker).item() > 0.99


def test_an_unknown_voice_is_refused(weights_of) -> None:
    """With the voice that the checkpoint brings."""
    with pytest.raises(VoiceNotFound, match=r"did you mean 'default'.*choose from default, or give"):
        voice_of(None, Request(text="x", voice="defualt"), weights_of("english"), None)  # type: ignore[arg-type]


def test_turbo_wants_more_than_five_seconds(recording) -> None:
    """Found before any work."""
    voice = Voice(recording[0][: 5 * recording[1]], recording[1], name="short")
    with pytest.raises(VoiceUnsuitable, match="short"):
        conditionals_of(voice, None, "turbo")  # type: ignore[arg-type]


def test_upstreams_form_is_a_copy(weights_of) -> None:
    """What upstream changes in place is not what is shared, and ids stay whole numbers."""
    voice = weights_of("english").builtin
    condition, gen = to_upstream(voice, 0.7)
    assert condition.emotion_adv.item() == pytest.approx(0.7)
    assert gen["prompt_token"].dtype == condition.cond_prompt_speech_tokens.dtype == torch.int64
    before = voice.mel.clone()
    gen["prompt_feat"] += 1
    assert torch.equal(voice.mel, before)
    assert torch.is_inference(before) is False


def test_a_voice_is_made_once(plain, recording) -> None:
    """The second request with the same recording takes it from the cache."""
    provider = plain("english", force_tokens_per_char=1.0)
    samples, rate = recording
    for seed in (1, 2):
        provider.generate("Hello.", voice=(samples[: 2 * rate], rate), seed=seed, n_cfm_timesteps=1)
    cache = provider.get_provider_status()["cache"]
    assert (cache["hits"], cache["misses"]) == (1, 1)
