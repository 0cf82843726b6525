"""The plain variant: upstream's own classes and solver in float32, one chunk after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts import stages
from realtts.hookspecs import hookimpl
from realtts_f5.frontend import prepare
from realtts_f5.join import spoken
from realtts_f5.loading import Parts, fetch, read_parts
from realtts_f5.noise import chunk_noise
from realtts_f5.reference import sample
from realtts_f5.solver import Cancelled
from realtts_f5.upstream import load_upstream
from realtts_f5.voices import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.context import Context
    from realtts.speech import Chunk, Request, VoiceInfo
    from realtts_f5.frontend import Ask, ChunkPlan

__all__ = ["Plain", "PlainModel", "ask_of", "mel_of", "sound_of"]


@dataclass
class PlainModel:
    """What `load` returns.

    Attributes:
        parts: Upstream's networks; None after `unload`.
    """

    parts: Parts | None


class Plain:
    """The hooks."""

    @hookimpl
    def load(self, context: Context) -> PlainModel:
        """Read the checkpoint and the vocoder."""
        load_upstream()
        return PlainModel(read_parts(fetch(context.checkpoint, context.report), context.device))

    @hookimpl
    def generate(self, context: Context, model: PlainModel, request: Request) -> Iterator[Chunk]:
        """Chunk by chunk; the stretch in which one fades into the next comes with the next."""
        assert model.parts is not None, "used after unload"
        ask = ask_of(context, model.parts, request)
        yield from spoken(ask, lambda chunk: _spoken(context, model, ask, chunk, request))

    @hookimpl
    def voices(self, context: Context, model: PlainModel) -> Sequence[VoiceInfo]:
        """The recordings that f5-tts brings."""
        return listed()

    @hookimpl
    def unload(self, context: Context, model: PlainModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        model.parts = None


def ask_of(context: Context, parts: Parts, request: Request) -> Ask:
    """The request in the model's terms."""
    return prepare(context, parts.vocabulary, request)


def mel_of(context: Context, parts: Parts, ask: Ask, chunk: ChunkPlan, cancelled: Callable[[], bool]) -> Tensor:
    """Upstream's mel spectrogram of a chunk, shape (frames, 100), the recording's part included.

    Raises:
        Cancelled: The request was cancelled.
    """
    with stages.timed(context, "flow", steps=ask.steps, dtype="float32"):
        return sample(parts.cfm, ask, chunk, chunk_noise(ask.seed, chunk.index, chunk.frames), cancelled)


@torch.inference_mode()
def sound_of(context: Context, parts: Parts, ask: Ask, mel: Tensor) -> NDArray[np.float32]:
    """Upstream's sound of a mel spectrogram, float32 of shape (n,), without the recording's part.

    Args:
        context: Of the stage.
        parts: The networks.
        ask: Of the request.
        mel: From `mel_of`.
    """
    with stages.timed(context, "vocoder", steps=1, dtype="float32"):
        wave = parts.vocos.decode(mel[ask.reference.hops :].float().T[None])
        samples: NDArray[np.float32] = (wave[0] * ask.reference.gain).cpu().numpy()
    return samples


def _spoken(context: Context, model: PlainModel, ask: Ask, chunk: ChunkPlan, request: Request) -> NDArray[np.float32]:
    assert model.parts is not None, "used after unload"
    mel = mel_of(context, model.parts, ask, chunk, request.cancelled)
    if request.cancelled():
        raise Cancelled
    return sound_of(context, model.parts, ask, mel)
