"""Triton's kernels of realtts.accel.fused, interpreted or to be compiled, for tests on a machine without a GPU.

Triton decides when it is imported whether its own functions are interpreted, and something else may have imported it
before: it is imported anew, all but its compiled part, and put back afterwards.
"""

import contextlib
import importlib
import os
import sys

KERNELS = "realtts.accel.fused.kernels"
NAMES = ("product", "cache", "norms", "drawing")


@contextlib.contextmanager
def kernels(*, interpreted):
    """Import Triton and the kernels anew; yield the kernels' modules by name."""
    before, variable = _ours(), os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = str(int(interpreted))
    try:
        for name in before:
            del sys.modules[name]
        modules = {name: importlib.import_module(f"{KERNELS}.{name}") for name in NAMES}
        if interpreted:
            _allow_loops()
        yield modules
    finally:
        for name in _ours():
            del sys.modules[name]
        sys.modules.update(before)
        if variable is None:
            del os.environ["TRITON_INTERPRET"]
        else:
            os.environ["TRITON_INTERPRET"] = variable


def _ours():
    """What is imported of Triton, but for its compiled part, which can be imported once only, and the kernels."""
    return {
        name: module
        for name, module in sys.modules.items()
        if name.startswith(KERNELS) or (name.split(".")[0] == "triton" and not name.startswith("triton._C"))
    }


def _allow_loops():
    """Let loops end at numbers of the device: Triton 3.6 asks NumPy for an array's number, which 2.4 refuses."""
    interpreter = importlib.import_module("triton.runtime.interpreter")
    original = interpreter._patch_lang_tensor

    def patched(tensor, scope):
        original(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    interpreter._patch_lang_tensor = patched
