"""The networks of the optimized variant: read when they are converted, and anew where a request wants another type."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from realtts.accel.attention import choose
from realtts.accel.compile import compiled
from realtts.accel.finite import check_finite
from realtts.accel.precision import name_of
from realtts.accel.rungs import graphs_of
from realtts.accel.turns import Turns
from realtts.errors import CheckpointCorrupt, NotFinite
from realtts.events import Event
from realtts_f5.loading import read_model_state
from realtts_f5.network import Network
from realtts_f5.sizes import HEAD_SIZE
from realtts_f5.solver_graphs import Graphs

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.voice_cache import DiskVoiceCache
    from realtts.context import Context
    from realtts_f5.files import Files
    from realtts_f5.frontend import Ask
    from realtts_f5.text import Vocabulary
    from realtts_f5.vocoder import Vocoder

__all__ = ["OptimizedModel", "check_output", "network_for", "read_network"]


@dataclass
class OptimizedModel:
    """What `load` returns.

    Attributes:
        files: Of the checkpoint.
        vocabulary: Symbols to ids.
        voices: Prepared recordings, in memory and on disk.
        network: From noise to mel; None before `convert_precision` and after `unload`.
        vocoder: From mel to samples; None as `network`.
        graphs: Of the network's steps; None where they run eagerly.
        turns: Who of ``flow`` and ``vocoder`` has the device.
    """

    files: Files
    vocabulary: Vocabulary
    voices: DiskVoiceCache
    network: Network | None = None
    vocoder: Vocoder | None = None
    graphs: Graphs | None = None
    turns: Turns = field(default_factory=Turns)


def network_for(context: Context, model: OptimizedModel, ask: Ask) -> Network:
    """The network, read anew if the request wants float32 and it is not, or the other way round.

    Raises:
        CheckpointError: The file has become unreadable meanwhile; the next request tries again.
    """
    assert model.vocoder is not None, "used after unload"
    dtype: torch.dtype = getattr(torch, context.dtype) if ask.half else torch.float32
    if model.network is None or model.network.dtype != dtype:
        model.network = model.graphs = None  # never two of them in memory
        model.turns.drop("flow")
        read_network(context, model, dtype)
    assert model.network is not None
    return model.network


def read_network(context: Context, model: OptimizedModel, dtype: torch.dtype) -> None:
    """Put the network of a type and its graphs into the model, and tell the status.

    Args:
        context: Of the stage.
        model: Without a network.
        dtype: Of the blocks.

    Raises:
        CheckpointError: The file cannot be read, or is another architecture's.
        AttentionUnavailable: With ``strict``, where the kernel that was asked for cannot be had.
    """
    state, _ = read_model_state(model.files)
    wanted, fused = context.settings.compile is True, context.settings.attention != "auto"
    model.network = Network.from_state_dict(
        model.files.architecture,
        state,
        device=torch.device(context.device),
        dtype=dtype,
        fused=fused,
        compiler=functools.partial(compiled, mode="default", fallback=True) if wanted else None,
        who=f"file {model.files.weights.name!r}",
    )
    model.turns.add("flow", model.network)
    backend = graphs_of(context)
    model.graphs = None if backend is None else Graphs(model.network, backend=backend)
    found = {**_attention(context, dtype), "cuda_graphs": backend is not None, "dtype": name_of(dtype)}
    context.report(Event("optimization.details", data={**found, **model.turns.details}))


def _attention(context: Context, dtype: torch.dtype) -> dict[str, str]:
    """Which kernel runs, for the status: two products and an exponential of our own, or which of torch's."""
    settings = context.settings
    if settings.attention == "auto" and context.device == "cpu":
        return {"attention": "own"}
    masked = graphs_of(context) is not None
    found = choose(
        settings.attention, context.device, dtype, HEAD_SIZE, masked=masked, fallback=not settings.strict, own=()
    )
    return found.details()


def check_output(model: OptimizedModel, tensor: Tensor, dtype: torch.dtype) -> None:
    """Raise if what was computed is not finite.

    Raises:
        NotFinite: In half precision, where float32 may help.
        CheckpointCorrupt: In float32, where only the weights can be the reason.
    """
    try:
        check_finite(tensor, "f5")
    except NotFinite as error:
        if dtype != torch.float32:
            raise
        raise CheckpointCorrupt(
            "with its weights the speech is NaN or infinite, in float32 too",
            who=f"file {model.files.weights.name!r}", fix="fetch it again from the model's source, or use another",
        ) from error  # fmt: skip
