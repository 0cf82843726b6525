"""Upstream's networks around a checkpoint's tensors: filled, and as upstream builds them."""

from __future__ import annotations

import logging

import pytest
import torch
from torch.overrides import TorchFunctionMode

from realtts.accel.upstream.calls import quiet
from realtts.accel.upstream.networks import Unfilled
from realtts.accel.weights.tensorfile import shapes_of
from realtts_chatterbox.building import empty_s3gen, empty_t3, empty_voice_encoder, encoders_of
from realtts_chatterbox.checkpoint import _S3GEN_SIZES, T3_SIZES
from realtts_chatterbox.shapes import s3gen_shapes, t3_shapes, voice_encoder_shapes
from realtts_chatterbox.sizes import S3GenSizes
from realtts_chatterbox.upstream import load_upstream

DEFAULT_KINDS = ("english", *(pytest.param(kind, marks=pytest.mark.full) for kind in ("multilingual", "turbo")))
"""One of each architecture; Multilingual's networks are English's, of other sizes."""

SETTINGS = (
    "meanflow", "in_channels", "out_channels", "causal", "static_chunk_size", "normalize_before", "output_size",
    "vocab_size", "token_mel_ratio", "pre_lookahead_len", "t_scheduler", "inference_cfg_rate", "output_level",
    "sampling_rate", "nb_harmonics", "istft_params", "lrelu_slope", "audio_limit", "num_kernels", "num_upsamples",
)  # fmt: skip


@pytest.mark.parametrize("kind", DEFAULT_KINDS)
def test_networks_are_whole(networks_of, kind) -> None:
    """Every tensor is real, in float32 and frozen."""
    networks = networks_of(kind)
    for network in (networks.t3, networks.s3gen, networks.encoders.voice):
        assert not network.training
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            assert not tensor.is_meta, name
            assert not tensor.requires_grad, name
            assert tensor.dtype in {torch.float32, torch.int64}, name


@pytest.mark.parametrize("kind", DEFAULT_KINDS)
def test_weights_are_the_files(weights_of, networks_of, kind) -> None:
    """Every tensor of the files is in the networks, under upstream's names."""
    written = dict(weights_of(kind).t3_state)
    written.pop("tfmr.wte.weight", None)
    held = networks_of(kind).t3.state_dict()
    assert written.keys() == held.keys()
    assert all(torch.equal(tensor, held[name]) for name, tensor in written.items())


class Undrawn(TorchFunctionMode):
    """A mode in which constructors draw no weights, which takes most of their time; what they compute is computed."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Leave memory as it is where it would be filled at random."""
        if func in {torch.Tensor.normal_, torch.Tensor.uniform_}:
            return args[0]
        return func(*args, **(kwargs or {}))


@pytest.mark.full  # by default the parity of our own networks would fail: these compute the same by themselves
def test_what_constructors_compute_is_computed(networks_of) -> None:
    """As in a network that upstream builds with memory: fades, windows, positions, filters, rotary frequencies."""
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.t3 import T3

    with quiet(), Undrawn():
        s3gen, t3 = S3Gen(), T3()
    ours = networks_of("english")
    assert torch.equal(ours.s3gen.trim_fade, s3gen.trim_fade)
    assert torch.equal(ours.s3gen.mel2wav.stft_window, s3gen.mel2wav.stft_window)
    assert torch.equal(ours.s3gen.tokenizer._mel_filters, s3gen.tokenizer._mel_filters)
    assert torch.equal(ours.s3gen.tokenizer.window, s3gen.tokenizer.window)
    assert torch.equal(ours.s3gen.tokenizer.encoder.freqs_cis, s3gen.tokenizer.encoder.freqs_cis)
    full = empty_s3gen("english", S3GenSizes())  # positions are as wide as the network
    for name in ("embed", "up_embed"):
        positions = getattr(s3gen.flow.encoder, name).pos_enc
        assert torch.equal(getattr(full.flow.encoder, name).pos_enc.pe, positions.pe)
        narrow = getattr(ours.s3gen.flow.encoder, name).pos_enc
        assert torch.equal(narrow.pe, type(positions)(narrow.d_model, 0.0).pe)
    assert torch.equal(ours.t3.tfmr.rotary_emb.inv_freq, t3.tfmr.rotary_emb.inv_freq)


@pytest.mark.full  # by default: test_shapes_are_those_of_upstreams_networks
def test_full_size_is_upstreams(tmp_path) -> None:
    """The networks that the writer fills have exactly upstream's tensors."""
    from chatterbox.models.s3gen import S3Gen

    with quiet(), torch.device("meta"):
        upstream = S3Gen().state_dict()
    ours = empty_s3gen("english", S3GenSizes()).state_dict()
    assert {name: tensor.shape for name, tensor in ours.items()} == {n: t.shape for n, t in upstream.items()}


@pytest.mark.full  # by default: test_shapes_are_those_of_upstreams_networks, and the parity of flow and vocoder
@pytest.mark.parametrize("turbo", [False, True])
def test_other_sizes_are_upstreams_networks_too(weights_of, turbo) -> None:
    """Every part of a small checkpoint's S3Gen is upstream's class, with the settings that do not depend on widths."""
    from chatterbox.models.s3gen import S3Gen

    kind = "turbo" if turbo else "english"
    with quiet(), Unfilled():
        upstream = S3Gen(meanflow=turbo)
    ours = empty_s3gen(kind, weights_of(kind).s3gen_sizes)
    for place in ("speaker_encoder", "flow", "flow.encoder", "flow.decoder", "flow.decoder.estimator", "mel2wav"):
        expected, small = upstream.get_submodule(place), ours.get_submodule(place)
        assert type(small) is type(expected), place
        for name in SETTINGS:
            assert vars(small).get(name) == vars(expected).get(name), (place, name)
    expected, small = (set(network.state_dict()) for network in (upstream, ours))
    assert small < expected


def test_encoders_by_themselves(weights_of, networks_of) -> None:
    """Those of the optimized variant are those of the whole."""
    encoders, whole = encoders_of(weights_of("english"), "cpu"), networks_of("english").encoders
    for name in ("voice", "tokenizer", "speaker"):
        expected = getattr(whole, name).state_dict()
        found = getattr(encoders, name).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(tensor, expected[key]) for key, tensor in found.items())


def test_upstream_gives_the_root_logger_no_handler(monkeypatch) -> None:
    """It logs by `logging.info`, which would configure logging for the whole process."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    load_upstream()
    empty_s3gen("english", S3GenSizes())
    assert not logging.getLogger().handlers


@pytest.mark.parametrize("size", ["tiny", "full"])
@pytest.mark.parametrize("kind", ["english", "turbo", pytest.param("multilingual", marks=pytest.mark.full)])
def test_shapes_are_those_of_upstreams_networks(kind, size) -> None:
    """Of every tensor: what a file is checked against without them."""
    t3, s3gen = T3_SIZES[kind, size], _S3GEN_SIZES[size]
    assert shapes_of(empty_t3(kind, t3).state_dict()) == t3_shapes(kind, t3)
    assert shapes_of(empty_s3gen(kind, s3gen).state_dict()) == s3gen_shapes(kind, s3gen)
    assert shapes_of(empty_voice_encoder().state_dict()) == voice_encoder_shapes()
