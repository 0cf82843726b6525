"""What a row is admitted to a row loop with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.sampling import SamplingParams

__all__ = ["Admission"]


@dataclass(frozen=True, eq=False)
class Admission:
    """What a row is admitted to a row loop with; see `realtts.accel.decoder.RowLoop.admit`.

    Attributes:
        prompt: Embeddings (1, n, hidden), or with guidance (2, n, hidden), the conditional and the unconditional ones;
            without padding.
        params: Its sampling.
        seed: Of its noise.
        most: Most tokens.
        history: Tokens that the repetition penalty counts from the start.
        prefix: A cache and a length: its first slots are copied and the prompt stands behind them. Row 0 is copied to
            all rows of this one; of a cache with two rows and guidance, each to its own.
        state: The row's part of the loop's ``row_state``, by name.
        placed: Called with its place, for what the model holds of each place elsewhere. What it raises leaves the place
            free.
    """

    prompt: Tensor
    params: SamplingParams
    seed: int
    most: int
    history: Sequence[int] = ()
    prefix: tuple[KVCache, int] | None = None
    state: Mapping[str, Tensor] | None = None
    placed: Callable[[int], None] | None = None
