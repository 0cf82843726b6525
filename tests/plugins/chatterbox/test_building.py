"""Upstream's networks around a checkpoint's tensors: filled, and as upstream builds them."""

from __future__ import annotations

import logging

import pytest
import torch

from realtts.accel.upstream.calls import quiet
from realtts_chatterbox.building import empty_s3gen, encoders_of
from realtts_chatterbox.sizes import S3GenSizes
from realtts_chatterbox.upstream import load_upstream

DEFAULT_KINDS = ("english", *(pytest.param(kind, marks=pytest.mark.full) for kind in ("multilingual", "turbo")))
"""One of each architecture; Multilingual's networks are English's, of other sizes."""


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


@pytest.mark.full  # by default the parity of our own networks would fail: these compute the same by themselves
def test_what_constructors_compute_is_computed(networks_of) -> None:
    """As in a network that upstream builds with memory: fades, windows, positions, filters, rotary frequencies."""
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.t3 import T3

    with quiet():
        s3gen, t3 = S3Gen(), T3()
    ours = networks_of("english")
    assert torch.equal(ours.s3gen.trim_fade, s3gen.trim_fade)
    assert torch.equal(ours.s3gen.mel2wav.stft_window, s3gen.mel2wav.stft_window)
    assert torch.equal(ours.s3gen.tokenizer._mel_filters, s3gen.tokenizer._mel_filters)
    assert torch.equal(ours.s3gen.tokenizer.window, s3gen.tokenizer.window)
    assert torch.equal(ours.s3gen.tokenizer.encoder.freqs_cis, s3gen.tokenizer.encoder.freqs_cis)
    for name in ("embed", "up_embed"):
        theirs = getattr(s3gen.flow.encoder, name).pos_enc.pe
        assert torch.equal(getattr(ours.s3gen.flow.encoder, name).pos_enc.pe, theirs)
    assert torch.equal(ours.t3.tfmr.rotary_emb.inv_freq, t3.tfmr.rotary_emb.inv_freq)


def test_full_size_is_upstreams(tmp_path) -> None:
    """The networks that the writer fills have exactly upstream's tensors."""
    from chatterbox.models.s3gen import S3Gen

    with quiet(), torch.device("meta"):
        upstream = S3Gen().state_dict()
    ours = empty_s3gen("english", S3GenSizes()).state_dict()
    assert {name: tensor.shape for name, tensor in ours.items()} == {n: t.shape for n, t in upstream.items()}


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
