"""Native kernels of realtts for CPUs: a whole decoder step in one call, and products and attention of many rows.

It needs x86-64 with AVX2, FMA and F16C, or AVX-512 with VNNI; elsewhere it can be imported, and `usable` says why it
cannot run. Arrays are shared with numpy and torch without copies, and neither is needed to build it.
"""

from realtts_native._native import (
    LAYOUT,
    Buffer,
    Cache,
    CodePredictor,
    Layer,
    Pool,
    RowWeight,
    Sampler,
    SamplingValues,
    Step,
    Taps,
    Weight,
    attention,
    features,
    instruction_set,
    packed_attention,
    row_product,
    usable,
)

__all__ = [
    "LAYOUT",
    "Buffer",
    "Cache",
    "CodePredictor",
    "Layer",
    "Pool",
    "RowWeight",
    "Sampler",
    "SamplingValues",
    "Step",
    "Taps",
    "Weight",
    "attention",
    "features",
    "instruction_set",
    "packed_attention",
    "row_product",
    "usable",
]
