"""Text and noise to mel spectrograms: upstream's numbers, alone and in a batch, from weights of any size."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("f5_tts")

import torch

from realtts.accel.kernels.rows import why_no_rows
from realtts.accel.upstream.networks import fill
from realtts.contract.stages import Cancelled
from realtts.errors import CheckpointMismatch
from realtts_f5.building import empty_model
from realtts_f5.network import Item, Network
from realtts_f5.schedule import times
from realtts_f5.sizes import COMPUTED, Architecture
from realtts_f5.solver import solve, total_frames

CPU = torch.device("cpu")
SYMBOLS = 60
SPOKEN = ((20, 15, 61), (31, 70, 90), (5, 40, 12), (64, 30, 200))
"""Frames of the reference, characters, frames that the duration's formula gives."""

TINY = {
    "v1": Architecture("dit", 128, 3, 2, 2, 64, 2, text_mask_padding=True),
    "v0": Architecture("dit", 128, 2, 2, 2, 64, 2, text_mask_padding=False, rotary_heads=1),
    "e2": Architecture("unet", 128, 4, 2, 4, 100, 0, text_mask_padding=False, rotary_heads=1),
}


def random_state(architecture):
    """Tensors of upstream's names, none of them zero as upstream begins some."""
    drawn = torch.Generator().manual_seed(0)
    state = {}
    for name, tensor in empty_model(architecture, SYMBOLS).named_parameters():
        scale = 1.2 / tensor[0].numel() ** 0.5 if tensor.dim() > 1 and tensor.shape[0] > 1 else 0.3
        middle = 1.0 if name.endswith((".g", ".norm.weight")) else 0.0
        state[name] = middle + scale * torch.randn(tensor.shape, generator=drawn)
    return state


def network_of(architecture, state, *, device=CPU, dtype=torch.float32, compiler=None, who="checkpoint", **how):
    """The optimized variant's network after all its stages."""
    network = Network(architecture, state, device=device, who=who)
    network.convert(state, dtype, **how)
    network.pack(compiler)
    return network


def upstream_of(architecture, state):
    """Upstream's own model with these weights."""
    model = empty_model(architecture, SYMBOLS)
    fill(model, state, "cpu", "test", computed=COMPUTED)
    return model


def item_of(reference, characters, length, seed=0):
    """A chunk with upstream's noise for a seed."""
    frames = total_frames(reference, characters, length)
    drawn = torch.Generator().manual_seed(1000 + seed)
    mel = torch.randn(reference, 100, generator=drawn)
    ids = torch.randint(0, SYMBOLS, (characters,), generator=drawn)
    return Item(mel, ids, frames, torch.randn(frames, 100, generator=torch.Generator().manual_seed(seed)))


def upstream_mel(model, item, steps, sway, guidance, *, seed=0):
    """What upstream makes of a chunk; it draws the same noise."""
    with torch.random.fork_rng(devices=[]):
        mel, _ = model.sample(
            cond=item.mel[None],
            text=item.ids[None],
            duration=item.frames,
            steps=steps,
            cfg_strength=guidance,
            sway_sampling_coef=sway,
            seed=seed,
        )
    return mel[0]


@pytest.fixture(scope="module", params=["v1", *(pytest.param(name, marks=pytest.mark.full) for name in ("v0", "e2"))])
def networks(request):
    """Upstream's model and ours with the same weights."""
    architecture = TINY[request.param]
    state = random_state(architecture)
    return upstream_of(architecture, state), network_of(architecture, state)


MORE = [(7, None), (10, 0.5)]
"""Schedules, whose times `test_schedule` compares exactly."""


