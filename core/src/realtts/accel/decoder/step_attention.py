"""Attention of one position per row over a cache where it lies, each row as far as it is filled.

torch's own call (`realtts.accel.decoder.attend.attend_step`) needs a mask, which keeps it from the flash kernel, and
with graphs a copy of the keys that it looks at. A kernel that takes the number of each row's keys needs neither. Such a
kernel is a `StepAttention`; `proven_step_attention` gives a loop the first one that computes what torch's call does.
Not run on a GPU yet. Switch: the setting ``attention="math"`` (``REALTTS_ATTENTION=math``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from realtts.accel.decoder.attend import allowed_keys, attend_step
from realtts.accel.decoder.cache import KVCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

    from realtts.accel.decoder.config import DecoderConfig

    Attend = Callable[[Tensor, Tensor], Tensor]
    """Of queries (n, heads, head_dim) and a layer of the cache (2, rows, kv_heads, cap + 1, head_dim), in the cache's
    type; returns (n, heads, head_dim)."""

__all__ = ["FlashSteps", "GatheredSteps", "StepAttention", "proven_step_attention"]

_TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 5e-3}
"""Greatest difference from torch's call, of values about 1, by the cache's type."""


class StepAttention(Protocol):
    """Attends to keys of a cache where they lie. What it does on the device may be captured."""

    def begin(self, cache: KVCache, rows: Tensor, lengths: Tensor, attended: int) -> Attend:
        """Prepare what all layers of a step share.

        Args:
            cache: Whose layers are attended to.
            rows: Rows of the cache, int64 (n,), in the order of the queries; one may come twice.
            lengths: How many first slots of each row are looked at, int64 (n,), at least 1; all of them are filled.
            attended: No row looks farther; for graphs.
        """


class GatheredSteps:
    """What every `StepAttention` computes, by torch's call on copies of the rows: what others are compared with."""

    def begin(self, cache: KVCache, rows: Tensor, lengths: Tensor, attended: int) -> Attend:
        """As `StepAttention.begin`."""
        seen = torch.arange(attended, device=rows.device) < lengths[:, None]
        mask = allowed_keys(seen, cache.dtype)[:, None, None]  # (n, attended) -> (n, 1, 1, attended)
        return lambda q, stored: attend_step(q, stored[..., :attended, :].index_select(1, rows), mask)


class FlashSteps:
    """Flash attention of rows of different lengths, `torch.nn.attention.varlen`, for half precision on CUDA."""

    def begin(self, cache: KVCache, rows: Tensor, lengths: Tensor, attended: int) -> Attend:
        """As `StepAttention.begin`."""
        from torch.nn.attention.varlen import varlen_attn

        n = len(rows)
        queries = torch.arange(n + 1, dtype=torch.int32, device=rows.device)
        used = lengths.to(torch.int32)
        begins: Tensor | None = None

        def attend(q: Tensor, stored: Tensor) -> Tensor:
            nonlocal begins
            keys, values = (_as_tokens(part) for part in stored)
            if begins is None:  # in slots from the first row's first one, the same in all layers; the last is not read
                begins = torch.nn.functional.pad(rows * (stored.shape[2] * stored.shape[3]), (0, 1)).to(torch.int32)
            shared = q.shape[1] != stored.shape[2]
            mixed = varlen_attn(
                q.to(cache.dtype).contiguous(), keys, values, queries, begins, 1, attended,
                enable_gqa=shared, seqused_k=used,
            )  # fmt: skip
            assert isinstance(mixed, torch.Tensor)
            return mixed

        return attend


def _as_tokens(part: Tensor) -> Tensor:
    """View keys or values, (rows, kv_heads, slots, head_dim), as tokens one behind the other, without a copy.

    Returns:
        (tokens, kv_heads, head_dim): slot s of row r is token r * kv_heads * slots + s; what lies between the rows'
        tokens are slots of the other heads, which nobody asks for.
    """
    rows, heads, slots, width = part.shape
    tokens = (rows - 1) * heads * slots + slots
    return part.as_strided((tokens, heads, width), (width, slots * width, 1), part.storage_offset())


def proven_step_attention(
    config: DecoderConfig,
    dtype: torch.dtype,
    device: torch.device,
    candidates: Iterable[StepAttention] | None = None,
) -> StepAttention | None:
    """Return the first candidate that computes on this device what torch's call does; None: none does.

    Args:
        config: Of the decoder.
        dtype: Of its cache.
        device: Where it runs.
        candidates: The fastest first; None: flash attention on CUDA.
    """
    if candidates is None:
        candidates = (FlashSteps(),) if device.type == "cuda" else ()
    if not torch.backends.cuda.flash_sdp_enabled():  # such as with attention="math"
        return None
    return next((each for each in candidates if _agrees(each, config, dtype, device)), None)


@torch.inference_mode()
def _agrees(attention: StepAttention, config: DecoderConfig, dtype: torch.dtype, device: torch.device) -> bool:
    """Compare with torch's call: rows out of order, one twice, of one key and of many."""
    generator = torch.Generator().manual_seed(0)
    cache = KVCache(config, 4, 130, dtype=dtype, device=device)
    stored = cache.layer(0)
    stored.copy_(torch.randn(stored.shape, generator=generator))
    q = torch.randn(4, config.heads, config.head_dim, generator=generator).to(device, dtype)
    rows = torch.arange(3, -1, -1, device=device)
    rows[1] = 3
    lengths = torch.arange(4, device=device) * 41 + 1  # 1, 42, 83, 124
    try:
        found = attention.begin(cache, rows, lengths, 128)(q, stored)
    except (RuntimeError, TypeError, ImportError, AttributeError, NotImplementedError):
        return False
    expected = GatheredSteps().begin(cache, rows, lengths, 128)(q, stored)
    return bool((found.float() - expected.float()).abs().max() <= _TOLERANCES.get(dtype, 0.0))
