"""Which kernels of scaled dot-product attention work here, and the preference for one of them.

Whether a kernel works depends on device, type, head size and mask, and on how torch was built: the answer is a tiny
call, made once. The explicit reasons are kept, for the status. Which of them torch takes for a call is torch's own
answer (`selected`), so that the status names the kernel that runs.

cuDNN's kernel, which torch 2.11 and later puts first on Hopper and Blackwell, is never chosen: it builds a plan for
each new shape, which takes 0.4 s, and speech has a new length at every request. `realtts.accel.backends.torch_flags`
forbids it; the setting ``sdpa``, which leaves the choice to torch, allows it.

Switch: the setting ``attention`` (``REALTTS_ATTENTION``): ``sdpa`` leaves the choice to torch, ``math`` is the plain
computation.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import warnings
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from realtts.accel.backends import FLAGS_LOCK, SDPA_BACKENDS, ordered
from realtts.accel.sdpa import AttentionCall, selected
from realtts.errors import AttentionUnavailable, SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["AttentionCall", "AttentionChoice", "best", "choose", "kernels", "prefer", "selected"]

_BACKENDS = {name: getattr(SDPBackend, value) for name, value in SDPA_BACKENDS.items()}

_NOT_OWN = {
    "flash_attention_2": "the model calls torch's attention alone, not the package flash_attn",
    "eager": "the model calls torch's attention alone, whose kernel math is the same computation",
}

_CUDNN = (
    "it builds a plan for each new shape, which takes 0.4 s: attention='sdpa' (REALTTS_ATTENTION=sdpa) leaves the"
    " choice to torch, which may take it"
)

_ASKED = ("auto", "flash_attention_2", "flash", "efficient", "math", "sdpa", "eager")


@dataclass(frozen=True)
class AttentionChoice:
    """What was asked for and what is taken.

    Attributes:
        asked: The setting.
        chosen: ``flash``, ``efficient`` or ``math`` (kernels of torch), ``flash_attention_2`` (the package
            ``flash_attn``, which a model calls by itself), ``sdpa`` (torch chooses) or ``eager`` (the model's own
            matrix products).
        unavailable: Kernel -> why it does not work here, or why the model cannot take it.
        runs: The kernel that torch takes for the model's own call, where that is known: another one than the chosen
            where the call has something that the trial had not, such as heads that share keys.
    """

    asked: str
    chosen: str
    unavailable: Mapping[str, str] = field(default_factory=dict)
    runs: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, for the status."""
        known = {} if self.runs is None else {"runs": self.runs}
        return {"asked": self.asked, "chosen": self.chosen, **known, "unavailable": dict(self.unavailable)}

    def details(self) -> dict[str, str]:
        """Return what the status shows.

        Returns:
            ``attention``: the kernel that runs, or ``sdpa`` where the choice was left to torch; ``attention_kernel``:
            what torch takes, where that is known; ``no_attention``: why it is not the one that was asked for.
        """
        shown = {} if self.runs is None else {"attention_kernel": self.runs}
        if self.asked in self.unavailable and self.chosen != self.asked:
            shown["no_attention"] = f"{self.asked}: {self.unavailable[self.asked]}"
        elif self.runs not in {None, self.chosen} and self.chosen != "sdpa":
            shown["no_attention"] = f"{self.chosen}: torch does not take it for the model's own call"
        return {"attention": self.chosen if self.chosen == "sdpa" else self.runs or self.chosen, **shown}


def kernels(
    device: torch.device | str, dtype: torch.dtype, head_dim: int, *, masked: bool = False
) -> dict[str, str | None]:
    """Return for each kernel None if it works, else the reason why not. The first call tries them, later ones are free.

    On CUDA ``cudnn`` is among them, with the reason why it is not taken.

    Args:
        device: Where the attention runs.
        dtype: Type of query, key and value.
        head_dim: Size of a head.
        masked: Whether an explicit mask of shape (rows, 1, queries, keys) is given, as a KV cache needs.
    """
    place = torch.device(device)
    if place == torch.device("cuda"):
        place = torch.device("cuda", torch.cuda.current_device())
    return dict(_tried(place, dtype, head_dim, masked))


def best(device: torch.device | str, dtype: torch.dtype, head_dim: int, *, masked: bool = False) -> str:
    """Return the fastest of torch's kernels that works: ``flash``, ``efficient`` or ``math``."""
    reasons = kernels(device, dtype, head_dim, masked=masked)
    return next((name for name in _BACKENDS if reasons[name] is None), "math")


