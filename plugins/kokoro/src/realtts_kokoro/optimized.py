"""The optimized variant: on the GPU where there is one, and warm before the first request; its samples are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.hooks import hookimpl
from realtts.errors import NotFinite
from realtts.kit.onnx import onnx_probe, onnx_rungs
from realtts_kokoro.vocabulary import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.context import Context, Rung
    from realtts_kokoro.plain import Kokoro

__all__ = ["Optimized"]

_WARM = tuple(NUMBERS[symbol] for symbol in "həlˈO.")


class Optimized:
    """The hooks in which it differs from the plain variant."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """Propose the GPU, if ONNX Runtime has it, and the CPU."""
        return onnx_rungs(context)

    @hookimpl
    def probe(self, context: Context) -> str | None:
        """Say why ONNX Runtime cannot run this rung."""
        return onnx_probe(context)

    @hookimpl
    def warmup(self, context: Context, model: Kokoro) -> None:
        """Speak a word, so that memory is there.

        Raises:
            NotFinite: The graph gives numbers that are none.
        """
        style = model.voices.styles(model.voices.names[0])[len(_WARM) - 1]
        if not np.isfinite(model.network(_WARM, style, 1.0).samples).all():
            raise NotFinite(
                "its samples are not finite", who="provider 'kokoro'",
                fix="get the graph anew, or set device='cpu'",
            )  # fmt: skip
