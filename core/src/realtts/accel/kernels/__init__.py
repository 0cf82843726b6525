"""Linear layers over packed weights: fp32, bf16, fp16, int8 and int4, each by the kernel that is fastest here.

A kernel never couples rows: what one row of the input gives does not depend on the rows beside it.
"""

from realtts.accel.kernels.choice import SAMPLE_BYTES, choose_kernel, known_kernel
from realtts.accel.kernels.dense import Dense, DenseLayers
from realtts.accel.kernels.matmul import KERNELS, Kernel, kernels_for, native_kernels
from realtts.accel.kernels.packed import PackedLinear
from realtts.accel.kernels.storage import Storage

__all__ = [
    "KERNELS",
    "SAMPLE_BYTES",
    "Dense",
    "DenseLayers",
    "Kernel",
    "PackedLinear",
    "Storage",
    "choose_kernel",
    "kernels_for",
    "known_kernel",
    "native_kernels",
]
