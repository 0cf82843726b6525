"""Rungs whose flow has int8 weights and activations, the kernel of its attention, and the layers themselves."""

from __future__ import annotations

import dataclasses
import logging

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from realtts import Context, ProviderSpec, QuantizationUnavailable, Rung, Settings  # noqa: E402
from realtts.accel.kernels import rows  # noqa: E402
from realtts.accel.kernels.rows import RowLayer, RowLayers, attend_heads, attend_packed, why_no_rows  # noqa: E402
from realtts.accel.layers import flow_rungs  # noqa: E402
from realtts.accel.layers.bidirectional import QUERY_SCALE, attend  # noqa: E402
from realtts.accel.layers.flow_rungs import attention_kernel, uses_w8a8, why_no_w8a8, with_w8a8  # noqa: E402
from realtts.contract.voice_cache import VoiceCache  # noqa: E402

USUAL = [
    Rung("native-int4", {"dtype": "bfloat16", "quantization": "int4", "native": "auto"}),
    Rung("int4", {"dtype": "bfloat16", "quantization": "int4", "native": False}),
    Rung("bf16", {"dtype": "bfloat16", "quantization": "none"}),
    Rung("fp32", {"dtype": "float32", "quantization": "none"}),
]
needs_kernels = pytest.mark.skipif(why_no_rows() is not None, reason=str(why_no_rows()))


def context_of(device="cpu", rung=None, **settings):
    """A context as the ladder makes one."""
    return Context(
        spec=ProviderSpec(name="x", summary="x", sample_rates=(24000,), plain="x:X"),
        settings=Settings(**settings),
        variant="optimized",
        device=device,
        dtype="bfloat16",
        rung=rung,
        checkpoint=None,
        voice_cache=VoiceCache(),
        log=logging.getLogger("test"),
        report=lambda _event: None,
    )


@pytest.fixture
def missing(monkeypatch):
    """A machine without the kernels."""
    monkeypatch.setattr(rows.native, "why_unusable", lambda: "realtts-native is not installed: pip install it")


@pytest.fixture
def present(monkeypatch):
    """A machine with them, whatever is installed."""
    monkeypatch.setattr(rows.native, "why_unusable", lambda: None)
    monkeypatch.setattr(rows.native, "instruction_set", lambda: "avx512vnni")


@pytest.mark.parametrize(
    ("given", "proposed"),
    [
        ({"precision_policy": "fast"}, True),
        ({"precision_policy": "fast", "quantization": "int8"}, True),
        ({"precision_policy": "fast", "native": True}, True),
        ({}, False),
        ({"precision_policy": "balanced", "quantization": "int8"}, False),
        ({"precision_policy": "exact"}, False),
        ({"precision_policy": "fast", "dtype": "float32"}, False),
        ({"precision_policy": "fast", "dtype": "bfloat16"}, False),
        ({"precision_policy": "fast", "quantization": "none"}, False),
        ({"precision_policy": "fast", "native": False}, False),
        ({"precision_policy": "fast", "attention": "math"}, False),
        ({"precision_policy": "fast", "device": "cuda:0"}, False),
    ],
)
def test_only_the_fast_policy_proposes_them(missing, given, proposed):
    """Before the usual rungs, which stay; also where they cannot run, so that the status says why."""
    beside = [rung.name for rung in with_w8a8(context_of(**given), USUAL)]
    alone = [rung.name for rung in with_w8a8(context_of(**given), USUAL, alone=True)]
    usual = [rung.name for rung in USUAL]
    first = ["native-int4+w8a8", "native-int4", "int4+w8a8", "int4", "bf16", "fp32"]
    assert beside == (first if proposed else usual)
    assert alone == (["w8a8", *usual] if proposed else usual)


def test_strict_proposes_what_can_run(missing):
    """A strict ladder never steps down, so what is missing is not its first rung."""
    context = context_of(precision_policy="fast", strict=True)
    assert with_w8a8(context, USUAL, alone=True) == USUAL


def test_strict_takes_them_where_they_run(present):
    """As the user asked."""
    context = context_of(precision_policy="fast", strict=True)
    assert with_w8a8(context, USUAL, alone=True)[0].name == "w8a8"


@pytest.mark.parametrize(
    ("name", "rounded"),
    [("w8a8", True), ("native-int4+w8a8", True), ("int8+w8a8", True), ("int8", False), ("fp32", False), (None, False)],
)
def test_a_rung_says_what_it_is(missing, name, rounded):
    """And why it cannot be had."""
    context = context_of(rung=None if name is None else Rung(name))
    assert uses_w8a8(context) is rounded
    assert (why_no_w8a8(context) is not None) is rounded
    if rounded:
        assert "pip install" in why_no_w8a8(context)


