"""Seeds of the parts of a request, and forced lengths shared among them."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["derive_seed", "piece_seed", "shared"]


def derive_seed(seed: int, *parts: object) -> int:
    """Derive a seed for a part of a request: the same parts give the same seed on every machine."""
    digest = hashlib.blake2b(repr((seed, *parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def piece_seed(seed: int, index: int, *within: object) -> int:
    """Return the seed of one of several parts; the first gets the whole's own, so that a single part sounds undivided.

    Args:
        seed: Of the whole.
        index: Of the part, from 0.
        within: What is divided, where another division of the same whole shall have other seeds.
    """
    return seed if index == 0 else derive_seed(seed, *within, index)


def shared(total: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """Divide a number of tokens or frames among parts in proportion to their sizes, at least one to each.

    Args:
        total: Of all parts together; the result sums up to it, or to the number of parts if that is more.
        sizes: Of each, above 0.
    """
    whole, total, ends = sum(sizes), max(total, len(sizes)), [0]
    for index, end in enumerate(itertools.accumulate(sizes), start=1):
        most = total - len(sizes) + index  # leaves at least one for every later part
        ends.append(min(max(round(total * end / whole), ends[-1] + 1), most))
    return tuple(after - before for before, after in itertools.pairwise(ends))
