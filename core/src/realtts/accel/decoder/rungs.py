"""The usual rungs of a model on `realtts.accel.decoder`, and the decoder's options on each of them.

A variant that needs others writes its own; these are the ones that most speech language models want.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch

from realtts.accel.attention import AttentionCall, choose
from realtts.accel.decoder.precision import Precision
from realtts.accel.graphs.cuda_graph import CudaGraphs
from realtts.accel.kernels import native
from realtts.accel.precision import name_of
from realtts.contract.context import Rung
from realtts.machine.hardware import INT8_CPU_FEATURES, cpu_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.accel.attention import AttentionChoice
    from realtts.accel.decoder.network import Decoder
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.contract.context import Context

__all__ = [
    "attention_beside",
    "attention_of",
    "decoder_details",
    "decoder_rungs",
    "fuses",
    "graphs_of",
    "is_exact",
    "precision_of",
    "why_no_graphs",
    "why_no_native",
]

_KEYS = 128
"""Positions of the call by which torch is asked for its kernel: as many as most kernels want at a time."""

_SHORT = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def decoder_rungs(context: Context, *, beside: str | None = None) -> Sequence[Rung]:
    """List the rungs for the settings and the machine, fastest first; each names its dtype, quantization and graphs.

    Quantized weights come first when they were asked for, or by themselves on a CPU with the instructions (int8, and
    before it int4 where the precision policy is ``"fast"``), but not where the user named a dtype: that holds for the
    weights too. Then the context's dtype; then float32. On CUDA each is tried with graphs before the same without; on
    the CPU quantized weights by the kernels of realtts-native before the same by torch's.

    Args:
        context: Of the hook `rungs`.
        beside: The dtype of rungs with quantized weights, for a model with large parts that are not quantized, such as
            a flow; default: float32 on the CPU, where the decoder keeps its activations in it anyway.
    """
    on_cuda = context.device.startswith("cuda")
    cuda_graphs = context.settings.cuda_graphs
    # Beside quantized weights the CPU computes in float32: converting every activation costs more than it saves.
    usual = context.dtype if on_cuda else "float32"
    pairs = [(beside or usual, kind) for kind in _quantized(context)]
    pairs += [(context.dtype, "none"), ("float32", "none")]
    graphs = [True, False] if cuda_graphs is True or (cuda_graphs == "auto" and on_cuda) else [False]
    return [
        _rung(dtype, kind, graphs=on, native=native)
        for dtype, kind in dict.fromkeys(pairs)
        for native in _libraries(context, kind)
        for on in (graphs if not native else [False])
    ]


def precision_of(context: Context) -> Precision:
    """Return the decoder's precision for the settings of a rung."""
    kind = context.settings.quantization
    weights = _SHORT[context.dtype] if kind in {"none", "auto"} else kind
    # In float32 nothing else is: a cache in half beside quantized weights would be a precision that nobody named.
    kv = torch.float32 if context.dtype == "float32" else None
    if context.device == "cpu":
        return replace(Precision.of(weights, torch.device("cpu")), kv=kv, native=_native_of(context))
    # The residual stream does not fit float16, see `Precision.of`.
    activations = torch.float32 if context.dtype == "float16" else getattr(torch, context.dtype)
    return Precision(weights, activations, kv, fused=fuses(context))


def decoder_details(decoder: Decoder, *, graphs: bool) -> dict[str, object]:
    """Return what the status shows about a decoder.

    Args:
        decoder: The decoder.
        graphs: Whether its steps are captured.
    """
    weights = decoder.precision.weights
    return {
        "weights": weights,
        "quantization": "none" if weights in _SHORT.values() else weights,
        "kernel": decoder.kernel.name,
        "compile": decoder.compiled,
        "fused": decoder.fused is not None,
        "kv_dtype": name_of(decoder.kv_dtype),
        "cuda_graphs": graphs,
        **decoder.step_facts,
    }


def graphs_of(context: Context) -> GraphBackend | None:
    """Return the backend that captures the rung's steps, or None where they run eagerly."""
    return CudaGraphs(context.device) if context.settings.cuda_graphs is True else None


def is_exact(context: Context) -> bool:
    """Return whether only the weights can cause NaN: all in float32, nothing captured or compiled, default attention.

    Other rungs may be wrong where a kernel or a graph is, and the next one is tried.
    """
    settings = context.settings
    usual = settings.cuda_graphs is not True and settings.compile is not True and settings.attention == "auto"
    return usual and precision_of(context).is_exact


