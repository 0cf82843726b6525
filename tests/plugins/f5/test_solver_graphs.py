"""Chunks padded to common lengths, and steps captured once for each: what packed chunks give."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("f5_tts")

import torch

from realtts.accel.compile import compiled
from realtts.testing.recording import RecordingGraphs
from realtts_f5.building import empty_model
from realtts_f5.layout import bucket_of, packed
from realtts_f5.network import Item, Network
from realtts_f5.schedule import times
from realtts_f5.sizes import Architecture
from realtts_f5.solver import solve
from realtts_f5.solver_graphs import Graphs

CPU = torch.device("cpu")
SYMBOLS = 40
TINY = {
    "v1": Architecture("dit", 64, 2, 1, 2, 32, 1, text_mask_padding=True),
    "v0": Architecture("dit", 128, 2, 2, 2, 32, 1, text_mask_padding=False, rotary_heads=1),
    "e2": Architecture("unet", 128, 2, 2, 2, 100, 0, text_mask_padding=False, rotary_heads=1),
}


def state_of(architecture):
    """Random weights, none of them zero."""
    drawn = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(tensor.shape, generator=drawn) / max(tensor[0].numel(), 8) ** 0.5
        for name, tensor in empty_model(architecture, SYMBOLS).named_parameters()
    }


def network_of(architecture, state, *, device=CPU, dtype=torch.float32, compiler=None):
    """The optimized variant's network after all its stages."""
    network = Network(architecture, state, device=device)
    network.convert(state, dtype)
    network.pack(compiler)
    return network


@pytest.fixture(scope="module", params=["v1", *(pytest.param(name, marks=pytest.mark.full) for name in ("v0", "e2"))])
def network(request):
    """Small, one of each kind."""
    architecture = TINY[request.param]
    return network_of(architecture, state_of(architecture))


