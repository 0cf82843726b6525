"""Recordings to codes: transformers' own, each and every one."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from realtts.accel.upstream.torchaudio_import import usable_torchaudio
from realtts.errors import CheckpointMismatch, MissingExtra
from realtts_vieneu.encoder import Encoder
from realtts_vieneu.features import features_of, padded

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def extractor():
    """Transformers' feature extractor, which needs torchaudio."""
    try:
        usable_torchaudio()
    except MissingExtra as error:
        pytest.skip(str(error))
    from transformers import NeuCodecFeatureExtractor

    return NeuCodecFeatureExtractor()


@pytest.fixture(scope="module")
def upstream(codec_folder):
    """The codec as transformers loads it."""
    from transformers import NeuCodecModel

    return NeuCodecModel.from_pretrained(codec_folder).eval()


def recording_of(samples, seed=0):
    """Noise whose loudness changes."""
    draw = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(samples, generator=draw) * (1 + torch.arange(samples).div(3000).sin())


@pytest.mark.parametrize("samples", [320, 639, 640, 5000, 16_000 * 3 + 7])
def test_features_are_upstreams(extractor, samples) -> None:
    """Padded sound and spectrogram, at any length."""
    wave = recording_of(samples, samples)
    expected = extractor(audio=wave.numpy(), sampling_rate=16_000, return_tensors="pt")
    whole = padded(wave, 320)
    assert torch.equal(whole, expected["input_values"][0, 0])
    torch.testing.assert_close(features_of(whole), expected["input_features"][0], rtol=0, atol=1e-4)
    assert expected["input_features_mask"].all()  # so that none is given


@pytest.mark.parametrize("samples", [320, 1919, 24_123])
def test_codes_are_upstreams(extractor, upstream, codec_parts, samples) -> None:
    """At any length; 50 a second."""
    wave = recording_of(samples, samples)
    codes = Encoder(*codec_parts).codes(wave)
    assert codes.shape == (samples // 320,)
    assert codes.dtype == torch.int64
    with torch.inference_mode():
        inputs = extractor(audio=wave.numpy(), sampling_rate=16_000, return_tensors="pt")
        expected = upstream.encode(**inputs).audio_codes[0, 0]
    assert torch.equal(codes, expected.long())


def test_codes_differ_with_the_sound(codec_parts) -> None:
    """And are the same for the same."""
    encoder = Encoder(*codec_parts)
    one, other = recording_of(9000, 1), recording_of(9000, 2)
    codes = encoder.codes(one)
    assert torch.equal(encoder.codes(one), codes)
    assert not torch.equal(encoder.codes(other), codes)
    assert len(codes.unique()) > 10


def test_networks_are_released(codec_parts, monkeypatch) -> None:
    """As soon as the codes are there, without waiting for a collection."""
    from realtts_vieneu import encoder

    made, make = [], encoder.codec_network

    def watched(*given, **named):
        network = make(*given, **named)
        made.extend(weakref.ref(weight) for weight in network.parameters())
        return network

    monkeypatch.setattr(encoder, "codec_network", watched)
    gc.disable()
    try:
        Encoder(*codec_parts).codes(recording_of(3000))
        left = [weight for weight in made if weight() is not None]
    finally:
        gc.enable()
    assert len(made) > 100
    assert not left


@pytest.mark.parametrize("samples", [0, 319])
def test_less_than_a_frame_has_no_codes(codec_parts, samples) -> None:
    """Nobody speaks in 20 ms."""
    assert Encoder(*codec_parts).codes(torch.zeros(samples)).shape == (0,)


def test_the_generator_of_the_process_is_left_alone(codec_parts) -> None:
    """Transformers' constructors draw weights that nobody needs."""
    before = torch.get_rng_state()
    Encoder(*codec_parts).codes(recording_of(3000))
    assert torch.equal(torch.get_rng_state(), before)


def test_layers_above_those_used_do_not_matter(codec_parts) -> None:
    """w2v-bert comes with 24 layers, of which the codec uses the first ones."""
    config, state = codec_parts
    wave = recording_of(4000)
    more = {name: state[name] for name in state}
    last = config["semantic_model_config"]["num_hidden_layers"] - 1
    for name in list(more):
        if name.startswith(f"semantic_encoder.encoder.layers.{last}."):
            more[name.replace(f"layers.{last}.", f"layers.{last + 1}.")] = torch.full_like(more[name], torch.nan)
    assert torch.equal(Encoder(config, more).codes(wave), Encoder(config, state).codes(wave))


def test_what_is_said_may_be_in_a_file_of_its_own(codec_parts) -> None:
    """As for the neucodec package, whose file lacks w2v-bert."""
    config, state = codec_parts
    prefix = "semantic_encoder."
    own = {name: state[name] for name in state if not name.startswith(prefix)}
    semantic = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
    wave = recording_of(4000)
    found = Encoder(config, own, semantic=semantic).codes(wave)
    assert torch.equal(found, Encoder(config, state).codes(wave))
    with pytest.raises(CheckpointMismatch, match=r"missing.*semantic_encoder\."):
        Encoder(config, own).codes(wave)


def test_wrong_tensors_are_refused_by_name(codec_parts) -> None:
    """Missing, misshapen and unexpected ones."""
    config, lazy = codec_parts
    state = {name: lazy[name] for name in lazy}
    wave, name = recording_of(3000), "acoustic_encoder.block.4.res_unit2.conv1.weight"
    with pytest.raises(CheckpointMismatch, match=rf"{name}"):
        Encoder(config, {key: state[key] for key in state if key != name}).codes(wave)
    with pytest.raises(CheckpointMismatch, match=rf"{name} has the shape"):
        Encoder(config, {**state, name: state[name][:1]}).codes(wave)
    with pytest.raises(CheckpointMismatch, match=r"unexpected.*acoustic_encoder\.more"):
        Encoder(config, {**state, "acoustic_encoder.more": torch.zeros(1)}).codes(wave)
