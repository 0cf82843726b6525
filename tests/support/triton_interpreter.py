"""Triton's kernels of realtts.accel.fused in Triton's interpreter, for tests on a machine without a GPU."""

import importlib
import os
import sys

PREFIX = "realtts.accel.fused.kernels"


def load_interpreted():
    """Import the kernels so that they are interpreted, whatever was imported before; leaves the environment alone."""
    from triton.runtime import interpreter

    _load("1")
    return interpreter


def load_compiled():
    """Import the kernels so that they can be compiled; their modules by name."""
    return _load("0")


def _load(interpreted):
    for name in [name for name in sys.modules if name.startswith(PREFIX)]:
        del sys.modules[name]
    before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = interpreted
    try:
        return {name: importlib.import_module(f"{PREFIX}.{name}") for name in ("product", "cache", "norms", "drawing")}
    finally:
        if before is None:
            del os.environ["TRITON_INTERPRET"]
        else:
            os.environ["TRITON_INTERPRET"] = before


def allow_loops(interpreter, patch):
    """Let loops end at numbers of the device: Triton 3.6 asks NumPy for an array's number, which 2.4 refuses."""
    original = interpreter._patch_lang_tensor

    def patched(tensor, scope):
        original(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    patch.setattr(interpreter, "_patch_lang_tensor", patched)
