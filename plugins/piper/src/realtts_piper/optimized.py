"""The optimized variant: on the GPU where there is one, the vocoder window by window, warm before the first request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from realtts.contract.events import Event
from realtts.contract.hooks import hookimpl
from realtts.errors import NotFinite
from realtts.kit.onnx import onnx_probe, onnx_rungs
from realtts_piper.network import Scales
from realtts_piper.plain import Piper, load_piper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.context import Context, Rung

__all__ = ["Optimized"]

_SYMBOLS = (8, 64)
"""Lengths of the phrases that warm it up: one window, and several."""


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
    def load(self, context: Context) -> Piper:
        """Read and check the voice's files, and open its graph in parts. Raises as `Plain.load`."""
        return load_piper(context, windows=True)

    @hookimpl
    def warmup(self, context: Context, model: Piper) -> None:
        """Fit the windows to the vocoder, and speak some symbols, so that buffers have their sizes.

        Raises:
            NotFinite: The graph gives numbers that are none.
            AccelError: Its configuration has another hop_length than the graph.
        """
        numbers = [number for group in model.voice.phoneme_id_map.values() for number in group]
        scales = Scales(model.voice.inference.noise_scale, model.voice.inference.length_scale, 0.0)
        symbols = (numbers * (max(_SYMBOLS) // len(numbers) + 1))[: max(_SYMBOLS)]
        model.network.fit_windows(symbols, scales)
        context.report(Event("optimization.details", data={"windows": model.network.windowed}))
        for count in _SYMBOLS:
            ids = symbols[:count]
            sound = model.network(ids, scales, None, np.random.default_rng(0), soon=True)
            if not all(np.isfinite(block).all() for block in sound.blocks):
                raise NotFinite(
                    "its samples are not finite", who="provider 'piper'",
                    fix="get the voice's files anew, or set device='cpu'",
                )  # fmt: skip
