"""What the optimized variant holds, and whose voice a request is spoken in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts_qwen3.frontend import prepare, utterance_of
from realtts_qwen3.own import OwnEncoders
from realtts_qwen3.voices import prompt_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.accel.voices.disk_cache import DiskVoiceCache
    from realtts.contract.context import Context
    from realtts.contract.types import Request
    from realtts_qwen3.engine import Engine
    from realtts_qwen3.frontend import Ask
    from realtts_qwen3.loading import Weights
    from realtts_qwen3.utterance import Utterance

__all__ = ["OptimizedModel", "asked"]


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


def asked(context: Context, model: OptimizedModel, request: Request) -> tuple[Ask, Utterance]:
    """A request in the model's terms, its voice encoded."""
    ask, prompt = prepare(context, model.weights, request), None
    if ask.voice is not None:
        weights = model.weights.identity
        prompt = prompt_of(context, ask.voice, _Encoders(context, model), weights=weights, cache=model.voices)
    return ask, utterance_of(ask, prompt)


class _Encoders:
    """Those of the checkpoint, read when a recording is new and let go of behind it."""

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