def test_other_instructions_are_named(monkeypatch, present):
    """The compiled kernels run there, these do not."""
    monkeypatch.setattr(rows.native, "instruction_set", lambda: "avx2")
    assert "AVX-512 VNNI" in why_no_rows()
    assert "avx2" in why_no_rows()


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        ({}, {}, "native"),
        ({}, {"dtype": torch.bfloat16}, "native-rounded"),
        ({}, {"w8a8": True}, "native-rounded"),
        ({}, {"dtype": torch.float16}, "own"),
        ({}, {"width": 40}, "own"),
        ({}, {"graphs": True}, "own"),
        ({"native": False}, {}, "own"),
        ({"native": True}, {}, "native"),
        ({"attention": "math"}, {}, "torch"),
        ({"attention": "sdpa"}, {"w8a8": True}, "torch"),
        ({"device": "cuda:0"}, {}, "own"),
    ],
)
def test_attention_follows_settings_and_types(monkeypatch, present, given, options, expected):
    """Where both would do, what was measured to be faster."""
    monkeypatch.setattr(flow_rungs, "autotune", lambda _question, choices, _measure, _device: choices[-1])
    options = {"dtype": torch.float32, "width": 64, **options}
    dtype, width = options.pop("dtype"), options.pop("width")
    assert attention_kernel(context_of(**given), dtype, 4, width, **options) == expected


def test_attention_is_own_where_it_is_faster_or_alone(monkeypatch, present):
    """Measured once, and never without the kernels."""
    monkeypatch.setattr(flow_rungs, "autotune", lambda _question, choices, _measure, _device: choices[0])
    assert attention_kernel(context_of(), torch.float32, 4, 64) == "own"
    monkeypatch.setattr(rows.native, "why_unusable", lambda: "not here")
    assert attention_kernel(context_of(native=True), torch.float32, 4, 64) == "own"


@needs_kernels
def test_the_measurement_runs_both(monkeypatch):
    """And names one of them."""
    monkeypatch.setattr(flow_rungs, "_MEASURED_FRAMES", 20)
    monkeypatch.setattr(flow_rungs, "autotune", lambda _question, _choices, measure, _device: measure())
    for dtype, native in ((torch.float32, "native"), (torch.bfloat16, "native-rounded")):
        assert attention_kernel(context_of(), dtype, 2, 64) in {"own", native}


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 64, 8), (30, 100, 40), (65, 192, 70), (7, 30, 5), (50, 2048, 64)])
def test_layers_are_near_the_product(shape, dtype):
    """For inputs of both types, with the activation that networks ask for."""
    count, inputs, outputs = shape
    draw = torch.Generator().manual_seed(sum(shape))
    x = torch.randn(count, inputs, generator=draw).to(dtype)
    weight, bias = torch.randn(outputs, inputs, generator=draw) / inputs**0.5, torch.randn(outputs, generator=draw)
    expected = functional.linear(x.float(), weight, bias)
    layers = RowLayers()
    for gelu in (False, True):
        y = layers.add(weight, bias, gelu=gelu)(x)
        wanted = functional.gelu(expected, approximate="tanh") if gelu else expected
        assert y.dtype is torch.float32
        assert (y - wanted).norm() < 0.02 * wanted.norm()
    half = torch.empty(count, outputs, dtype=torch.bfloat16)
    RowLayer(weight, bias).run(x, half)
    assert (half.float() - expected).norm() < 0.02 * expected.norm()


@needs_kernels
def test_weights_that_are_not_finite_are_refused():
    """With a typed error that says what to do."""
    with pytest.raises(QuantizationUnavailable, match="not finite") as error:
        RowLayer(torch.full((4, 32), float("inf")), None)
    assert "precision_policy" in str(error.value.fix)


@needs_kernels
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 2e-6), (torch.bfloat16, 0.01)])
@pytest.mark.parametrize("lengths", [(1,), (17, 40), (64, 64), (130,)])
def test_attention_is_that_of_the_layer(lengths, dtype, bound):
    """Of every sequence, packed or apart."""
    heads, width = 2, 64
    draw = torch.Generator().manual_seed(0)
    qkv = torch.randn(sum(lengths), 3 * heads * width, generator=draw)
    qkv[:, : heads * width] *= QUERY_SCALE / width**0.5
    qkv = qkv.to(dtype)
    spans, begin, out = [], 0, qkv.new_empty(len(qkv), heads * width)
    for length in lengths:
        spans.append((begin, length))
        begin += length
    attend_packed(qkv, out, heads=heads, spans=spans, exact=dtype is torch.float32)
    for begin, length in spans:
        part = qkv[begin : begin + length].view(1, length, 3, heads, width)
        q, k, v = part.permute(2, 0, 3, 1, 4)
        expected = attend(q.float(), k.float(), v.float())[0]
        assert (out[begin : begin + length].float() - expected).norm() < bound * expected.norm()
        apart = attend_heads(q, k, v, exact=dtype is torch.float32)
        assert torch.equal(apart[0], out[begin : begin + length])


def test_contexts_are_not_changed(missing):
    """Rungs keep their settings."""
    context = context_of(precision_policy="fast")
    before = dataclasses.replace(context)
    assert with_w8a8(context, USUAL)[0].settings == USUAL[0].settings
    assert context == before
