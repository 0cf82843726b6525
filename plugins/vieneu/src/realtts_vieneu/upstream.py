"""The one place that imports transformers and upstream's package, so that what they need or do is mended once.

transformers imports torchaudio in passing, which beside another torch than it was built for takes everything down:
`realtts.accel.upstream.torchaudio_import`.
"""

from __future__ import annotations

from realtts.accel.upstream.packages import Package

__all__ = ["TURBO_MODULES", "load_upstream", "module"]

TURBO_MODULES = ("vieneu._v3_turbo_engine.onnx_runtime_lite", "vieneu_utils.phonemize_text", "vieneu_utils.core_utils")
"""Of upstream's package: the engine, text, and sound."""

_V3 = "install realtts-vieneu[v3], which brings upstream's package"

module = Package(
    "vieneu",
    fix={
        "transformers": "install transformers 5.23 or newer",
        "vieneu": _V3,
        "vieneu_utils": _V3,
        "onnxruntime": _V3,
        "onnx": "install onnx, which random graphs are written with",
    },
    torchaudio=True,
).module
"""A module of transformers, or of upstream's package ``vieneu``; `realtts.accel.upstream.packages.Package.module`."""


def load_upstream(*, turbo: bool = False) -> None:
    """Import what the plain variant uses: of transformers, or for v3 Turbo of upstream's package.

    Raises:
        MissingExtra: It is not installed, or too old.
    """
    if turbo:
        for name in (*TURBO_MODULES, "onnxruntime"):  # the engine imports the latter when it is made
            module(name)
        return
    module("transformers.models.auto")
    for family in ("qwen2", "llama", "neucodec"):
        module(f"transformers.models.{family}.modeling_{family}")
