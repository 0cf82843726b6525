"""What the optimized variant holds, and whose voice a request is spoken in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts_qwen3.own import OwnEncoders
from realtts_qwen3.voices import prompt_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.accel.voice_cache import DiskVoiceCache
    from realtts.context import Context
    from realtts_qwen3.engine import Engine
    from realtts_qwen3.frontend import Ask
    from realtts_qwen3.loading import Weights
    from realtts_qwen3.voices import VoicePrompt

__all__ = ["OptimizedModel", "prompts_of"]


@dataclass
class OptimizedModel:
    """What `load` returns.

    Attributes:
        weights: The checkpoint.
        voices: Prompts and decoder states of recordings, in memory and on disk.
        engine: Speaks; None before `convert_precision` and after `unload`.
    """

    weights: Weights
    voices: DiskVoiceCache
    engine: Engine | None = None


def prompts_of(context: Context, model: OptimizedModel, asks: Sequence[Ask]) -> list[VoicePrompt | None]:
    """The prompts of the requests' voices; None of those without one.

    The networks that make them are read when a voice is unknown, and are let go of afterwards.
    """
    encoders, weights = _Encoders(context, model), model.weights.identity
    return [
        None if ask.voice is None else prompt_of(context, ask.voice, encoders, weights=weights, cache=model.voices)
        for ask in asks
    ]


class _Encoders:
    """Those of the checkpoint, read when they are first asked for."""

    def __init__(self, context: Context, model: OptimizedModel) -> None:
        self._context, self._model = context, model
        self._own: OwnEncoders | None = None

    def embedding(self, wave: NDArray[np.float32]) -> Tensor:
        """As `OwnEncoders.embedding`."""
        return self._read().embedding(wave)

    def codes(self, wave: NDArray[np.float32]) -> Tensor:
        """As `OwnEncoders.codes`."""
        return self._read().codes(wave)

    def _read(self) -> OwnEncoders:
        if self._own is None:
            assert self._model.engine is not None
            self._model.engine.turns.clear()
            self._own = OwnEncoders(self._model.weights, self._context.device)
        return self._own
