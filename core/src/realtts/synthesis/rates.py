"""The sample rate of a speech in which nothing was said."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.ladder.protocols import AnyLadder

__all__ = ["remember_rate", "usual_rate"]

_HEARD: WeakKeyDictionary[AnyLadder, int] = WeakKeyDictionary()


def remember_rate(ladder: AnyLadder, rate: int) -> None:
    """Note the rate in Hz at which a model speaks."""
    _HEARD[ladder] = rate


def usual_rate(ladder: AnyLadder) -> int:
    """Return a model's rate in Hz: as it spoke last, as its checkpoint says, or the provider's first."""
    return _HEARD.get(ladder) or _of_checkpoint(ladder.checkpoint, ladder.spec) or ladder.spec.sample_rates[0]


def _of_checkpoint(checkpoint: Checkpoint | None, spec: ProviderSpec) -> int | None:
    if checkpoint is None or checkpoint.sample_rate is not None:
        return None if checkpoint is None else checkpoint.sample_rate
    published = {each.name: each for each in spec.checkpoints}.get(checkpoint.configuration)
    return None if published is None else published.sample_rate
