"""Weights rounded to int8 and int4, and linear layers replaced where they hang."""

import gc
import weakref

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from realtts import QuantizationUnavailable  # noqa: E402
from realtts.accel.kernels.quantize import QuantizedLinear, quantize_linears  # noqa: E402
from realtts.accel.kernels.rounding import quantize_int4, quantize_int8  # noqa: E402

pytestmark = pytest.mark.usefixtures("unchanged")

WITHIN = {"int8": 0.015, "int4": 0.13}
"""Relative error of a product with normally distributed weights; 0.012 and 0.10 were found."""


def normal(*shape, seed=0):
    """Normally distributed numbers from a generator of their own."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def relative(found, expected):
    """Relative error."""
    return float((found.float() - expected.float()).norm() / expected.float().norm())


class Block(nn.Module):
    """Attention-like and MLP-like layers, one of them without bias."""

    def __init__(self, width=64):
        super().__init__()
        self.attention = nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))

    def forward(self, x):
        """Residual, as in a transformer."""
        x = x + self.attention(x)
        return x + self.mlp(x)


def filled(module, seed=0):
    """Random weights without touching the global generator."""
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter.copy_(normal(*parameter.shape, seed=seed + number) / parameter.shape[-1] ** 0.5)
    return module.eval()


@pytest.fixture
def model():
    """Two blocks and a head."""
    with torch.random.fork_rng(devices=[]):
        made = nn.ModuleDict({"blocks": nn.ModuleList([Block(), Block()]), "head": nn.Linear(64, 97)})
    return filled(made)


def linear_of(inputs, outputs, *, bias=True, seed=0):
    """A linear layer with random weights."""
    with torch.random.fork_rng(devices=[]):
        return filled(nn.Linear(inputs, outputs, bias=bias), seed)


ALL = [
    "blocks.0.attention", "blocks.0.mlp.0", "blocks.0.mlp.2",
    "blocks.1.attention", "blocks.1.mlp.0", "blocks.1.mlp.2",
    "head",
]  # fmt: skip

# -- rounding --------------------------------------------------------------------------------------------------------


def test_int8_is_within_half_a_step_of_each_channel():
    """A loud channel does not cost its neighbours their precision, and zeros stay zeros."""
    weight = normal(10, 33)
    weight[3] *= 1000
    weight[4] = 0
    found = quantize_int8(weight)
    assert (found.values.dtype, found.scale.dtype) == (torch.int8, torch.float32)
    assert found.values.abs().max() <= 127
    error = (found.dequantized() - weight).abs()
    assert (error <= weight.abs().amax(1, keepdim=True) / 127 / 2 * 1.001).all()
    assert (found.dequantized()[4] == 0).all()


@pytest.mark.parametrize(("columns", "group"), [(32, 32), (64, 64), (96, 32), (128, 128), (192, 64), (384, 128)])
def test_int4_is_within_half_a_step_of_each_group(columns, group):
    """The largest of the groups that divide the inputs."""
    weight = normal(5, columns) + 0.3
    found = quantize_int4(weight)
    assert found.group == group
    assert found.values.dtype is torch.uint8
    assert found.values.max() <= 15
    grouped = weight.view(5, -1, group)
    step = (grouped.amax(-1) - grouped.amin(-1)) / 15
    error = (found.dequantized() - weight).abs().view(5, -1, group)
    assert (error <= step[..., None] / 2 * 1.001).all()


@pytest.mark.parametrize("columns", [1, 31, 33, 100])
def test_int4_needs_inputs_in_multiples_of_32(columns):
    """Else the error has the number and the switch."""
    with pytest.raises(QuantizationUnavailable, match=rf'has {columns}.*quantization="none"'):
        quantize_int4(torch.ones(16, columns))


@pytest.mark.parametrize("quantize", [quantize_int8, quantize_int4])
@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite_are_refused(quantize, bad):
    """They would spoil a whole channel."""
    weight = torch.ones(4, 32)
    weight[2, 7] = bad
    with pytest.raises(QuantizationUnavailable, match=r'not finite.*quantization="none"'):
        quantize(weight)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_float_type_are_taken(dtype):
    """They are read in float32 and stay as they are."""
    weight = normal(8, 64).to(dtype)
    before = weight.clone()
    assert torch.equal(quantize_int8(weight).values, quantize_int8(weight.float()).values)
    assert torch.equal(quantize_int4(weight).values, quantize_int4(weight.float()).values)
    assert torch.equal(weight, before)


# -- one layer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(160,), (1, 160), (3, 160), (2, 5, 160), (2, 3, 4, 160)], ids=str)
def test_a_quantized_layer_stands_for_a_linear_one(precision, bias, shape):
    """Any leading dimensions, with and without bias."""
    linear = linear_of(160, 97, bias=bias)
    x = normal(*shape, seed=9)
    with torch.inference_mode():
        found, expected = QuantizedLinear(linear, precision)(x), linear(x)
    assert found.shape == expected.shape
    assert relative(found, expected) < 2 * WITHIN[precision]  # few outputs: more scatter than with many
    assert not list(QuantizedLinear(linear, precision).parameters())


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_the_output_has_the_type_of_the_input(precision, dtype):
    """Whatever the kernel works in."""
    linear, x = linear_of(128, 256), normal(4, 128).to(dtype)
    with torch.inference_mode():
        found = QuantizedLinear(linear, precision)(x)
        expected = linear(x.float())
    assert found.dtype is dtype
    assert relative(found, expected) < WITHIN[precision]


def test_it_says_what_it_is(model):
    """For ``print(module)``."""
    assert repr(QuantizedLinear(model["head"], "int8")).startswith("QuantizedLinear(64, 97, int8, int8_")


@pytest.mark.parametrize("precision", ["int2", "float8"])
def test_an_unknown_precision_is_refused(precision, model):
    """With the switch."""
    with pytest.raises(QuantizationUnavailable, match=precision):
        quantize_linears(model, precision)


# -- a module --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_all_linear_layers_are_replaced(model, precision):
    """Names are returned, everything else stays the same object, and the result is close."""
    x = normal(2, 3, 64, seed=4)
    silu = model["blocks"][0].mlp[1]
    with torch.inference_mode():
        expected = model["head"](model["blocks"][0](x))
        assert quantize_linears(model, precision) == ALL
        found = model["head"](model["blocks"][0](x))
    assert {type(model.get_submodule(name)) for name in ALL} == {QuantizedLinear}
    assert model["blocks"][0].mlp[1] is silu
    assert relative(found, expected) < 2 * WITHIN[precision]


def test_nothing_remembers_the_removed_layers(model):
    """Their weights are free, which is the point."""
    removed = [weakref.ref(model.get_submodule(name)) for name in ALL]
    weights = [weakref.ref(model.get_submodule(name).weight) for name in ALL]
    quantize_linears(model, "int8")
    gc.collect()
    assert [one() for one in removed + weights] == [None] * 14
    assert list(model.parameters()) == []
    assert "Linear(in_features" not in repr(model)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"only": ["blocks.*.mlp.*"]}, [name for name in ALL if ".mlp." in name]),
        ({"keep": ["head", "blocks.0.*"]}, [name for name in ALL if name.startswith("blocks.1")]),
        ({"only": ["blocks.1.*"], "keep": ["*.attention"]}, ["blocks.1.mlp.0", "blocks.1.mlp.2"]),
        ({"only": ["nothing"]}, []),
        ({"only": ["HEAD"]}, []),
    ],
    ids=str,
)
def test_patterns_choose_the_layers(model, options, names):
    """Upper and lower case count."""
    kept = {name: model.get_submodule(name) for name in ALL if name not in names}
    assert quantize_linears(model, "int8", **options) == names
    assert all(model.get_submodule(name) is layer for name, layer in kept.items())


def test_none_changes_nothing(model):
    """The kill switch."""
    layers = [model.get_submodule(name) for name in ALL]
    assert quantize_linears(model, "none") == []
    assert [model.get_submodule(name) for name in ALL] == layers


@pytest.mark.parametrize("fault", ["columns", "nan"])
def test_a_failure_leaves_the_module_as_it_was(model, fault):
    """The last layer cannot be quantized; the first ones were packed already."""
    if fault == "columns":
        model["last"] = linear_of(50, 3)
    else:
        with torch.no_grad():
            model["head"].weight[0, 0] = float("nan")
    layers = dict(model.named_modules())
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(QuantizationUnavailable):
        quantize_linears(model, "int4")
    assert dict(model.named_modules()) == layers
    found = model.state_dict()
    assert found.keys() == weights.keys()
    same = [found[name].allclose(tensor, rtol=0, atol=0, equal_nan=True) for name, tensor in weights.items()]
    assert all(same)


def test_a_layer_in_two_places_stays_one(model):
    """Both places get the same quantized layer."""
    model["tied"] = model["head"]
    assert quantize_linears(model, "int8") == [*ALL, "tied"]
    assert type(model["head"]) is QuantizedLinear
    assert model["tied"] is model["head"]


def test_subclasses_and_the_module_itself_are_left_alone():
    """A subclass may do more than multiply; the module itself hangs nowhere."""

    class Scaled(nn.Linear):
        pass

    with torch.random.fork_rng(devices=[]):
        holder = nn.Sequential(Scaled(32, 32))
    assert quantize_linears(holder, "int8") == []
    assert quantize_linears(linear_of(32, 32), "int8") == []


def test_packed_weights_do_not_move(model):
    """Their form is the device's; casting the module around them leaves them as they are."""
    quantize_linears(model, "int8")
    model.to("cpu").bfloat16()
    assert model["head"](torch.ones(1, 64)).dtype == torch.float32
    with pytest.raises(QuantizationUnavailable, match="cannot be moved"):
        model.to("meta")
