"""What a worker may take before it is ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from realtts.settings import Settings

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """What a worker may take.

    Attributes:
        request_s: Seconds of work on one request, 0: any.
        silence_s: Seconds without a sign, 0: any.
        memory: Resident bytes, 0: any.
    """

    request_s: float
    silence_s: float
    memory: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits of the settings."""
        return cls(settings.worker_deadline_s, settings.worker_silence_s, settings.worker_memory_mb << 20)
