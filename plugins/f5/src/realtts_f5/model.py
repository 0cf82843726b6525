"""What the optimized variant holds, and what a request wants of it: the network is read anew for another type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from realtts.accel import fused
from realtts.accel.compile import CompiledCallable, compiled
from realtts.accel.decoder.rungs import attention_beside, fuses, graphs_of
from realtts.accel.layers.flow_rungs import attention_kernel, uses_w8a8
from realtts.accel.offload.sharing import DeviceSharing
from realtts.accel.precision import name_of
from realtts.contract.events import Event
from realtts_f5.frontend import prepare
from realtts_f5.network import Network
from realtts_f5.sizes import HEAD_SIZE
from realtts_f5.solver_graphs import LONGEST_FRAMES, Graphs

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from realtts.accel.voices.disk_cache import DiskVoiceCache
    from realtts.contract.context import Context
    from realtts.contract.types import Request
    from realtts_f5.frontend import Ask
    from realtts_f5.loading import Weights
    from realtts_f5.vocoder import Vocoder

__all__ = [
    "OptimizedModel",
    "asked",
    "convert_network",
    "lowers_precision",
    "network_for",
    "open_network",
    "pack_network",
    "report_compiled",
]


@dataclass
class OptimizedModel:
    """What `load` returns, and later stages complete.

    Attributes:
        weights: The checkpoint.
        voices: Prepared recordings, in memory and on disk.
        network: From noise to mel: its float32 parts after `load`, able to compute after `convert_precision`, packed
            after `compile`; None after `unload`.
        vocoder: From mel to samples; None after `unload`.
        graphs: Of the network's steps, from `compile` on; None where they run eagerly.
        pieces: The network's compiled functions, from `compile` on; none where nothing is compiled.
        turns: Who of ``flow`` and ``vocoder`` has the device.
    """

    weights: Weights
    voices: DiskVoiceCache
    network: Network | None = None
    vocoder: Vocoder | None = None
    graphs: Graphs | None = None
    pieces: list[CompiledCallable] = field(default_factory=list)
    turns: DeviceSharing = field(default_factory=DeviceSharing)


def asked(context: Context, model: OptimizedModel, request: Request) -> Ask:
    """Put a request in the model's terms, its voice prepared."""
    return prepare(context, model.weights, request, cache=model.voices)


def open_network(context: Context, model: OptimizedModel) -> Network:
    """Read the part of the network that is float32 on every rung.

    Raises:
        CheckpointError: The file cannot be read, or is another architecture's.
    """
    return Network(
        model.weights.architecture,
        model.weights.model_state,
        device=torch.device(context.device),
        who=f"file {model.weights.model_file!r}",
    )


def convert_network(context: Context, model: OptimizedModel, network: Network, *, half: bool = True) -> None:
    """Read the rest of the network, in the rung's precision.

    Args:
        context: Of the rung.
        model: Of the rung.
        network: From `open_network`.
        half: Whether less than float32 is allowed.

    Raises:
        CheckpointError: The file cannot be read, or is another architecture's.
        QuantizationUnavailable: A weight cannot be rounded.
    """
    dtype, rounded = _precision(context, half=half)
    heads, graphs = network.architecture.heads, graphs_of(context) is not None
    kernel = attention_kernel(context, dtype, heads, HEAD_SIZE, w8a8=rounded, graphs=graphs)
    network.convert(model.weights.model_state, dtype, rounded=rounded, attention=kernel)


def pack_network(context: Context, model: OptimizedModel, network: Network) -> None:
    """Pack a converted network, put it and its graphs into the model, and report how it computes.

    Raises:
        AttentionUnavailable: With ``strict``, where the kernel that was asked for cannot be had.
        CaptureFailed: The step cannot be captured.
    """
    model.pieces = []
    # A request that asks for float32 asks for the rounding of the reference.
    wanted = fuses(context) and (network.dtype != torch.float32 or context.settings.compile is True)
    lacking = fused.why_not(context.device, network.dtype) if wanted else None
    joined = wanted and lacking is None
    compiles = context.settings.compile is True and not joined
    network.pack(_compiler(model.pieces) if compiles else None, joined=joined)
    model.network = network
    model.turns.add("flow", network)
    backend = graphs_of(context)
    if backend is not None:
        model.graphs = Graphs(network, backend=backend)
        model.graphs.capture_all(LONGEST_FRAMES, rows=2)
    _report_network(context, model, network, lacking)


def network_for(context: Context, model: OptimizedModel, ask: Ask) -> Network:
    """Return the network, read anew if the request wants float32 and it is not, or the other way round.

    Raises:
        CheckpointError: The file has become unreadable meanwhile; the next request tries again.
    """
    assert model.vocoder is not None, "used after unload"
    there = None if model.network is None else (model.network.dtype, model.network.rounded)
    if there != _precision(context, half=ask.half):
        model.network = model.graphs = None  # never two of them in memory
        model.turns.drop("flow")
        network = open_network(context, model)
        convert_network(context, model, network, half=ask.half)
        pack_network(context, model, network)
    assert model.network is not None
    return model.network


def lowers_precision(context: Context) -> bool:
    """Whether the rung computes in less than float32 where a request allows it."""
    return _precision(context, half=True) != _precision(context, half=False)


def report_compiled(context: Context, model: OptimizedModel) -> None:
    """Tell the status whether compiled code ran: compilation happens in a function's first call, and may give up."""
    context.report(Event("optimization.details", data=_compiled_details(model)))


def _precision(context: Context, *, half: bool) -> tuple[torch.dtype, bool]:
    """Return the type of the blocks, and whether their products have int8 weights and activations."""
    return (getattr(torch, context.dtype), uses_w8a8(context)) if half else (torch.float32, False)


def _compiler(pieces: list[CompiledCallable]) -> Callable[[Callable[..., Any]], CompiledCallable]:
    """Return what makes the compiled form of a function, and notes it."""

    def make(function: Callable[..., Any]) -> CompiledCallable:
        pieces.append(compiled(function, mode="default", fallback=True))
        return pieces[-1]

    return make


def _compiled_details(model: OptimizedModel) -> dict[str, object]:
    """Return whether every piece runs compiled, and why not if one has given up."""
    ran = bool(model.pieces) and all(piece.reason is None and piece.graphs for piece in model.pieces)
    reasons = [piece.reason for piece in model.pieces if piece.reason is not None]
    return {"compile": ran, **({"no_compile": reasons[0]} if reasons else {})}


def _report_network(context: Context, model: OptimizedModel, network: Network, lacking: str | None) -> None:
    """Tell the status how the network computes, and why it is not fused where that was wanted."""
    graphs = model.graphs is not None
    details = {
        **attention_beside(context, network.dtype, HEAD_SIZE, graphs=graphs),
        **({"attention": network.attention} if network.attention.startswith("native") else {}),
        **_compiled_details(model),
        **model.turns.details,
        "cuda_graphs": graphs,
        "fused": network.joined,
        **({} if lacking is None else {"no_fused": lacking}),
        "dtype": name_of(network.dtype),
        "quantization": "w8a8" if network.rounded else "none",
    }
    context.report(Event("optimization.details", data=details))
