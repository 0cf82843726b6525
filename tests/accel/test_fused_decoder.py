"""A decoder whose steps run by the fused operations: the same tokens, in a third of the launches."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from families import FAMILIES, HIDDEN, build  # noqa: E402
from row_loops import GUIDED, make_loop, serve  # noqa: E402

from realtts.accel.decoder import Taps  # noqa: E402
from realtts.accel.decoder.fused_step import why_no_products  # noqa: E402
from realtts.testing.launches import LaunchCounter  # noqa: E402
from realtts.testing.recording import RecordingGraphs  # noqa: E402

PER_LAYER, FIXED = 6, 4
"""Launches of a step: of a layer, and around all layers."""

TAPS = 14
"""Further ones where attention is handed out, of however many heads."""


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    """A reference model of each family."""
    return build(request.param)


@pytest.fixture(scope="module")
def qwen3():
    """The family with most features."""
    return build("qwen3")


def fused(family, *, products=True, **options):
    """A decoder whose weights lie as they do on a GPU, fused."""
    before, torch.backends.mkldnn.enabled = torch.backends.mkldnn.enabled, False
    try:
        decoder = family.decoder(**options)
        decoder.fuse(products=products)
    finally:
        torch.backends.mkldnn.enabled = before
    return decoder


def run(decoder, rows=3, steps=5, taps=None):
    """Hidden states of some steps behind a prompt, one row of it padded and one frozen in the middle."""
    generator = torch.Generator().manual_seed(5)
    cache = decoder.new_cache(rows, 40)
    valid = torch.ones(rows, 6, dtype=torch.bool)
    valid[1, :2] = False
    states = [decoder.prefill(torch.randn(rows, 6, HIDDEN, generator=generator), cache, valid=valid)]
    for step in range(steps):
        cache.active[2] = step != 2
        states.append(decoder.step(torch.randn(rows, HIDDEN, generator=generator), cache, taps=taps))
    return torch.stack(states), cache


@pytest.mark.parametrize("products", [True, False])
def test_steps_are_those_of_the_plain_decoder(family, products):
    """For every family, with paddings and a frozen row: states, slots, positions, and what may be looked at."""
    expected, plain_cache = run(family.decoder())
    decoder = fused(family, products=products)
    assert decoder.fused.products is products
    actual, cache = run(decoder)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    for one, other in zip(cache.state, plain_cache.state, strict=True):
        assert torch.equal(one, other)


def test_taps_get_the_same_attention(qwen3):
    """Of the heads that a processor follows."""
    seen = []
    for decoder in (qwen3.decoder(), fused(qwen3)):
        taps = Taps([(1, 2), (2, 0)], rows=3, cap=40)
        run(decoder, taps=taps)
        seen.append(taps.step)
    torch.testing.assert_close(*seen)


@pytest.mark.parametrize("positions", [1, 2, 4])
def test_few_positions_are_read_as_steps(qwen3, positions):
    """A prompt of a code predictor has two. It is read by rows that steps leave where they are, too."""
    x = torch.randn(3, positions, HIDDEN, generator=torch.Generator().manual_seed(1))
    states = []
    for decoder in (qwen3.decoder(), fused(qwen3)):
        cache = decoder.new_cache(3, 16)
        cache.active[1] = False
        states.append(decoder.prefill(x, cache))
        cache.active[1] = True
        states.append(decoder.step(x[:, 0], cache))
    torch.testing.assert_close(states[0], states[2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(states[1], states[3], rtol=1e-4, atol=1e-4)


@pytest.mark.full
@pytest.mark.parametrize(("backend", "order"), [(None, GUIDED), (RecordingGraphs, GUIDED)], ids=["eager", "recorded"])
def test_a_loop_draws_the_same_tokens(qwen3, backend, order):
    """Rows that come and go, eager and captured."""

    class Fused:
        """The family with a decoder that is fused."""

        def __getattr__(self, name):
            return getattr(qwen3, name)

        def decoder(self, **options):
            return fused(qwen3, **options)

    options = {"numbers": range(6), "cancel": {2}, "per_stream": 2}
    expected = serve(make_loop(qwen3, order=order), **options)
    assert serve(make_loop(Fused(), order=order, backend=backend), **options) == expected


def test_launches_of_a_step(family):
    """The budget: so many a layer, so many around them; a third of what they were."""
    counts = {}
    for name, decoder in (
        ("plain", family.decoder()),
        ("fused", fused(family)),
        ("between", fused(family, products=False)),
    ):
        cache, counter = decoder.new_cache(2, 40), LaunchCounter("cpu")
        with torch.inference_mode(), counter:
            decoder.step(torch.zeros(2, HIDDEN), cache, attended=16)
        counts[name] = counter.total
    layers = family.config.layers
    assert counts["fused"] <= PER_LAYER * layers + FIXED, counts
    assert counts["fused"] < counts["between"] < counts["plain"]


@pytest.mark.parametrize("heads", [[(0, 0)], [(1, 2), (0, 1)], [(0, 0), (1, 1), (1, 2)], [(1, 3)] * 4, [(0, 2)] * 9])
def test_launches_of_taps_do_not_grow_with_them(qwen3, heads):
    """The attention of all heads that are followed is written at once."""
    decoder, counts = fused(qwen3), []
    for taps in (None, Taps(heads, rows=2, cap=40)):
        cache, counter = decoder.new_cache(2, 40), LaunchCounter("cpu")
        with torch.inference_mode():
            decoder.step(torch.zeros(2, HIDDEN), cache, attended=16, taps=taps)
            with counter:
                decoder.step(torch.zeros(2, HIDDEN), cache, attended=16, taps=taps)
        counts.append(counter.total)
    assert counts[1] - counts[0] <= TAPS, counts


def test_packed_weights_are_multiplied_by_their_own_kernel(qwen3):
    """Where a library has laid weights out, the products stay its own and what is between them is fused."""
    decoder = qwen3.decoder(precision="int8", kernel="int8_rows")
    assert "int8_rows" in why_no_products(decoder.layers)
    expected, _ = run(decoder)
    decoder.fuse()
    assert not decoder.fused.products
    torch.testing.assert_close(run(decoder)[0], expected, rtol=1e-3, atol=1e-3)