def choose(
    asked: str,
    device: torch.device | str,
    dtype: torch.dtype,
    head_dim: int,
    *,
    masked: bool = False,
    fallback: bool = True,
    own: Collection[str] = ("flash_attention_2", "eager"),
    call: AttentionCall | None = None,
) -> AttentionChoice:
    """Choose the attention for the setting ``attention``.

    Args:
        asked: The setting.
        device: As in `kernels`, like the next three.
        dtype: Type of query, key and value.
        head_dim: Size of a head.
        masked: Whether an explicit mask is given.
        fallback: Take the best that works if the one asked for does not; False raises.
        own: Those of ``flash_attention_2`` and ``eager`` that the model has code for. Instead of the latter it gets
            ``math``, which is the same computation.
        call: The model's own call, to learn which kernel it gets.

    Raises:
        AttentionUnavailable: It does not work here and no other is allowed.
        SettingsError: No such attention.
    """
    if asked not in _ASKED:
        raise SettingsError(f"attention is {asked!r}", who="attention", fix=f"choose from {', '.join(_ASKED)}")
    reasons = {name: reason for name, reason in _NOT_OWN.items() if name not in own}
    tried = kernels(device, dtype, head_dim, masked=masked)
    reasons |= {name: reason for name, reason in tried.items() if reason is not None}
    unavailable = MappingProxyType(reasons)
    if asked == "eager" and asked in unavailable:
        return _with_runs(AttentionChoice(asked, "math", unavailable), device, dtype, head_dim, call)
    if asked in unavailable and not fallback:
        raise AttentionUnavailable(
            f"{asked} does not work on {device} in {str(dtype).removeprefix('torch.')} with heads of {head_dim}"
            f"{' and a mask' if masked else ''}: {unavailable[asked]}",
            who="attention",
            fix="set attention='sdpa' (REALTTS_ATTENTION=sdpa)",
        )
    chosen = best(device, dtype, head_dim, masked=masked) if asked == "auto" or asked in unavailable else asked
    return _with_runs(AttentionChoice(asked, chosen, unavailable), device, dtype, head_dim, call)


def _with_runs(
    choice: AttentionChoice, device: torch.device | str, dtype: torch.dtype, head_dim: int, call: AttentionCall | None
) -> AttentionChoice:
    """Add what torch takes for the model's call with the chosen kernel first."""
    if call is None or choice.chosen in {"flash_attention_2", "eager"}:
        return choice
    with ordered(choice.chosen):
        return replace(choice, runs=selected(device, dtype, head_dim, call))


@contextlib.contextmanager
def prefer(
    asked: str,
    device: torch.device | str,
    dtype: torch.dtype,
    head_dim: int,
    *,
    masked: bool = False,
    fallback: bool = True,
) -> Iterator[AttentionChoice]:
    """Run the body with the chosen kernel first in the order in which torch tries them.

    The others stay allowed, in their order, because a call of another shape may need them; only ``math`` allows no
    other. The order is global to the process, therefore the lock of `torch_flags` is held: never ``yield`` to a
    caller inside. ``sdpa``, ``eager`` and ``flash_attention_2`` change nothing: torch or the model chooses.

    Args:
        asked: As in `choose`, like all others.
        device: Where the attention runs.
        dtype: Type of query, key and value.
        head_dim: Size of a head.
        masked: Whether an explicit mask is given.
        fallback: Whether another kernel may be taken.

    Raises:
        AttentionUnavailable: It does not work here and no other is allowed.
        SettingsError: No such attention.
    """
    choice = choose(asked, device, dtype, head_dim, masked=masked, fallback=fallback)
    with ordered(choice.chosen):
        yield choice


@functools.cache
def _tried(device: torch.device, dtype: torch.dtype, head_dim: int, masked: bool) -> Mapping[str, str | None]:
    reasons = {name: _try_kernel(backend, device, dtype, head_dim, masked) for name, backend in _BACKENDS.items()}
    reasons["flash_attention_2"] = _try_package(device, dtype, head_dim, masked)
    if device.type == "cuda":
        reasons["cudnn"] = _CUDNN
    return MappingProxyType(reasons)


def _try_kernel(
    backend: SDPBackend, device: torch.device, dtype: torch.dtype, head_dim: int, masked: bool
) -> str | None:
    """Try a kernel; return None, or why it cannot run, which torch tells by warnings."""
    with FLAGS_LOCK, warnings.catch_warnings(record=True) as caught, torch.inference_mode():
        warnings.simplefilter("always")
        # Constants: a probe must not advance the caller's random generator.
        query = torch.full((1, 2, 16, head_dim), 0.1, dtype=dtype, device=device)
        mask = torch.zeros((1, 1, 16, 16), dtype=dtype, device=device) if masked else None
        try:
            with sdpa_kernel(backend):
                torch.nn.functional.scaled_dot_product_attention(query, query, query, attn_mask=mask)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)  # a kernel that cannot run says so when it runs
        except Exception as error:
            if device.type == "cpu" and backend is SDPBackend.EFFICIENT_ATTENTION:
                return "torch has this kernel for CUDA only"  # its own message speaks of something else
            reasons = [str(warning.message).partition(" (Triggered")[0].strip() for warning in caught]
            return "; ".join(dict.fromkeys(reasons)) or str(error).partition("\n")[0]
    return None


def _try_package(device: torch.device, dtype: torch.dtype, head_dim: int, masked: bool) -> str | None:
    """Try the package flash_attn; return None, or why it cannot run. Its CUDA path has not been run on a GPU yet."""
    if device.type != "cuda":
        return f"the package flash_attn needs a CUDA device, not {device.type}"
    if importlib.util.find_spec("flash_attn") is None:
        return "the package flash_attn is not installed"
    if masked:
        return "the package flash_attn takes no explicit mask"
    try:
        flash_attn_func = importlib.import_module("flash_attn").flash_attn_func
        with torch.inference_mode():
            query = torch.full((1, 16, 2, head_dim), 0.1, dtype=dtype, device=device)
            flash_attn_func(query, query, query)
            torch.cuda.synchronize(device)
    except Exception as error:
        return str(error).partition("\n")[0] or type(error).__name__
    return None
