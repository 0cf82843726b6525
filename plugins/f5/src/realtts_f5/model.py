"""What the optimized variant holds, and what a request wants of it: networks are read anew for another type."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from realtts.accel.compile import compiled
from realtts.accel.offload.sharing import Turns
from realtts.accel.precision import name_of
from realtts.accel.rungs import attention_beside, graphs_of
from realtts.contract.events import Event
from realtts_f5.frontend import prepare
from realtts_f5.network import Network
from realtts_f5.sizes import HEAD_SIZE
from realtts_f5.solver_graphs import Graphs

if TYPE_CHECKING:
    from realtts.accel.voices.disk_cache import DiskVoiceCache
    from realtts.contract.context import Context
    from realtts.contract.types import Request
    from realtts_f5.frontend import Ask
    from realtts_f5.loading import Weights
    from realtts_f5.vocoder import Vocoder

__all__ = ["OptimizedModel", "asked", "network_for", "read_network"]


@dataclass
class OptimizedModel:
    """What `load` returns.

    Attributes:
        weights: The checkpoint.
        voices: Prepared recordings, in memory and on disk.
        network: From noise to mel; None before `convert_precision` and after `unload`.
        vocoder: From mel to samples; None as `network`.
        graphs: Of the network's steps; None where they run eagerly.
        turns: Who of ``flow`` and ``vocoder`` has the device.
    """

    weights: Weights
    voices: DiskVoiceCache
    network: Network | None = None
    vocoder: Vocoder | None = None
    graphs: Graphs | None = None
    turns: Turns = field(default_factory=Turns)


def asked(context: Context, model: OptimizedModel, request: Request) -> Ask:
    """A request in the model's terms, its voice prepared."""
    return prepare(context, model.weights, request, cache=model.voices)


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
    wanted, fused = context.settings.compile is True, context.settings.attention != "auto"
    model.network = Network.from_state_dict(
        model.weights.architecture,
        model.weights.model_state,
        device=torch.device(context.device),
        dtype=dtype,
        fused=fused,
        compiler=functools.partial(compiled, mode="default", fallback=True) if wanted else None,
        who=f"file {model.weights.model_file!r}",
    )
    model.turns.add("flow", model.network)
    backend = graphs_of(context)
    model.graphs = None if backend is None else Graphs(model.network, backend=backend)
    graphs = backend is not None
    attention = attention_beside(context, dtype, HEAD_SIZE, graphs=graphs)
    found = {**attention, "cuda_graphs": graphs, "dtype": name_of(dtype)}
    context.report(Event("optimization.details", data={**found, **model.turns.details}))
