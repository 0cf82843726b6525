"""Attention over a static cache, and the taps that hand out its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.config import DecoderConfig

__all__ = ["Taps", "allowed_keys", "attend_prompt", "attend_step"]


class Taps:
    """Attention weights of chosen heads, in fixed tensors on the device, so that a captured step can use them.

    Args:
        heads: Pairs of layer and query head.
        rows: Rows of the decoder.
        cap: Slots of its cache.
        device: Where it lies.

    Attributes:
        step: float32 (pairs, rows, cap): where each row's latest position looked; 0 beyond the attended slots.
        prompt: After a prefill with taps, float32 (pairs, rows, n, attended).
    """

    def __init__(
        self, heads: Sequence[tuple[int, int]], *, rows: int, cap: int, device: torch.device | str = "cpu"
    ) -> None:
        self.heads = tuple(heads)
        self.step = torch.zeros(len(self.heads), rows, cap, device=device)
        self.prompt: Tensor | None = None

    def of_prompt(self, rows: int, n: int, attended: int) -> Tensor:
        """Allocate the tensor for the attention of a prompt, (pairs, rows, n, attended)."""
        self.prompt = self.step.new_zeros(len(self.heads), rows, n, attended)
        return self.prompt

    def of_step(self, attended: int) -> Tensor:
        """Return the view for the attention of a step, (pairs, rows, 1, attended)."""
        return self.step[:, :, None, :attended]

    def check(self, config: DecoderConfig, cache: KVCache) -> None:
        """Check that the decoder has the heads, and that rows, slots and device are the cache's.

        Raises:
            DecoderError: No such layer or head, or other rows, slots or device than the cache's.
        """
        for layer, head in self.heads:
            if layer not in range(config.layers) or head not in range(config.heads):
                raise DecoderError(
                    f"tap on layer {layer}, head {head}",
                    who="decoder",
                    fix=f"there are {config.layers} layers of {config.heads} heads",
                )
        if tuple(self.step.shape[1:]) != (cache.rows, cache.cap) or self.step.device != cache.slots.device:
            raise DecoderError(
                f"taps for {tuple(self.step.shape[1:])} on {self.step.device}",
                who="decoder",
                fix=f"give rows={cache.rows}, cap={cache.cap}, device={str(cache.slots.device)!r}",
            )

    def write(
        self, place: Tensor, layer: int, q: Tensor, keys: Tensor, mask: Tensor, *, active: Tensor | None = None
    ) -> None:
        """Write the attention weights of one layer's heads.

        Args:
            place: From `of_prompt` or `of_step`; written to.
            layer: Which one.
            q: (rows, n, heads, head_dim), rotated.
            keys: (rows, kv_heads, attended, head_dim).
            mask: Additive, broadcast to (rows, 1, n, attended).
            active: bool (rows,): rows to write; None: all. A frozen row keeps where its last step looked.
        """
        group = q.shape[2] // keys.shape[1]
        for pair, (at, head) in enumerate(self.heads):
            if at == layer:
                # (rows, n, d) @ (rows, d, attended) -> (rows, n, attended)
                scores = q[:, :, head].float() @ keys[:, head // group].float().transpose(-1, -2)
                weights = (scores * q.shape[-1] ** -0.5 + mask[:, 0].float()).softmax(-1)
                place[pair].copy_(weights if active is None else weights.where(active[:, None, None], place[pair]))


def allowed_keys(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """Make an additive mask, once per step for all layers: 0 where allowed, else minus infinity."""
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill_(~allowed, float("-inf"))


def attend_step(q: Tensor, kv: Tensor, mask: Tensor) -> Tensor:
    """Compute the attention of one position per row.

    Args:
        q: (rows, heads, head_dim).
        kv: (2, rows, kv_heads, attended, head_dim), in the cache's type.
        mask: (rows, 1, 1, attended), additive, in the cache's type.

    Returns:
        (rows, heads, head_dim) in the cache's type.
    """
    # Query heads that share keys become several queries of one head: no key is repeated, and one mask serves them all.
    # (rows, heads, d) -> (rows, kv_heads, heads / kv_heads, d)
    grouped = torch.unflatten(q.to(kv.dtype), 1, (kv.shape[2], -1))
    # (rows, kv_heads, heads / kv_heads, d) -> (rows, heads, d)
    return functional.scaled_dot_product_attention(grouped, kv[0], kv[1], attn_mask=mask).flatten(1, 2)


def attend_prompt(q: Tensor, kv: Tensor, mask: Tensor) -> Tensor:
    """Compute the attention of a prompt.

    Args:
        q: (rows, n, heads, head_dim).
        kv: (2, rows, kv_heads, attended, head_dim), in the cache's type.
        mask: (rows, 1, n, attended), additive, in the cache's type.

    Returns:
        (rows, n, heads, head_dim) in the cache's type.
    """
    heads = q.to(kv.dtype).transpose(1, 2)  # (rows, n, heads, d) -> (rows, heads, n, d)
    grouped = heads.shape[1] != kv.shape[2]
    mixed = functional.scaled_dot_product_attention(heads, kv[0], kv[1], attn_mask=mask, enable_gqa=grouped)
    return mixed.transpose(1, 2)  # (rows, heads, n, d) -> (rows, n, heads, d)
