"""Attention over a static cache, and the taps that hand out its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.indexed import select, store
from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.places import Run

__all__ = ["Taps", "allowed_keys", "attend_prompt", "attend_prompt_grouped", "attend_runs", "attend_step"]


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
        self._made: dict[int, tuple[Tensor, Tensor]] = {}

    def of_prompt(self, rows: int, n: int, attended: int) -> Tensor:
        """Allocate the tensor for the attention of a prompt, (pairs, rows, n, attended)."""
        self.prompt = self.step.new_zeros(len(self.heads), rows, n, attended)
        return self.prompt

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

    def write_prompt(self, place: Tensor, layer: int, q: Tensor, keys: Tensor, mask: Tensor) -> None:
        """Write the attention weights of one layer's heads to a prompt.

        Args:
            place: From `of_prompt`; written to.
            layer: Which one.
            q: (rows, n, heads, head_dim), rotated.
            keys: (rows, kv_heads, attended, head_dim).
            mask: Additive, broadcast to (rows, 1, n, attended).
        """
        for pair, head, key_head in self._of(layer, q.shape[2] // keys.shape[1]):
            place[pair].copy_(_weights(q[:, :, head], keys[:, key_head], mask[:, 0]))

    def write_step(  # noqa: PLR0917 - called once per layer and step
        self, layer: int, q: Tensor, keys: Tensor, mask: Tensor, active: Tensor, rows: Tensor | None
    ) -> None:
        """Write the attention weights of one layer's heads in a step; a frozen row keeps where its last one looked.

        Args:
            layer: Which one.
            q: (n, heads, head_dim), rotated.
            keys: Of all rows of the cache, (rows, kv_heads, cap + 1, head_dim).
            mask: (n, 1, 1, attended), additive.
            active: bool (n,): rows to write.
            rows: Numbers of the rows, int64 (n,); None: all.
        """
        attended = mask.shape[-1]
        for pair, head, key_head in self._of(layer, q.shape[1] // keys.shape[1]):
            seen = select(keys[:, key_head, :attended], rows)
            weights = _weights(q[:, None, head], seen, mask[:, 0])[:, 0]  # (n, attended)
            place = self.step[pair, :, :attended]
            store(place, rows, weights.where(active[:, None], select(place, rows)))

    def queries(self, layer: int, q: Tensor) -> dict[int, Tensor]:
        """Return the queries of a layer's heads by the number of the pair, (n, head_dim) each, of q (n, heads, d)."""
        return {pair: q[:, head] for pair, (at, head) in enumerate(self.heads) if at == layer}

    def write_together(
        self, queries: Mapping[int, Tensor], cache: KVCache, attended: int, rows: Tensor, *, group: int
    ) -> None:
        """Do as `write_step` for all pairs at once, at the end of a step, in a third of the launches.

        Args:
            queries: Of every pair, from `queries`; rotated.
            cache: The keys of this position are in it, and valid.
            attended: Slots.
            rows: Numbers of the rows, int64 (n,).
            group: Query heads that share keys.
        """
        layers, heads = self._indices(group)
        active, seen = select(cache.active, rows), select(cache.valid[:, :attended], rows)
        keys = cache.stored[:, 0, ..., :attended, :][layers, rows, heads]  # (pairs, n, attended, d)
        q = torch.stack([queries[pair] for pair in range(len(self.heads))])
        scores = (q.float()[:, :, None] @ keys.float().transpose(-1, -2))[:, :, 0]  # (pairs, n, attended)
        weights = (scores * q.shape[-1] ** -0.5).masked_fill(~seen, float("-inf")).softmax(-1)
        place = self.step[..., :attended]
        # A frozen row keeps where its last position looked.
        place.index_copy_(1, rows, weights.where(active[:, None], place.index_select(1, rows)))

    def _indices(self, group: int) -> tuple[Tensor, Tensor]:
        """Return layers and key heads of the pairs, int64 (pairs, 1) each, made before anything is captured."""
        if group not in self._made:
            layers, heads = ([pair[part] for pair in self.heads] for part in (0, 1))
            device = self.step.device
            self._made[group] = (
                torch.tensor(layers, device=device)[:, None],
                torch.tensor([head // group for head in heads], device=device)[:, None],
            )
        return self._made[group]

    def _of(self, layer: int, group: int) -> list[tuple[int, int, int]]:
        """Return number, head and head of the keys of the pairs of a layer."""
        return [(pair, head, head // group) for pair, (at, head) in enumerate(self.heads) if at == layer]


def _weights(q: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
    """Return one head's attention weights, float32 (rows, n, attended)."""
    # (rows, n, d) @ (rows, d, attended) -> (rows, n, attended)
    scores = q.float() @ keys.float().transpose(-1, -2)
    weights: Tensor = (scores * q.shape[-1] ** -0.5 + mask.float()).softmax(-1)
    return weights


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


def attend_runs(q: Tensor, stored: Tensor, masks: Sequence[Tensor], runs: Sequence[Run]) -> Tensor:
    """Compute the attention of one position of some rows, each where it lies and only as far as it needs.

    Args:
        q: (n, heads, head_dim).
        stored: Keys and values of all rows, (2, rows, kv_heads, cap + 1, head_dim).
        masks: For each run as `attend_step` takes it.
        runs: The rows, in their order in ``q``.

    Returns:
        (n, heads, head_dim) in the cache's type.
    """
    parts = [
        attend_step(q[at.begin : at.begin + at.count], stored[:, at.row : at.row + at.count, :, : at.attended], mask)
        for at, mask in zip(runs, masks, strict=True)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def attend_prompt(q: Tensor, kv: Tensor, mask: Tensor) -> Tensor:
    """Compute the attention of a prompt.

    Args:
        q: (rows, n, heads, head_dim).
        kv: (2, rows, kv_heads, attended, head_dim), in the cache's type.
        mask: (rows, 1, n, attended), additive, in the cache's type.

    Returns:
        (rows, n, heads, head_dim) in the cache's type.
    """
    if q.shape[2] != kv.shape[2] and q.device.type == "cuda":
        return attend_prompt_grouped(q, kv, mask)
    heads = q.to(kv.dtype).transpose(1, 2)  # (rows, n, heads, d) -> (rows, heads, n, d)
    grouped = heads.shape[1] != kv.shape[2]
    mixed = functional.scaled_dot_product_attention(heads, kv[0], kv[1], attn_mask=mask, enable_gqa=grouped)
    return mixed.transpose(1, 2)  # (rows, heads, n, d) -> (rows, n, heads, d)


def attend_prompt_grouped(q: Tensor, kv: Tensor, mask: Tensor) -> Tensor:
    """Compute the attention of a prompt whose query heads share keys; arguments and result as of `attend_prompt`.

    With a mask and shared keys torch's CUDA kernels leave the work to ``math``, which keeps all scores in memory. So
    here the heads that share keys are further queries of one head, as they are in a step.
    """
    n, kv_heads = q.shape[1], kv.shape[2]
    # (rows, n, heads, d) -> (rows, n, kv_heads, group, d) -> (rows, kv_heads, group, n, d) -> (rows, kv_heads, -1, d)
    grouped = torch.unflatten(q.to(kv.dtype), 2, (kv_heads, -1)).permute(0, 2, 3, 1, 4)
    group = grouped.shape[2]
    mixed = functional.scaled_dot_product_attention(
        grouped.flatten(2, 3), kv[0], kv[1], attn_mask=mask.repeat(1, 1, group, 1)
    )
    # and back: (rows, kv_heads, group * n, d) -> (rows, n, heads, d)
    return torch.unflatten(mixed, 2, (group, n)).permute(0, 3, 1, 2, 4).flatten(2, 3)
