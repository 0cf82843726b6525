"""Seeds of the parts of a request, and forced lengths shared among them."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["derive_seed", "piece_seed", "shared"]


def derive_seed(seed: int, *parts: object) -> int:
    """A seed for a part of a request: the same parts give the same seed on every machine."""
    digest = hashlib.blake2b(repr((seed, *parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def piece_seed(seed: int, index: int, *within: object) -> int:
    """The seed of one of several parts: the first has the whole's own, so that one alone is spoken as if undivided.

    Args:
        seed: Of the whole.
        index: Of the part, from 0.
        within: What is divided, where another division of the same whole shall have other seeds.
    """
    return seed if index == 0 else derive_seed(seed, *within, index)


def shared(total: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """A number of tokens or frames among parts by their sizes: together as many, but at least one each.

    Args:
        total: Of all parts.
        sizes: Of each, above 0.
    """
    whole, total, places = sum(sizes), max(total, len(sizes)), [0]
    for index, end in enumerate(itertools.accumulate(sizes), start=1):
        most = total - len(sizes) + index  # so that every part behind it has one, too
        places.append(min(max(round(total * end / whole), places[-1] + 1), most))
    return tuple(after - before for before, after in itertools.pairwise(places))
