"""The codec's decoder as a chain of causal layers: upstream's Qwen3TTSTokenizerV2Decoder, channels last.

Weights have upstream's names (checkpoint: ``decoder.*`` of ``speech_tokenizer/model.safetensors``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from realtts.accel.kernels import DenseLayers
from realtts.accel.weights.state_reader import StateReader
from realtts.accel.weights.tensorfile import shapes_of
from realtts.errors import CheckpointMismatch
from realtts_qwen3.codec_layers import CausalConv, ConvNeXt, LastConv, ResidualUnit, Snake, upsampling
from realtts_qwen3.codec_state import Layout
from realtts_qwen3.codec_transformer import WindowedTransformer
from realtts_qwen3.codec_work import frame_work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from torch import Tensor

    from realtts_qwen3.codec_state import CodecState

    Past = Sequence[Tensor]

__all__ = ["Body"]

_DEFAULTS: Mapping[str, Any] = {
    "codebook_size": 2048,
    "codebook_dim": 512,
    "hidden_size": 1024,
    "latent_dim": 1024,
    "rope_theta": 10000,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "attention_bias": False,
    "sliding_window": 72,
    "intermediate_size": 3072,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "num_hidden_layers": 8,
    "num_quantizers": 16,
    "upsample_rates": (8, 5, 4, 3),
    "upsampling_ratios": (2, 2),
    "decoder_dim": 1536,
}
"""The defaults of upstream's configuration class, for what a file leaves out."""

_DILATIONS = (1, 3, 9)
_SMALLEST = 1e-5


class Body:
    """The layers, from codes to samples, a piece at a time. The constructor reads and casts them, `pack` packs them.

    Early layers have most of the weights and few frames, late ones the reverse: so the early ones take a whole piece
    at once, and the late ones, on the CPU, as much as stays in its cache.

    Args:
        config: ``decoder_config``.
        state: Upstream's tensors without ``decoder.``.
        device: Device to compute on.
        dtype: Dtype of products and convolutions; norms, angles and the last convolution are in float32.
        convolve: Use torch's convolutions, and take whole pieces through the late layers too; else products over
            windows, frame by frame.

    Attributes:
        quantizers: Codes of a frame.
        samples_per_frame: 1920.
        layout: Layout of the state.
        dtype: Dtype of the state.
        weights: Number of weights of all products and convolutions.
        multiplications: Multiplications by them for a frame.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen; names it.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        state: Mapping[str, Tensor],
        *,
        device: torch.device,
        dtype: torch.dtype,
        convolve: bool,
    ) -> None:
        config = _complete(config)
        self.weights, self.multiplications = frame_work(config, shapes_of(state))
        tensors = StateReader(state, "codec decoder", device)
        self.dtype, self.layout, self._products = dtype, Layout(convolve=convolve), DenseLayers(dtype)
        self.quantizers, self.samples_per_frame = config["num_quantizers"], _rate(config)
        self._codebooks = _Codebooks(config, tensors, self._products)
        latent, width = config["latent_dim"], config["decoder_dim"]
        places = self.layout, self._products
        self._pre = _conv(tensors, "pre_conv", (latent, config["codebook_dim"], 3), *places)
        self._transformer = WindowedTransformer(config, tensors, *places)
        self._ups = [
            (
                upsampling(tensors, f"upsample.{n}.0", (latent, latent, factor, factor), *places),
                ConvNeXt(tensors, f"upsample.{n}.1", latent, *places),
            )
            for n, factor in enumerate(config["upsampling_ratios"])
        ]
        self._first = _conv(tensors, "decoder.0", (width, latent, 7), *places)
        self._blocks = [
            _Block(tensors, f"decoder.{n + 1}.block", (width >> n, rate), *places)
            for n, rate in enumerate(config["upsample_rates"])
        ]
        last = len(self._blocks) + 1
        narrow = width >> len(self._blocks)
        self._snake = Snake(tensors, f"decoder.{last}", narrow, torch.float32)
        weight, bias = tensors.pair(f"decoder.{last + 1}.conv", 1, narrow, 7)
        assert bias is not None
        self._last = LastConv(weight, bias, self.layout, self._products)
        tensors.finish()

    def pack(self) -> None:
        """Pack the products for the matrix library; nothing can be computed before."""
        self._products.pack()

    def __call__(self, codes: Tensor, state: CodecState) -> Tensor:
        """Decode some frames to samples, float32 (rows, frames * samples_per_frame); the state moves on.

        Args:
            codes: int64 (rows, frames, quantizers).
            state: State of as many rows.
        """
        # From here on (rows, frames, channels); each upsampling multiplies the frames.
        past = self.layout.views(state.buffer)
        x = self._codebooks(codes).to(self.dtype)
        x = self._transformer(self._pre(x, past), past, state.past)
        for up, mix in self._ups:
            x = mix(up(x, past).float(), past)
        x = self._blocks[0](self._first(x.to(self.dtype), past), past)
        frames = codes.shape[1]
        samples = self._late(x, past) if self.layout.convolve else self._late_by_frame(x, past, x.shape[1] // frames)
        state.past.add_(frames)
        return samples

    def _late_by_frame(self, x: Tensor, past: Past, step: int) -> Tensor:
        """Do what `_late` does by rows and frames one after the other, so that activations stay in the CPU's cache."""
        rows = []
        for row in range(len(x)):
            contexts = [context[row : row + 1] for context in past]
            rows.append(torch.cat([self._late(piece, contexts) for piece in x[row : row + 1].split(step, 1)], 1))
        return torch.cat(rows)

    def _late(self, x: Tensor, past: Past) -> Tensor:
        """(rows, steps, channels) to samples (rows, steps * rate) by all blocks but the first."""
        for block in self._blocks[1:]:
            x = block(x, past)
        x = x.float()
        self._snake(x, x)
        return self._last(x, past).clamp_(-1, 1)


