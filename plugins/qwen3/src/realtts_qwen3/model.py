"""The model of the optimized variant, and requests with their voices encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts_qwen3.frontend import prepare, utterance_of
from realtts_qwen3.ported import PortedEncoders
from realtts_qwen3.voices import prompt_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.accel.voices.disk_cache import DiskVoiceCache
    from realtts.contract.context import Context
    from realtts.contract.types import Request
    from realtts_qwen3.codec import CodecDecoder
    from realtts_qwen3.engine import Engine
    from realtts_qwen3.frontend import Ask
    from realtts_qwen3.loading import Weights
    from realtts_qwen3.prompt import Prompts
    from realtts_qwen3.utterance import Utterance

__all__ = ["OptimizedModel", "asked"]


@dataclass
class OptimizedModel:
    """What `load` returns; each of the later stages adds a part, and `unload` drops them.

    Attributes:
        weights: The checkpoint.
        voices: Prompts and decoder states of recordings, in memory and on disk.
        prompts: The talker's embeddings, of `load`.
        codec: The codec's decoder, cast by `convert_precision`.
        engine: All networks, packed by `compile`.
    """

    weights: Weights
    voices: DiskVoiceCache
    prompts: Prompts | None = None
    codec: CodecDecoder | None = None
    engine: Engine | None = None


def asked(context: Context, model: OptimizedModel, request: Request) -> tuple[Ask, Utterance]:
    """Return a request in the model's terms, and as the talker takes it, with its voice encoded."""
    ask, prompt = prepare(context, model.weights, request), None
    if ask.voice is not None:
        identity = model.weights.identity
        prompt = prompt_of(context, ask.voice, _Encoders(context, model), weights=identity, cache=model.voices)
    return ask, utterance_of(ask, prompt)


class _Encoders:
    """The checkpoint's encoders, read when a recording is new and dropped after it: few requests need them."""

    def __init__(self, context: Context, model: OptimizedModel) -> None:
        self._context, self._model = context, model
        self._encoders: PortedEncoders | None = None

    def embedding(self, wave: NDArray[np.float32]) -> Tensor:
        """Compute what `PortedEncoders.embedding` does."""
        return self._read().embedding(wave)

    def codes(self, wave: NDArray[np.float32]) -> Tensor:
        """Compute what `PortedEncoders.codes` does."""
        return self._read().codes(wave)

    def _read(self) -> PortedEncoders:
        if self._encoders is None:
            assert self._model.engine is not None, "used after unload"
            self._model.engine.turns.clear()  # with offloading they have the device to themselves
            self._encoders = PortedEncoders(self._model.weights, self._context.device)
        return self._encoders
