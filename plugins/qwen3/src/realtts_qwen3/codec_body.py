"""The codec's decoder as a chain of causal layers: upstream's Qwen3TTSTokenizerV2Decoder, frames last but one.

Weights keep upstream's names (checkpoint: ``decoder.*`` of ``speech_tokenizer/model.safetensors``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.kernels import Dense
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
"""Of upstream's configuration class, for what a file leaves out."""

_DILATIONS = (1, 3, 9)
_SMALLEST = 1e-5


class Body:
    """From codes to samples, a piece at a time.

    Early layers have most of the weights and few frames, late ones the reverse: so the early ones take a whole piece
    at once, and the late ones, on the CPU, as much as stays in its cache.

    Args:
        config: ``decoder_config``.
        state: Upstream's tensors without ``decoder.``.
        device: Where to compute.
        dtype: Of products and convolutions; norms, angles and the last convolution are in float32.
        convolve: Use torch's convolutions, and take whole pieces through the late layers too; else products over
            windows, frame by frame.

    Attributes:
        quantizers: Codes of a frame.
        samples_per_frame: 1920.
        layout: Of the state.
        dtype: Of the state.
        weights: Of all products and convolutions.
        products: Multiplications by them for a frame.

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
        self.weights, self.products = frame_work(config, shapes_of(state))
        tensors = StateReader(state, "codec decoder", device)
        self.dtype, self.layout = dtype, Layout(convolve=convolve)
        self.quantizers, self.samples_per_frame = config["num_quantizers"], _rate(config)
        self._codebooks = _Codebooks(config, tensors)
        latent, width = config["latent_dim"], config["decoder_dim"]
        self._pre = _conv(tensors, "pre_conv", (latent, config["codebook_dim"], 3), self.layout, dtype)
        self._transformer = WindowedTransformer(config, tensors, self.layout, dtype)
        self._ups = [
            (
                upsampling(tensors, f"upsample.{n}.0", (latent, latent, factor, factor), self.layout, dtype),
                ConvNeXt(tensors, f"upsample.{n}.1", latent, self.layout, dtype),
            )
            for n, factor in enumerate(config["upsampling_ratios"])
        ]
        self._first = _conv(tensors, "decoder.0", (width, latent, 7), self.layout, dtype)
        self._blocks = [
            _Block(tensors, f"decoder.{n + 1}.block", width >> n, rate, layout=self.layout, dtype=dtype)
            for n, rate in enumerate(config["upsample_rates"])
        ]
        last = len(self._blocks) + 1
        narrow = width >> len(self._blocks)
        self._snake = Snake(tensors, f"decoder.{last}", narrow, torch.float32)
        weight, bias = tensors.pair(f"decoder.{last + 1}.conv", 1, narrow, 7)
        assert bias is not None
        self._last = LastConv(weight, bias, self.layout)
        tensors.finish()

    def __call__(self, codes: Tensor, state: CodecState) -> Tensor:
        """Samples of some frames, float32 (rows, frames * samples_per_frame); the state moves on.

        Args:
            codes: int64 (rows, frames, quantizers).
            state: Of as many rows.
        """
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
        """As `_late`: one row and one frame after the other, so that what is made stays in the CPU's cache."""
        rows = []
        for row in range(len(x)):
            own = [context[row : row + 1] for context in past]
            rows.append(torch.cat([self._late(piece, own) for piece in x[row : row + 1].split(step, 1)], 1))
        return torch.cat(rows)

    def _late(self, x: Tensor, past: Past) -> Tensor:
        for block in self._blocks[1:]:
            x = block(x, past)
        x = x.float()
        self._snake(x, x)
        return self._last(x, past).clamp_(-1, 1)


class _Codebooks:
    """Sums of code vectors: the first quantizer's and the others', each with a projection of its own."""

    def __init__(self, config: Mapping[str, Any], tensors: StateReader) -> None:
        count, self._size, outside = config["num_quantizers"], config["codebook_size"], config["codebook_dim"]
        inside = outside // 2
        parts = (("rvq_first", 1), ("rvq_rest", count - 1))
        books, sides = [], []
        for part, layers in parts:
            name = f"quantizer.{part}"
            tensors.skip(f"{name}.input_proj.weight")  # only an encoder would need it
            sides.append(tensors.take(f"{name}.output_proj.weight", outside, inside, 1)[:, :, 0])
            books += [_codebook(tensors, f"{name}.vq.layers.{n}._codebook", self._size, inside) for n in range(layers)]
        self._books = torch.cat(books)
        self._project = Dense(torch.cat(sides, 1), None, torch.float32)
        self._begins = torch.arange(count, device=self._books.device) * self._size

    def __call__(self, codes: Tensor) -> Tensor:
        """(rows, frames, quantizers) to float32 (rows, frames, codebook_dim)."""
        vectors = self._books[codes + self._begins]
        return self._project(torch.cat([vectors[:, :, 0], vectors[:, :, 1:].sum(2)], 2))


class _Block:
    """Snake, upsampling with half the channels, three residual units."""

    def __init__(
        self, tensors: StateReader, name: str, channels: int, rate: int, *, layout: Layout, dtype: torch.dtype
    ) -> None:
        half = channels // 2
        self._snake = Snake(tensors, f"{name}.0", channels, dtype)
        self._up = upsampling(tensors, f"{name}.1", (channels, half, 2 * rate, rate), layout, dtype)
        self._units = [
            ResidualUnit(tensors, f"{name}.{n}", half, layout, dtype=dtype, dilation=dilation)
            for n, dilation in enumerate(_DILATIONS, start=2)
        ]

    def __call__(self, x: Tensor, past: Past) -> Tensor:
        x = self._up(x, past, self._snake)
        for unit in self._units:
            x = unit(x, past)
        return x


def _codebook(tensors: StateReader, name: str, size: int, width: int) -> Tensor:
    used = tensors.take(f"{name}.cluster_usage", size).clamp(min=_SMALLEST)
    return tensors.take(f"{name}.embedding_sum", size, width) / used[:, None]


def _conv(
    tensors: StateReader, name: str, shape: tuple[int, int, int], layout: Layout, dtype: torch.dtype
) -> Callable[[Tensor, Past], Tensor]:
    return CausalConv(*tensors.pair(f"{name}.conv", *shape), layout, dtype)


def _complete(config: Mapping[str, Any]) -> dict[str, Any]:
    found = {**_DEFAULTS, **config}
    if found["hidden_act"] != "silu":
        raise CheckpointMismatch(
            f"hidden_act is {found['hidden_act']!r}, only 'silu' is supported",
            who="codec decoder",
            fix="fetch the checkpoint again, or check that all files are of one model",
        )
    if not found.get("head_dim"):
        found["head_dim"] = found["hidden_size"] // found["num_attention_heads"]
    return found


def _rate(config: Mapping[str, Any]) -> int:
    rate = 1
    for factor in (*config["upsampling_ratios"], *config["upsample_rates"]):
        rate *= factor
    return rate
