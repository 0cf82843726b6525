"""What of a text VieNeu cannot say, told before the model is loaded: without weights, torch or the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts_vieneu import losses

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint
    from realtts.contract.types import Unread

__all__ = ["unread_in"]


def unread_in(checkpoint: Checkpoint | None, text: str, language: str | None) -> tuple[Unread, ...]:  # noqa: ARG001
    """Return what sea-g2p drops, which reads for all checkpoints and recognizes both languages by itself."""
    return losses.unread_in(text)
