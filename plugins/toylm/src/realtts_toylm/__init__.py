"""A complete speech language model on the toolkit, small enough to read: for tests, and to copy from.

Bytes of text become embeddings, a Qwen3-shaped decoder draws speech tokens, and a codec turns each token into 40 ms
of sound. It speaks no language: its weights are random, as `realtts_toylm.testing.write_random_checkpoint`
writes them. The files are those of every model plugin:

- `frontend`: from a request to token ids, sampling and limits
- `network`: the model as its authors would publish it, plain torch
- `loading`: a checkpoint's files into that network
- `codec`: tokens to samples, piece by piece
- `model`: what both variants share
- `plain`: the reference, one request, eagerly
- `optimized`: the same model on `realtts.accel.decoder`
- `speaking`: a request of it in a running batch
- `options`, `testing`: the provider's own options; what `realtts bench` and `realtts verify` ask for
"""

from __future__ import annotations

from realtts.contract.spec import ProviderSpec

__all__ = ["spec"]

spec = ProviderSpec(
    name="toylm",
    summary="A small speech language model with random weights, for tests and to copy from",
    sample_rates=(24_000,),
    plain="realtts_toylm.plain:Plain",
    optimized="realtts_toylm.optimized:Optimized",
    options="realtts_toylm.options:ToyOptions",
    capabilities=frozenset({"streaming"}),
    licence="Apache-2.0",
    devices=("cuda", "cpu"),
    torch=True,
    max_chars=200,
)
