"""The kernels themselves, in Triton's language. Imported when one is launched: Triton comes with torch for CUDA alone.

Not run on a GPU yet: the tests run them in Triton's interpreter against plain torch, and compile them for sm_90.
"""

__all__ = ()