def item_of(frames, seed=0):
    """A chunk of which the first third is the reference."""
    drawn = torch.Generator().manual_seed(seed)
    mel, noise = torch.randn(frames // 3, 100, generator=drawn), torch.randn(frames, 100, generator=drawn)
    return Item(mel, torch.randint(0, SYMBOLS, (frames // 2,), generator=drawn), frames, noise)


def assert_same(network, graphs, items, *, steps=2, sway=-1.0, guidance=2.0):
    """What graphs give, compared with packed chunks."""
    schedule = times(steps, sway)
    expected = solve(network, items, times=schedule, guidance=guidance)
    mels = solve(network, items, times=schedule, guidance=guidance, graphs=graphs)
    for one, other in zip(mels, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("lengths", [(50,), (64,), (20, 90, 128)])
def test_padded_chunks_are_as_good_as_packed_ones(network, lengths):
    """Whatever lies beyond a chunk's end, and whatever lay there before."""
    graphs = Graphs(network, backend=RecordingGraphs())
    for guidance in (2.0, 0.0):
        for round_ in range(2):
            items = [item_of(frames - round_, seed) for seed, frames in enumerate(lengths)]
            assert_same(network, graphs, items, guidance=guidance)


def test_captures_are_few(network):
    """Eight lengths need as many captures as they have buckets, and another schedule or guidance none."""
    backend = RecordingGraphs()
    graphs = Graphs(network, backend=backend)
    lengths = range(30, 330, 40)
    for frames in lengths:
        solve(network, [item_of(frames)], times=times(1, None), guidance=2.0, graphs=graphs)
    assert graphs.captures == backend.captures == len({bucket_of(frames) for frames in lengths}) == 5
    for steps, sway, guidance in ((7, -1.0, 2.0), (3, None, 1.3), (2, 0.5, 4.0)):
        assert_same(network, graphs, [item_of(100)], steps=steps, sway=sway, guidance=guidance)
    assert graphs.captures == 5


def test_any_number_of_chunks_is_captured_for_powers_of_two(network):
    """One to five chunks of a length are four captures; the empty ones beside them change nothing."""
    graphs = Graphs(network, backend=RecordingGraphs())
    for count in (5, 1, 2, 3, 4, 5):
        assert_same(network, graphs, [item_of(30 + 5 * seed, seed) for seed in range(count)])
    assert graphs.captures == 4


@pytest.mark.full
def test_thirty_lengths_up_to_half_a_minute_are_captured_once():
    """Every padded length keeps its graph, alone and in pairs as they come."""
    shape = Architecture("dit", 64, 1, 1, 1, 32, 0, text_mask_padding=True)
    small = network_of(shape, state_of(shape))
    graphs = Graphs(small, backend=RecordingGraphs())
    lengths = [round(300 + 2500 * step / 29) for step in range(30)]
    for _ in range(2):
        for frames in lengths:
            solve(small, [item_of(frames)], times=times(1, None), guidance=0.0, graphs=graphs)
        for frames in lengths[:8]:
            pair = [item_of(frames), item_of(frames - 40)]
            solve(small, pair, times=times(1, None), guidance=0.0, graphs=graphs)
    shapes = {bucket_of(frames) for frames in lengths}
    assert graphs.captures == len(shapes) + len({bucket_of(frames) for frames in lengths[:8]})


def test_shapes_beyond_the_limit_are_dropped(network):
    """The least recently used goes; what comes back is captured anew and right."""
    graphs = Graphs(network, backend=RecordingGraphs(), limit=2)
    for frames in (60, 120, 60, 180, 60, 120):
        assert_same(network, graphs, [item_of(frames)])
    assert graphs.captures == 4
    graphs.clear()
    assert_same(network, graphs, [item_of(60)])
    assert graphs.captures == 5


def test_buckets_waste_little():
    """At most 63 frames, or an eighth; 255 frames from 1024 to 2048."""
    buckets = [bucket_of(frames) for frames in range(1, 9000)]
    most = [max(63, frames / 8, 255 * (1024 < frames <= 2048)) for frames in range(1, 9000)]
    assert all(bucket - frames <= most[frames - 1] for frames, bucket in enumerate(buckets, 1))
    assert all(bucket >= frames for frames, bucket in enumerate(buckets, 1))
    assert len(set(buckets)) < 48
    assert len(set(buckets[:2813])) == 23  # up to half a minute: each keeps its graph
    assert all(bucket % 64 == 0 for bucket in buckets)


def test_neighbours_of_equal_length_are_one_group():
    """Rows of a request lie together, requests in their order."""
    layout = packed([4, 4, 2], rows=2)
    assert layout.groups == ((2, 4), (1, 2))
    assert (layout.frames, layout.sequences, layout.longest, layout.single.frames) == (20, 6, 4, 10)
    first, second = layout.pieces(torch.arange(20.0)[:, None])
    assert first.shape == (2, 2, 4, 1)
    assert second.flatten().tolist() == [16, 17, 18, 19]


@pytest.mark.full  # by default: test_stages.test_the_status_tells_what_was_done
def test_compiled_blocks_are_compiled_once(network):
    """Two functions for all blocks, compiled again for a second length and never more; the result stays."""
    made = []

    def compiler(function):
        made.append(compiled(function, backend="eager", fullgraph=True))
        return made[-1]

    other = network_of(network.architecture, state_of(network.architecture), compiler=compiler)
    for index, frames in enumerate(range(30, 180, 25)):
        items = [item_of(frames), item_of(frames + 9)]
        schedule = times(1, None)
        for one, expected in zip(
            *(solve(n, items, times=schedule, guidance=2.0) for n in (other, network)), strict=True
        ):
            torch.testing.assert_close(one, expected, atol=1e-5, rtol=1e-5)
        if index == 1:
            graphs = [piece.graphs for piece in made]
    assert len(made) == 2
    assert [piece.graphs for piece in made] == graphs
    assert max(graphs) <= 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", list(TINY))
def test_real_graphs_give_the_same(name, monkeypatch):
    """CUDA graphs over padded chunks against the CPU's packed ones, in float32, without TF32 in its convolutions."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    state, device = state_of(TINY[name]), torch.device("cuda")
    on_cpu, on_gpu = (network_of(TINY[name], state, device=place) for place in (CPU, device))
    graphs, items = Graphs(on_gpu), [item_of(70), item_of(33)]
    expected = solve(on_cpu, items, times=times(7, -1.0), guidance=2.0)
    for used in (graphs, None, graphs):
        mels = solve(on_gpu, items, times=times(7, -1.0), guidance=2.0, graphs=used)
        for one, other in zip(mels, expected, strict=True):
            assert one.device.type == "cuda"
            torch.testing.assert_close(one.cpu(), other, atol=1e-3, rtol=1e-3)
    assert graphs.captures == 1
