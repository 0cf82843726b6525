"""Which kernel torch takes for a call of its scaled dot-product attention: torch's own answer, not a guess."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.attention import SDPBackend

from realtts.accel.backends import SDPA_BACKENDS

__all__ = ["AttentionCall", "selected"]

_NAMES = {
    SDPBackend.CUDNN_ATTENTION: "cudnn",
    SDPBackend.OVERRIDEABLE: "overrideable",
    **{getattr(SDPBackend, value): name for name, value in SDPA_BACKENDS.items()},
}


class AttentionCall(NamedTuple):
    """The form of a model's call of torch's attention.

    Attributes:
        rows: Sequences.
        heads: Query heads.
        kv_heads: Key and value heads; fewer than query heads where these share them (``enable_gqa``).
        queries: Positions that look.
        keys: Positions that are looked at.
        masked: Whether an explicit mask is given.
    """

    rows: int
    heads: int
    kv_heads: int
    queries: int
    keys: int
    masked: bool


def selected(device: torch.device | str, dtype: torch.dtype, head_dim: int, call: AttentionCall) -> str | None:
    """Return the kernel that torch takes for a call under the flags in force; None where this torch does not tell.

    Args:
        device: Where the attention runs.
        dtype: Type of query, key, value and mask.
        head_dim: Size of a head.
        call: Its form.

    Returns:
        ``cudnn``, ``flash``, ``efficient``, ``math`` or ``overrideable`` (another device's own).
    """
    choose_kernel = getattr(torch, "_fused_sdp_choice", None)
    if choose_kernel is None:  # pragma: no cover - torch's own name for it, which may go
        return None
    with torch.inference_mode():
        query = torch.empty(call.rows, call.heads, call.queries, head_dim, dtype=dtype, device=device)
        key = torch.empty(call.rows, call.kv_heads, call.keys, head_dim, dtype=dtype, device=device)
        mask = torch.zeros(call.rows, 1, 1, call.keys, dtype=dtype, device=device) if call.masked else None
        try:
            chosen = choose_kernel(query, key, key, mask, enable_gqa=call.heads != call.kv_heads)
        except (RuntimeError, TypeError):  # no kernel at all, or other arguments in this torch
            return None
    return next((name for backend, name in _NAMES.items() if int(backend.value) == int(chosen)), None)