class _Codebooks:
    """Sums of code vectors: the first quantizer's and the others', each with a projection of its own; in float32."""

    def __init__(self, config: Mapping[str, Any], tensors: StateReader, products: DenseLayers) -> None:
        count, size, outside = config["num_quantizers"], config["codebook_size"], config["codebook_dim"]
        inside = outside // 2
        parts = (("rvq_first", 1), ("rvq_rest", count - 1))
        books, sides = [], []
        for part, layers in parts:
            name = f"quantizer.{part}"
            tensors.skip(f"{name}.input_proj.weight")  # only an encoder would need it
            sides.append(tensors.take(f"{name}.output_proj.weight", outside, inside, 1)[:, :, 0])
            books += [_codebook(tensors, f"{name}.vq.layers.{n}._codebook", size, inside) for n in range(layers)]
        self._books = torch.cat(books)  # (quantizers * codebook_size, inside)
        # Both projections as one product over the two sums side by side.
        self._project = products.add(torch.cat(sides, 1), dtype=torch.float32)
        self._offsets = torch.arange(count, device=self._books.device) * size

    def __call__(self, codes: Tensor) -> Tensor:
        """(rows, frames, quantizers) to float32 (rows, frames, codebook_dim)."""
        vectors = self._books[codes + self._offsets]  # (rows, frames, quantizers, inside)
        return self._project(torch.cat([vectors[:, :, 0], vectors[:, :, 1:].sum(2)], 2))


class _Block:
    """Snake, upsampling with half the channels, three residual units."""

    def __init__(
        self, tensors: StateReader, name: str, sizes: tuple[int, int], layout: Layout, products: DenseLayers
    ) -> None:
        channels, rate = sizes
        half = channels // 2
        self._snake = Snake(tensors, f"{name}.0", channels, products.dtype)
        self._up = upsampling(tensors, f"{name}.1", (channels, half, 2 * rate, rate), layout, products)
        self._units = [
            ResidualUnit(tensors, f"{name}.{n}", half, layout, products=products, dilation=dilation)
            for n, dilation in enumerate(_DILATIONS, start=2)
        ]

    def __call__(self, x: Tensor, past: Past) -> Tensor:
        """(rows, frames, channels) to (rows, frames * rate, channels / 2)."""
        x = self._up(x, past, self._snake)
        for unit in self._units:
            x = unit(x, past)
        return x


def _codebook(tensors: StateReader, name: str, size: int, width: int) -> Tensor:
    """Read a codebook (size, width), which the file has as sums and counts of the vectors it was trained on."""
    usage = tensors.take(f"{name}.cluster_usage", size).clamp(min=_SMALLEST)
    return tensors.take(f"{name}.embedding_sum", size, width) / usage[:, None]


def _conv(
    tensors: StateReader, name: str, shape: tuple[int, int, int], layout: Layout, products: DenseLayers
) -> Callable[[Tensor, Past], Tensor]:
    return CausalConv(*tensors.pair(f"{name}.conv", *shape), layout, products)


def _complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in upstream's defaults; raise CheckpointMismatch where another activation is asked for."""
    complete = {**_DEFAULTS, **config}
    if complete["hidden_act"] != "silu":
        raise CheckpointMismatch(
            f"hidden_act is {complete['hidden_act']!r}, only 'silu' is supported",
            who="codec decoder",
            fix="fetch the checkpoint again, or check that all files are of one model",
        )
    if not complete.get("head_dim"):
        complete["head_dim"] = complete["hidden_size"] // complete["num_attention_heads"]
    return complete


def _rate(config: Mapping[str, Any]) -> int:
    """Return the samples per frame."""
    return math.prod((*config["upsampling_ratios"], *config["upsample_rates"]))
