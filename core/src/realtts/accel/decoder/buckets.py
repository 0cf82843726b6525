"""The attended lengths for which a step is captured."""

from __future__ import annotations

from dataclasses import dataclass

from realtts.errors import DecoderError

__all__ = ["Buckets"]


@dataclass(frozen=True)
class Buckets:
    """Attended lengths, in steps of a fixed size unless others are given.

    A step reads the cache up to the end of its bucket. Small buckets read less that is not needed, large ones need
    fewer graphs.

    Attributes:
        cap: Slots of the cache, the last bucket.
        size: Slots of a bucket.
        lengths: The ends of the buckets, smallest first, where they are not steps of a fixed size; see `growing`.
    """

    cap: int
    size: int = 64
    lengths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.cap < 1 or self.size < 1:
            raise DecoderError(f"buckets of {self.size} up to {self.cap}", who="decoder", fix="give positive numbers")
        if self.lengths and self.lengths[-1] != self.cap:
            raise DecoderError(f"buckets {self.lengths} up to {self.cap}", who="decoder", fix="end them with the cap")

    @classmethod
    def growing(cls, cap: int, most: int, *, first: int = 128, size: int = 64) -> Buckets:
        """Make few buckets, each larger than the one before by about the same factor.

        Args:
            cap: Slots of the cache, the last bucket.
            most: Most buckets, at least 1.
            first: About the first one.
            size: All but the last are multiples of this.
        """
        factor = (cap / first) ** (1 / (most - 1)) if most > 1 and cap > first else 1.0
        ends = {size * max(1, round(first * factor**n / size)) for n in range(most - 1)} if factor > 1 else set()
        return cls(cap, size, (*sorted(end for end in ends if end < cap), cap))

    def holding(self, filled: int) -> int:
        """Return the smallest bucket that holds so many slots.

        Raises:
            ValueError: More slots than the cap.
        """
        if filled > self.cap:
            raise ValueError(f"{filled} slots, but the cache has {self.cap}")
        if self.lengths:
            return next(end for end in self.lengths if end >= filled)
        return min(self.cap, -(-max(filled, 1) // self.size) * self.size)

    def up_to(self, filled: int) -> list[int]:
        """List the buckets up to the one that holds so many slots, smallest first; all, if none holds them."""
        last = self.holding(min(filled, self.cap))
        return [bucket for bucket in self.all() if bucket <= last]

    def all(self) -> list[int]:
        """List every bucket, smallest first."""
        if self.lengths:
            return list(self.lengths)
        return sorted({self.holding(n) for n in range(1, self.cap + 1, self.size)} | {self.cap})
