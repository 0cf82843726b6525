"""The attended lengths for which a step is captured."""

from __future__ import annotations

from dataclasses import dataclass

from realtts.errors import DecoderError

__all__ = ["Buckets"]


@dataclass(frozen=True)
class Buckets:
    """Attended lengths in steps of a fixed size.

    A step reads the cache up to the end of its bucket. Small buckets read less that is not needed, large ones need
    fewer graphs.

    Attributes:
        cap: Slots of the cache, the last bucket.
        size: Slots of a bucket.
    """

    cap: int
    size: int = 64

    def __post_init__(self) -> None:
        if self.cap < 1 or self.size < 1:
            raise DecoderError(f"buckets of {self.size} up to {self.cap}", who="decoder", fix="give positive numbers")

    def holding(self, filled: int) -> int:
        """Return the smallest bucket that holds so many slots.

        Raises:
            ValueError: More slots than the cap.
        """
        if filled > self.cap:
            raise ValueError(f"{filled} slots, but the cache has {self.cap}")
        return min(self.cap, -(-max(filled, 1) // self.size) * self.size)

    def up_to(self, filled: int) -> list[int]:
        """List the buckets up to the one that holds so many slots, smallest first; all, if none holds them."""
        last = self.holding(min(filled, self.cap))
        return [bucket for bucket in self.all() if bucket <= last]

    def all(self) -> list[int]:
        """List every bucket, smallest first."""
        return sorted({self.holding(n) for n in range(1, self.cap + 1, self.size)} | {self.cap})
