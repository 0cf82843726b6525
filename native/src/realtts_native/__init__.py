"""Native kernels of realtts for CPUs: a whole decoder step in one call, over packed weights.

It needs x86-64 with AVX2, FMA and F16C, or AVX-512 with VNNI; elsewhere it can be imported, and `usable` says why it
cannot run. Arrays are shared with numpy and torch without copies, and neither is needed to build it.
"""

from realtts_native._native import (
    LAYOUT,
    Buffer,
    Cache,
    Layer,
    Pool,
    Sampler,
    SamplingValues,
    Step,
    Taps,
    Weight,
    features,
    instruction_set,
    usable,
)

__all__ = [
    "LAYOUT",
    "Buffer",
    "Cache",
    "Layer",
    "Pool",
    "Sampler",
    "SamplingValues",
    "Step",
    "Taps",
    "Weight",
    "features",
    "instruction_set",
    "usable",
]
