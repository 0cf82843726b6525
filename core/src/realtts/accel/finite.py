"""A check for NaN and infinity that waits for the device once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from realtts.errors import NotFinite

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_finite"]


def check_finite(tensors: Any, who: str) -> None:
    """Raise if a floating-point tensor holds NaN or infinity. Waits for the device once.

    Args:
        tensors: A tensor, or dictionaries, lists and tuples of tensors; anything else in them is passed over.
        who: Provider, stage or part, for the message.

    Raises:
        NotFinite: One does; it is named by its place, such as ``['hidden'][2]``.
    """
    named = [(name, tensor) for name, tensor in _leaves(tensors, "") if tensor.is_floating_point() and tensor.numel()]
    if not named:
        return
    # One reduction per tensor and one wait for all: `item()` per tensor would stop the device each time.
    flags = [torch.isfinite(tensor).all() for _, tensor in named]
    finite = torch.stack([flag.to(flags[0].device) for flag in flags]).tolist()
    bad = [name for (name, _), good in zip(named, finite, strict=True) if not good]
    if bad:
        place = f" in {bad[0]}" if bad[0] else ""
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise NotFinite(f"NaN or infinity{place}{more}", who=who, fix="set dtype='float32' (REALTTS_DTYPE=float32)")


def _leaves(value: Any, place: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{place}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{place}[{index}]")
