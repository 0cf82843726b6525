"""The codec's decoder, from codes to samples: transformers' ``NeuCodecModel.decode``.

Weights keep upstream's names (checkpoint: ``acoustic_decoder.*`` and ``quantizer.project_out.*``). Two things of
upstream's are not computed. Its rotary positions turn queries and keys of a head by one angle for all frames, which no
product of the two notices. And from a code to the first convolution's output everything is linear: the projections of
the quantizer and of the decoder are multiplied into the convolution, which then has 9 channels in place of 1024: the
code's digits, and a constant that carries the biases, so that there is none of them where there is no frame.

On the device "meta" the constructor checks the names and shapes of a file's tensors before any of them is read.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.kernels import DenseLayers
from realtts.accel.layers.bidirectional import QUERY_SCALE, attend
from realtts.accel.weights.state_reader import StateReader
from realtts_vieneu.codec_layers import Conv, ResNet, Waves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from realtts_vieneu.codec_layers import Extent
    from realtts_vieneu.codec_sizes import CodecSizes

__all__ = ["Body"]

_KERNEL = 7
_NORM_EPS = 1e-6
_DECODER, _CODES = "acoustic_decoder.", "quantizer.project_out."


class Body:
    """All layers; the constructor reads and casts, and `pack` has to be called before the first code.

    Frames see each other both ways, so that a window of speech differs from the same frames of the whole.

    Args:
        sizes: Of the codec.
        state: Tensors by transformers' names; those of the encoder are not looked at.
        device: Where to compute.
        dtype: Of products; the residual stream, norms, the first and the last layer are in float32.
        fused: Use torch's attention on the CPU too.
        who: Name of the file, for messages.

    Attributes:
        samples_per_frame: 480, at 24 kHz.
        bytes_read: What a call has to read of the weights at least.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen; names it.
    """

    def __init__(
        self,
        sizes: CodecSizes,
        state: Mapping[str, Tensor],
        *,
        device: torch.device,
        dtype: torch.dtype,
        fused: bool = False,
        who: str = "codec decoder",
    ) -> None:
        tensors = StateReader(state, who, device)
        width = sizes.hidden
        self.samples_per_frame = sizes.hop
        self._sizes, (inner, outer) = sizes, _products(sizes)
        self.bytes_read = inner * dtype.itemsize + outer * torch.float32.itemsize
        self._digits = _Digits(sizes.levels, device)
        self._linears = _read_linears(sizes, tensors)
        self._embed: Conv | None = None  # until `pack`
        products = self._products = DenseLayers(dtype)
        self._before = [ResNet(tensors, f"{_DECODER}prior_net.{n}", width, products) for n in range(2)]
        self._layers = [
            _Layer(sizes, tensors, f"{_DECODER}layers.{n}.", products, fused=fused) for n in range(sizes.layers)
        ]
        self._after = [ResNet(tensors, f"{_DECODER}post_net.{n}", width, products) for n in range(2)]
        self._norm = tensors.both(f"{_DECODER}norm", width)
        self._waves = Waves(tensors, f"{_DECODER}head", width, sizes.hop, products)
        for part in (_DECODER, _CODES):
            tensors.finish(part)

    def pack(self) -> None:
        """Multiply the layers before the first convolution into it, and lay all weights out, one after the other."""
        self._embed = Conv(*_folded(self._linears), self._products, torch.float32)
        del self._linears
        self._products.pack()

    def __call__(self, codes: Tensor, extent: Extent | None = None) -> Tensor:
        """Decode to samples, float32 (rows, frames * samples_per_frame); those behind a row's end mean nothing.

        Args:
            codes: int64 (rows, frames).
            extent: Where rows end; None: all have all frames.
        """
        assert self._embed is not None, "not packed yet"
        rows, frames = codes.shape
        whole, inside = self._embed.place(rows, frames, codes.device)
        self._digits(codes, inside)
        if extent is not None:
            inside.mul_(extent.real)
        x = self._embed(whole)
        for block in self._before:
            x = block(x, extent)
        for layer in self._layers:
            x = layer(x, extent)
        for block in self._after:
            x = block(x, extent)
        return self._waves(functional.layer_norm(x, x.shape[2:], *self._norm, eps=_NORM_EPS), extent)

    def flops(self, frames: int) -> int:
        """Return the operations of products and attention for a row of so many frames."""
        mixed = 2 * self._sizes.layers * self._sizes.heads * self._sizes.head_dim * frames
        return 2 * frames * (sum(_products(self._sizes)) + mixed)


class _Digits:
    """A code as its digits between -1 and 1, lowest first, and a one behind them.

    Source: finite scalar quantization (Mentzer et al., 2023, arXiv:2309.15505).
    """

    def __init__(self, levels: tuple[int, ...], device: torch.device) -> None:
        steps = itertools.accumulate((1, *levels[:-1]), lambda one, other: one * other)
        self._steps = torch.tensor(list(steps), device=device)
        self._levels = torch.tensor(levels, device=device)
        self._half = self._levels // 2

    def __call__(self, codes: Tensor, out: Tensor) -> None:
        """Write the digits of codes, int64 (rows, frames), into `out`, (rows, frames, digits + 1)."""
        # (rows, frames) -> (rows, frames, digits)
        digits = torch.div(codes[..., None], self._steps, rounding_mode="floor") % self._levels
        out[..., :-1] = (digits - self._half) / self._half
        out[..., -1] = 1


class _Layer:
    """A transformer layer: attention and an MLP, each behind an RMS norm and added to its input."""

    def __init__(
        self, sizes: CodecSizes, tensors: StateReader, name: str, products: DenseLayers, *, fused: bool
    ) -> None:
        width, self._head, self._eps = sizes.hidden, sizes.head_dim, sizes.norm_eps
        self._dtype, self._fused, biased = products.dtype, fused, sizes.attention_bias
        self._norms = [
            tensors.take(f"{name}{n}.weight", width) for n in ("input_layernorm", "post_attention_layernorm")
        ]
        inner = sizes.heads * self._head
        q, k, v = (tensors.pair(f"{name}self_attn.{kind}_proj", inner, width, bias=biased) for kind in "qkv")
        # The scale of attention is multiplied into the queries' weights, once.
        scale = QUERY_SCALE / math.sqrt(self._head)
        weights = torch.cat([q[0] * scale, k[0], v[0]])
        biases = [bias for bias in (q[1], k[1], v[1]) if bias is not None]
        self._qkv = products.add(weights, torch.cat([biases[0] * scale, *biases[1:]]) if biases else None)
        self._out = products.add(*tensors.pair(f"{name}self_attn.o_proj", width, inner, bias=biased))
        self._up = products.add(tensors.take(f"{name}mlp.fc1.weight", sizes.intermediate, width))
        self._down = products.add(tensors.take(f"{name}mlp.fc2.weight", width, sizes.intermediate))

    def __call__(self, x: Tensor, extent: Extent | None) -> Tensor:
        """Map float32 (rows, frames, channels) to the same shape and type."""
        x = self._out(self._attended(self._normed(x, 0), extent)) + x
        return self._down(functional.silu(self._up(self._normed(x, 1)), inplace=True)) + x

    def _normed(self, x: Tensor, which: int) -> Tensor:
        return functional.rms_norm(x, x.shape[2:], self._norms[which], self._eps).to(self._dtype)

    def _attended(self, h: Tensor, extent: Extent | None) -> Tensor:
        # (rows, frames, 3 * heads * head_dim) -> three times (rows, heads, frames, head_dim)
        q, k, v = (part.unflatten(2, (-1, self._head)).transpose(1, 2) for part in self._qkv(h).chunk(3, 2))
        mask = None if extent is None else extent.keys(q.dtype)
        return attend(q, k, v, fused=self._fused, mask=mask)


def _products(sizes: CodecSizes) -> tuple[int, int]:
    """Return how many weights a frame is multiplied by: those in the given type, and those in float32."""
    width = sizes.hidden
    resnets = 4 * 2 * 3 * width * width
    layer = 4 * width * sizes.heads * sizes.head_dim + 2 * width * sizes.intermediate
    return resnets + sizes.layers * layer, width * (_KERNEL * (len(sizes.levels) + 1) + sizes.fft + 2)


def _read_linears(sizes: CodecSizes, tensors: StateReader) -> list[Tensor]:
    """Read what lies between a code and the first convolution's output: three times weight and bias."""
    width = sizes.hidden
    return [
        *tensors.both(_CODES.rstrip("."), sizes.latent, len(sizes.levels)),
        *tensors.both(f"{_DECODER}fc", width, sizes.latent),
        *tensors.both(f"{_DECODER}embed", width, width, _KERNEL),
    ]


def _folded(linears: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Multiply the projections into the first convolution: (hidden, digits + 1, 7), and its own bias."""
    device, bias = linears[-1].device, linears[-1]
    # in float64, for this is done once; on the host, for not every device has it
    out, out_bias, into, into_bias, taps = (part.cpu().double() for part in linears[:-1])
    before = torch.cat([into @ out, (into @ out_bias + into_bias)[:, None]], 1)
    return torch.einsum("oik,id->odk", taps, before).float().to(device), bias
