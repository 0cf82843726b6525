"""The plain variant: upstream's own classes and solver in float32, one chunk after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.contract import timing
from realtts.contract.hooks import hookimpl
from realtts.contract.stages import Cancelled
from realtts_f5.frontend import prepare
from realtts_f5.join import spoken
from realtts_f5.loading import Weights, fetch, open_checkpoint
from realtts_f5.reference import Upstream
from realtts_f5.upstream import load_upstream
from realtts_f5.voices import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import Chunk, Request, VoiceInfo
    from realtts_f5.frontend import Ask, ChunkPlan

__all__ = ["Plain", "PlainModel", "asked"]


@dataclass
class PlainModel:
    """What `load` returns.

    Attributes:
        weights: The checkpoint.
        networks: None after `unload`.
    """

    weights: Weights
    networks: Upstream | None


class Plain:
    """The hooks."""

    @hookimpl
    def load(self, context: Context) -> PlainModel:
        """Read the checkpoint and the vocoder."""
        load_upstream()  # what is missing is told before anything is downloaded
        weights = open_checkpoint(fetch(context.checkpoint, context.report))
        return PlainModel(weights, Upstream(weights, context.device))

    @hookimpl
    def generate(self, context: Context, model: PlainModel, request: Request) -> Iterator[Chunk]:
        """Speak chunk by chunk; the stretch in which one fades into the next comes with the next."""
        networks = model.networks
        assert networks is not None, "used after unload"
        ask = asked(context, model, request)
        yield from spoken(ask, lambda chunk: _sound(context, networks, ask, chunk, request))

    @hookimpl
    def voices(self, context: Context, model: PlainModel) -> Sequence[VoiceInfo]:
        """List the recordings that f5-tts brings."""
        return listed()

    @hookimpl
    def unload(self, context: Context, model: PlainModel) -> None:
        """Let go of the weights, whoever still holds the model."""
        model.networks = None


def asked(context: Context, model: PlainModel, request: Request) -> Ask:
    """Put a request in the model's terms, its voice prepared."""
    return prepare(context, model.weights, request)


def _sound(context: Context, networks: Upstream, ask: Ask, chunk: ChunkPlan, request: Request) -> NDArray[np.float32]:
    """Make the samples of a chunk, timed by stage."""
    with timing.timed(context, "flow", steps=ask.steps, dtype="float32"):
        mel = networks.mel(ask, chunk, request.cancelled)
    if request.cancelled():
        raise Cancelled
    with timing.timed(context, "vocoder", steps=1, dtype="float32"):
        return networks.samples(ask, mel)