@pytest.mark.parametrize("spoken", SPOKEN)
def test_one_chunk_is_upstreams(networks, spoken):
    """Of any length, also where the text has more characters than the duration frames."""
    upstream, ours = networks
    item = item_of(*spoken)
    (mel,) = solve(ours, [item], times=times(7, -1.0), guidance=2.0)
    assert mel.dtype is torch.float32
    assert torch.equal(mel[: spoken[0]], item.mel)
    torch.testing.assert_close(mel, upstream_mel(upstream, item, 7, -1.0, 2.0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("version", ["v0", "e2"])
def test_one_chunk_of_the_others_is_upstreams(version):
    """By default; all that is tested of v1 is tested of them with `full`."""
    architecture = TINY[version]
    state, item = random_state(architecture), item_of(*SPOKEN[1])
    (mel,) = solve(network_of(architecture, state), [item], times=times(7, -1.0), guidance=2.0)
    expected = upstream_mel(upstream_of(architecture, state), item, 7, -1.0, 2.0)
    torch.testing.assert_close(mel, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", TINY)
def test_fused_operations_give_the_same(kind):
    """Norms where the sums before them are, positions in place: by the operations' plain forms, alone and together."""
    architecture = TINY[kind]
    state, items = random_state(architecture), [item_of(*spoken, seed=n) for n, spoken in enumerate(SPOKEN)]
    network, schedule = network_of(architecture, state), times(4, -1.0)
    expected = solve(network, items, times=schedule, guidance=2.0)
    joined = Network(architecture, state, device=CPU)
    joined.convert(state, torch.float32)
    joined.pack(joined=True)
    for mel, other in zip(solve(joined, items, times=schedule, guidance=2.0), expected, strict=True):
        torch.testing.assert_close(mel, other, atol=1e-4, rtol=0)
    (alone,) = solve(joined, items[:1], times=schedule, guidance=0.0)
    torch.testing.assert_close(alone, solve(network, items[:1], times=schedule, guidance=0.0)[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("guidance", [0.0, 2.0])
@pytest.mark.parametrize(
    ("steps", "sway"), [(1, None), (8, -1.0), *(pytest.param(*each, marks=pytest.mark.full) for each in MORE)]
)
def test_schedules_and_guidance_are_upstreams(networks, steps, sway, guidance):
    """Whatever the steps, with tables and without, swayed either way or not at all."""
    upstream, ours = networks
    item = item_of(*SPOKEN[0], seed=steps)
    (mel,) = solve(ours, [item], times=times(steps, sway), guidance=guidance)
    expected = upstream_mel(upstream, item, steps, sway, guidance, seed=steps)
    torch.testing.assert_close(mel, expected, atol=1e-4, rtol=0)


def test_batches_of_different_lengths_equal_singles(networks):
    """No chunk sees its neighbours; two of equal length beside each other take a way of their own."""
    _, ours = networks
    items = [item_of(*spoken, seed=seed) for seed, spoken in enumerate([*SPOKEN, SPOKEN[3], SPOKEN[0]])]
    together = solve(ours, items, times=times(4, -1.0), guidance=2.0)
    for item, mel in zip(items, together, strict=True):
        (alone,) = solve(ours, [item], times=times(4, -1.0), guidance=2.0)
        torch.testing.assert_close(mel, alone, atol=1e-5, rtol=0)


def test_half_precision_stays_near(networks):
    """In bfloat16 the spectrogram of 16 steps is within 6 % of float32's, as a mean over frames and bands."""
    upstream, ours = networks
    half = network_of(ours.architecture, random_state(ours.architecture), dtype=torch.bfloat16)
    item = item_of(*SPOKEN[3])
    (mel,) = solve(half, [item], times=times(16, -1.0), guidance=2.0)
    expected = upstream_mel(upstream, item, 16, -1.0, 2.0)
    speech = slice(SPOKEN[3][0], None)
    error = (mel - expected)[speech].norm() / expected[speech].norm()
    assert mel.dtype is torch.float32
    assert error < 0.06


def test_torchs_attention_gives_the_same(networks):
    """Torch's attention and the operators for torch.compile change the way, not the result."""
    _, ours = networks
    state = random_state(ours.architecture)
    other = network_of(ours.architecture, state, attention="torch", compiler=lambda function: function)
    item = item_of(*SPOKEN[1])
    (mel,), (expected,) = (solve(n, [item], times=times(5, -1.0), guidance=2.0) for n in (other, ours))
    torch.testing.assert_close(mel, expected, atol=3e-5, rtol=0)


def test_it_stops_between_steps(networks):
    """A request that nobody wants any more costs at most one step."""
    _, ours = networks
    questions = []

    def cancelled():
        questions.append(True)
        return len(questions) == 3

    with pytest.raises(Cancelled):
        solve(ours, [item_of(*SPOKEN[0])], times=times(16, None), guidance=2.0, cancelled=cancelled)
    assert len(questions) == 3


def test_a_text_with_more_characters_than_frames_is_cut(networks):
    """As upstream does, for who sets frames by hand."""
    _, ours = networks
    item = item_of(10, 50, 0)
    short = replace(item, frames=30, noise=item.noise[:30])
    cut = replace(short, ids=item.ids[:30])
    (mel,), (expected,) = (solve(ours, [one], times=times(5, None), guidance=2.0) for one in (short, cut))
    assert torch.equal(mel, expected)


def test_upstreams_rule_for_durations():
    """At least one frame more than the reference and the text."""
    assert total_frames(10, 5, 8) == 11
    assert total_frames(10, 30, 8) == 31
    assert total_frames(10, 30, 80) == 80


@pytest.mark.parametrize("name", list(TINY))
def test_weights_of_another_configuration_are_refused(name):
    """By the name of a tensor: one is missing, one too many, or one has another shape."""
    architecture = TINY[name]
    state = random_state(architecture)

    def made(architecture, state):
        return network_of(architecture, state, who="model.pt")

    assert made(architecture, state).vocabulary == SYMBOLS
    deeper, shallower = (replace(architecture, depth=architecture.depth + more) for more in (2, -2))
    with pytest.raises(CheckpointMismatch, match=r"model\.pt: the tensor transformer\..* is missing"):
        made(deeper, state)
    if shallower.depth:
        with pytest.raises(CheckpointMismatch):
            made(shallower, state)
    with pytest.raises(CheckpointMismatch, match="has the shape"):
        made(replace(architecture, ff_mult=1), state)
    with pytest.raises(CheckpointMismatch, match=r"unexpected, the first is transformer\.more"):
        made(architecture, {**state, "transformer.more": torch.zeros(1)})
    assert made(architecture, {**state, "other.more": torch.zeros(1)}).vocabulary == SYMBOLS


needs_kernels = pytest.mark.skipif(why_no_rows() is not None, reason=str(why_no_rows()))


def error_of(mel, expected, item):
    """The relative error of the speech's part."""
    speech = slice(len(item.mel), None)
    return float((mel - expected)[speech].norm() / expected[speech].norm())


@needs_kernels
@pytest.mark.parametrize("version", ["v1", "e2"])
def test_mel_is_near_that_of_float32(version):
    """Within 3 % after 8 steps with guidance, each chunk as if it were alone."""
    architecture = TINY[version]
    state = random_state(architecture)
    exact = network_of(architecture, state)
    rounded = network_of(architecture, state, rounded=True, attention="native-rounded")
    items = [item_of(*spoken, seed=seed) for seed, spoken in enumerate(SPOKEN[1:3])]
    schedule = times(8, -1.0)
    together = solve(rounded, items, times=schedule, guidance=2.0)
    for item, mel in zip(items, together, strict=True):
        (expected,) = solve(exact, [item], times=schedule, guidance=2.0)
        assert error_of(mel, expected, item) < 0.03
        (alone,) = solve(rounded, [item], times=schedule, guidance=2.0)
        torch.testing.assert_close(mel, alone, atol=1e-4, rtol=0)


@needs_kernels
@pytest.mark.parametrize("version", ["v1", "v0", "e2"])
def test_native_attention_keeps_float32(version):
    """Also where some heads alone are rotated; in integers it is nearer than bfloat16."""
    architecture = TINY[version]
    state, item, schedule = random_state(architecture), item_of(*SPOKEN[1]), times(4, -1.0)
    (expected,) = solve(network_of(architecture, state), [item], times=schedule, guidance=2.0)
    ways = {"native": 1e-5, "native-rounded": 3e-3}
    for attention, bound in ways.items():
        (mel,) = solve(network_of(architecture, state, attention=attention), [item], times=schedule, guidance=2.0)
        assert error_of(mel, expected, item) < bound
