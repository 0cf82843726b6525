"""Random decoders of the toolkit in several families, without transformers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from realtts.accel.decoder import Decoder, DecoderConfig, Llama3Scaling, Precision, Rope  # noqa: E402
from realtts.accel.decoder.weights import LayerWeights  # noqa: E402

VOCABULARY = 97
LLAMA = DecoderConfig(3, 64, 4, 2, 16, 160, norm_eps=1e-5)
FAMILIES = {
    "llama": LLAMA,
    "llama3-rope": DecoderConfig(2, 64, 4, 4, 16, 96, rope=Rope(1e4, Llama3Scaling(8.0, 1.0, 4.0, 64))),
    "qwen2": DecoderConfig(3, 96, 6, 2, 32, 128, qkv_bias=True),
    "qwen3": DecoderConfig(3, 64, 4, 2, 24, 160, qk_norm=True),
    "gpt2": DecoderConfig(3, 64, 4, 4, 16, 256, rope=None, family="gpt2"),
    "one layer": DecoderConfig(1, 32, 2, 1, 64, 32, rope=None),
}


def native(weights: str) -> Precision:
    """The precision of a rung of realtts-native."""
    return Precision(weights, torch.float32, native=True)


def make(config: DecoderConfig, precision: Precision | str = "fp32", *, nan: bool = False) -> Decoder:
    """A decoder with the same random weights at every call."""
    generator = torch.Generator().manual_seed(7)

    def matrix(outputs, inputs):
        return torch.randn(outputs, inputs, generator=generator) * 1.2 / inputs**0.5

    def norm(size=config.hidden_size):
        return 0.5 + torch.rand(size, generator=generator)

    gpt2, width = config.family == "gpt2", config.hidden_size
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim

    def bias(size, *, there):
        return 0.3 * torch.randn(size, generator=generator) if there else None

    gates = 1 if gpt2 else 2
    layers = [
        LayerWeights(
            input_norm=norm(),
            input_norm_bias=bias(width, there=gpt2),
            qkv=matrix(queries + 2 * keys, width),
            qkv_bias=bias(queries + 2 * keys, there=gpt2 or config.qkv_bias),
            q_norm=norm(config.head_dim) if config.qk_norm else None,
            k_norm=norm(config.head_dim) if config.qk_norm else None,
            out=matrix(width, queries),
            out_bias=bias(width, there=gpt2),
            mlp_norm=norm(),
            mlp_norm_bias=bias(width, there=gpt2),
            gate_up=matrix(gates * config.mlp_size, width),
            gate_up_bias=bias(gates * config.mlp_size, there=gpt2),
            down=matrix(width, config.mlp_size),
            down_bias=bias(width, there=gpt2),
        )
        for _ in range(config.layers)
    ]
    final, final_bias = norm(), bias(width, there=gpt2)
    if nan:
        final[0] = float("nan")
    return Decoder(
        config, layers, final, final_norm_bias=final_bias, precision=precision, rows=(1, 2), max_positions=512
    )


def head_of(config: DecoderConfig) -> torch.Tensor:
    """A head for it, (vocabulary, hidden)."""
    return torch.randn(VOCABULARY, config.hidden_size, generator=torch.Generator().manual_seed(8)) * 0.3


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normally distributed inputs."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