def attention_of(context: Context, decoder: Decoder) -> AttentionChoice:
    """Choose the attention for the setting and a decoder, which calls torch's with a mask.

    Raises:
        AttentionUnavailable: With ``strict``, where the one that was asked for cannot be had.
    """
    config = decoder.config
    # As `attend_step` calls it: query heads that share keys are several queries of one head.
    step = AttentionCall(1, config.kv_heads, config.kv_heads, config.heads // config.kv_heads, _KEYS, masked=True)
    return _attention(context, decoder.kv_dtype, config.head_dim, step)


def attention_beside(context: Context, dtype: torch.dtype, head_dim: int, *, graphs: bool) -> dict[str, str]:
    """Return what the status shows about a network on `realtts.accel.layers.bidirectional`: ``own``, or torch's kernel.

    Args:
        context: Of the stage.
        dtype: Of queries, keys and values.
        head_dim: Size of a head.
        graphs: Whether its work is captured, for which sequences are padded and a mask hides the padding.

    Raises:
        AttentionUnavailable: With ``strict``, where the one that was asked for cannot be had.
    """
    if context.settings.attention == "auto" and context.device == "cpu" and not graphs:
        return {"attention": "own"}
    return _attention(context, dtype, head_dim, AttentionCall(2, 8, 8, _KEYS, _KEYS, masked=graphs)).details()


def _attention(context: Context, dtype: torch.dtype, head_dim: int, call: AttentionCall) -> AttentionChoice:
    setting, fallback = context.settings.attention, not context.settings.strict
    return choose(setting, context.device, dtype, head_dim, masked=call.masked, fallback=fallback, own=(), call=call)


def why_no_graphs(context: Context) -> str | None:
    """Say, for `probe`, why the rung's graphs are not available here; None if they are."""
    if context.settings.cuda_graphs is True and not context.device.startswith("cuda"):
        return "CUDA graphs need a CUDA device: set cuda_graphs=False (REALTTS_CUDA_GRAPHS=false)"
    return None


def fuses(context: Context) -> bool:
    """Whether what is between products should run by `realtts.accel.fused`.

    On CUDA, below float32, whose promise is the rounding of the reference, or where it was asked for.

    Not where weights move: what is captured or measured on them would not be what runs.
    """
    settings = context.settings
    wanted = settings.compile is True or (settings.compile == "auto" and context.dtype != "float32")
    return wanted and context.device.startswith("cuda") and not settings.cpu_offload


def why_no_native(context: Context) -> str | None:
    """Say, for `probe`, why the kernels of the rung's realtts-native are not available here; None if they are."""
    return native.why_unusable() if _native_of(context) else None


def _native_of(context: Context) -> bool | Literal["auto"]:
    """Return whether the rung is one of realtts-native; ``"auto"``: only where that is faster."""
    # A rung that does not say so is torch's, whatever the setting: a plugin may propose rungs of its own.
    named = context.rung is not None and bool(context.rung.settings.get("native"))
    return context.settings.native if named else False


def _libraries(context: Context, quantization: str) -> tuple[bool | Literal["auto"] | None, ...]:
    """Return the values of the setting ``native`` to propose rungs with; None: it says nothing about them."""
    wanted = context.settings.native
    if quantization not in native.KINDS or context.device != "cpu":
        return (None,)
    if wanted == "auto" and context.settings.strict:
        # What is strict never steps down: not from what is not installed, nor from what is measured to be slower.
        wanted = native.usable()
    return (wanted, False) if wanted else (False,)


def _quantized(context: Context) -> tuple[str, ...]:
    """Return the kinds of quantized weights to propose, fastest first."""
    settings = context.settings
    if settings.quantization != "auto":
        return () if settings.quantization == "none" else (settings.quantization,)
    # A precision that the user named holds for the weights too.
    if settings.dtype != "auto" or context.device != "cpu" or not cpu_features() & INT8_CPU_FEATURES:
        return ()
    return ("int4", "int8") if settings.precision_policy == "fast" else ("int8",)


def _rung(dtype: str, quantization: str, *, graphs: bool, native: bool | Literal["auto"] | None) -> Rung:
    name = _SHORT[dtype] if quantization == "none" else f"native-{quantization}" if native else quantization
    settings: dict[str, object] = {"dtype": dtype, "quantization": quantization, "cuda_graphs": graphs}
    if native is not None:
        settings["native"] = native
    return Rung(f"{name}+cuda_graphs" if graphs else name, settings)
