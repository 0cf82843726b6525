"""The matrix products that torch offers for few rows, behind one small interface.

Activations are quantized per row or not at all. torch's own dynamic quantization is not among these kernels: it takes
one scale for the whole activation, so that a loud row costs its neighbours their precision.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from realtts.accel.kernels import eight_bit, onednn
from realtts.accel.kernels.dense import Dense
from realtts.accel.kernels.rounding import Int4Weight, quantize_int4, quantize_int8
from realtts.machine.hardware import cpu_features

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["KERNELS", "Kernel", "kernels_for"]


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Kernel:
    """One way to multiply by a weight matrix.

    Attributes:
        name: Appears in the status, such as ``"onednn"``.
        precision: Precision of the weights that it serves.
        device: Device type that it runs on.
        pack: Turn a weight of shape (out, in) and a bias of shape (out,) or None into the kernel's own form.
        run: Multiply: packed form and input of shape (rows, in) to output of shape (rows, out).
        usable: Whether the library that it needs may be used now.
        steady: Whether a row gives the same, bit for bit, beside any number of other rows.
    """

    name: str
    precision: str
    device: str
    pack: Callable[[Tensor, Tensor | None], Any]
    run: Callable[[Any, Tensor], Tensor]
    usable: Callable[[], bool] = _always
    steady: bool = False

    def works(self) -> bool:
        """Whether this build of torch and this machine can run it: a small product is tried, once."""
        return self.usable() and _works(self)


def kernels_for(precision: str, device: torch.device) -> tuple[Kernel, ...]:
    """Return the kernels that serve a precision on a device and work here, the plainest first."""
    return tuple(k for k in KERNELS if k.precision == precision and k.device == device.type and k.works())


@functools.cache
def _works(kernel: Kernel) -> bool:
    device = torch.device(kernel.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        return False
    # Without a generator, so that the global one does not move.
    weight = torch.linspace(-1, 1, 64 * 64).sin().view(64, 64).to(device)
    x = torch.linspace(-1, 1, 2 * 64).cos().view(2, 64).to(device)
    try:
        actual = kernel.run(kernel.pack(weight, None), x)
    except Exception:  # whatever torch and Triton raise: compilers' errors have no base of their own
        return False
    expected = functional.linear(x, weight)
    # Loose, for int4: what is looked for is another layout or sign, not rounding.
    return bool((actual.float() - expected).norm() < 0.2 * expected.norm())


# --- dense -----------------------------------------------------------------------------------------------------------


_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def _dense(precision: str, device: str) -> Kernel:
    return Kernel("dense", precision, device, functools.partial(Dense, dtype=_DTYPES[precision]), Dense.__call__)


def _onednn(precision: str) -> Kernel:
    dtype = _DTYPES[precision]
    usable = functools.partial(onednn.usable, dtype, torch.device("cpu"))
    pack = functools.partial(_pack_onednn, dtype=dtype)
    return Kernel("onednn", precision, "cpu", pack, Dense.__call__, usable, steady=precision == "fp32")


def _pack_onednn(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Dense:
    layer = Dense(weight, bias, dtype)
    layer.pack(steady=dtype == torch.float32)
    return layer


# --- int8 ------------------------------------------------------------------------------------------------------------


@dataclass
class _Int8:
    weight: Any
    scale: Tensor
    bias: Tensor | None


@dataclass
class _Int8Zeros(_Int8):
    zeros: Tensor


def _pack_int8_weight_only(weight: Tensor, bias: Tensor | None) -> _Int8:
    # The CPU's kernel reads inputs in sixteens and does not look where they end: anything else kills the process.
    quantized = quantize_int8(functional.pad(weight, (0, -weight.shape[1] % 16)))
    return _Int8(quantized.values, quantized.scale.bfloat16(), bias)


def _run_int8_weight_only(packed: _Int8, x: Tensor) -> Tensor:
    if not len(x):  # on CUDA a launch of no blocks, after which errors may show up elsewhere
        return x.new_empty(0, len(packed.weight))
    padded = functional.pad(x, (0, packed.weight.shape[1] - x.shape[1])).bfloat16().contiguous()
    y: Tensor = torch._weight_int8pack_mm(padded, packed.weight, packed.scale)
    return _biased(y.to(x.dtype), packed.bias)


def _pack_int8_rows(weight: Tensor, bias: Tensor | None) -> _Int8:
    quantized = quantize_int8(weight)
    channels = quantized.scale.double()
    with warnings.catch_warnings():
        # torch means to remove this kind of tensor; where it is gone, works() says no and the other kernels serve.
        warnings.simplefilter("ignore")
        as_torch = torch._make_per_channel_quantized_tensor(
            quantized.values, channels, torch.zeros_like(channels, dtype=torch.int64), 0
        )
    return _Int8(torch.ops.quantized.linear_prepack(as_torch, None), quantized.scale, bias)


def _run_int8_rows(packed: _Int8, x: Tensor) -> Tensor:
    # The kernel quantizes with one scale that it is given. Dividing each row by its own largest value first makes
    # that scale right for every row; integers times integers, so that rows cannot touch each other.
    x = x.float()
    scale = _row_scale(x)
    y: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
        x / scale, 1.0, _activation_levels() + 1, packed.weight
    )
    return _biased(y.mul_(scale), packed.bias)


def _pack_int8_onednn(weight: Tensor, bias: Tensor | None) -> _Int8Zeros:
    quantized = quantize_int8(weight)
    packed = torch.ops.onednn.qlinear_prepack(quantized.values, None)
    return _Int8Zeros(packed, quantized.scale, bias, torch.zeros(weight.shape[0], dtype=torch.int64))


def _run_int8_onednn(packed: _Int8Zeros, x: Tensor) -> Tensor:
    x = x.float()
    scale = _row_scale(x)
    values = (x / scale).round_().add_(_activation_levels() + 1).to(torch.uint8)
    y: Tensor = torch.ops.onednn.qlinear_pointwise(
        values,
        1.0,
        _activation_levels() + 1,
        packed.weight,
        packed.scale,
        packed.zeros,
        None,
        1.0,
        0,
        torch.float32,
        "none",
        [],
        "",
    )
    return _biased(y.mul_(scale), packed.bias)


def _row_scale(x: Tensor) -> Tensor:
    return x.abs().amax(-1, keepdim=True).clamp_(min=1e-30).mul_(1 / _activation_levels())


@functools.cache
def _activation_levels() -> int:
    # Without VNNI two products are summed in 16 bits, which eight-bit activations overflow. The zero point lies one
    # above, so that the unsigned values stay as small as the levels allow.
    return 127 if {"avx512_vnni", "avx_vnni"} & cpu_features() else 63


def _biased(y: Tensor, bias: Tensor | None) -> Tensor:
    return y if bias is None else y.add_(bias)


# --- int4 ------------------------------------------------------------------------------------------------------------


@dataclass
class _Int4:
    weight: Tensor
    scales_and_zeros: Tensor
    group: int
    bias: Tensor | None
    outputs: int


def _pack_int4_cpu(weight: Tensor, bias: Tensor | None) -> _Int4:
    # The kernel wants outputs in multiples of sixteen; a vocabulary seldom is one.
    quantized = quantize_int4(functional.pad(weight, (0, 0, 0, -len(weight) % 16)))
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(quantized.values.int(), 1)
    return _Int4(packed, _interleaved(quantized), quantized.group, bias, len(weight))


def _run_int4_cpu(packed: _Int4, x: Tensor) -> Tensor:
    y: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
        x.bfloat16().contiguous(), packed.weight, packed.group, packed.scales_and_zeros
    )
    return _biased(y[:, : packed.outputs].to(x.dtype), packed.bias)


def _pack_int4_cuda(weight: Tensor, bias: Tensor | None) -> _Int4:
    quantized = quantize_int4(functional.pad(weight, (0, 0, 0, -len(weight) % 8)))
    # Two values to a byte, the even column in the upper half: the layout of torch's tinygemm kernel.
    pairs = (quantized.values[:, ::2] << 4 | quantized.values[:, 1::2]).to(torch.uint8)
    packed = torch.ops.aten._convert_weight_to_int4pack(pairs, 8)
    return _Int4(packed, _interleaved(quantized), quantized.group, bias, len(weight))


def _run_int4_cuda(packed: _Int4, x: Tensor) -> Tensor:
    if not len(x):
        return x.new_empty(0, packed.outputs)
    y: Tensor = torch.ops.aten._weight_int4pack_mm(
        x.bfloat16().contiguous(), packed.weight, packed.group, packed.scales_and_zeros
    )
    return _biased(y[:, : packed.outputs].to(x.dtype), packed.bias)


def _interleaved(quantized: Int4Weight) -> Tensor:
    """Interleave scale and zero of each group as the kernels read them: (in // group, out, 2) in bf16."""
    pairs = torch.stack([quantized.scale, quantized.zero], -1)  # twice (out, in // group) -> (out, in // group, 2)
    return pairs.transpose(0, 1).contiguous().bfloat16()


KERNELS = (
    _dense("fp32", "cpu"),
    _onednn("fp32"),
    _dense("bf16", "cpu"),
    _onednn("bf16"),
    _dense("fp16", "cpu"),
    Kernel("int8_rows", "int8", "cpu", _pack_int8_rows, _run_int8_rows, steady=True),
    Kernel("int8_rows_onednn", "int8", "cpu", _pack_int8_onednn, _run_int8_onednn, onednn.enabled, steady=True),
    Kernel("int8_weight_only", "int8", "cpu", _pack_int8_weight_only, _run_int8_weight_only, steady=True),
    Kernel("int4_weight_only", "int4", "cpu", _pack_int4_cpu, _run_int4_cpu, steady=True),
    _dense("fp32", "cuda"),
    _dense("bf16", "cuda"),
    _dense("fp16", "cuda"),
    Kernel("int8_weight_only", "int8", "cuda", _pack_int8_weight_only, _run_int8_weight_only),
    Kernel("int8_triton", "int8", "cuda", eight_bit.pack_int8, eight_bit.run_int8, eight_bit.has_triton),
    Kernel("fp8_scaled", "fp8", "cuda", eight_bit.pack_float8, eight_bit.scaled_product, eight_bit.has_float8),
    Kernel("fp8_triton", "fp8", "cuda", eight_bit.pack_float8, eight_bit.run_float8, eight_bit.has_both),
    Kernel("int4_weight_only", "int4", "cuda", _pack_int4_cuda, _run_int4_cuda),
    _dense("fp32", "mps"),
    _dense("bf16", "mps"),
    _dense("fp16", "mps"),
)
"""Every kernel, per precision and device. The CUDA and MPS entries were not run on such a device yet."""
