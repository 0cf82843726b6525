"""Rungs that were given up, and the states of a provider, as `get_provider_status()` reports them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Attempt", "State"]

State = Literal["unloaded", "loading", "ready", "generating", "failed", "closed"]


@dataclass(frozen=True)
class Attempt:
    """A rung that was given up.

    Attributes:
        rung: The rung's name.
        variant: ``"optimized"`` or ``"plain"``.
        stage: ``"rungs"``, ``"probe"``, ``"load"``, ``"convert_precision"``, ``"compile"``, ``"warmup"``,
            ``"generate"``, ``"close"`` (of the iterator, the audio was complete), ``"voices"``, or ``"fallback"``: no
            rung was left, and a provider of the setting ``fallback`` spoke instead.
        exception: Type of the exception, with its module when it is not a builtin; ``"Unavailable"`` for a probe.
        message: The exception's message.
        traceback: The formatted traceback, empty for a probe.
        remedy: One sentence that says what to do about it.
        seconds: Time spent on the rung until it was given up.
        retryable: True when the same rung may work later without any change, as after an out-of-memory error, or when
            the plain variant could not speak one text: it is tried again after an idle unload, and by the next request
            when no rung is left. An explicit `unload()` forgets all attempts.
        origin: Where the plugin's own code failed, as `realtts.exception_text.origin_of` gives it; empty for the
            typed errors of realtts, which say by themselves what is wrong.
    """

    rung: str
    variant: str
    stage: str
    exception: str
    message: str
    traceback: str
    remedy: str
    seconds: float
    retryable: bool
    origin: str = ""

    def reason(self) -> str:
        """Return exception, message and origin, in one clause without a full stop."""
        where = f" (at {self.origin})" if self.origin else ""
        return f"{self.exception}: {self.message.rstrip('.')}{where}"

    def summary(self) -> str:
        """Return what failed, in one clause without a full stop."""
        return f"rung {self.rung!r} ({self.variant}) failed at {self.stage}: {self.reason()}"

    def repeats(self, other: Attempt) -> bool:
        """Tell whether it is the same failure as another: of the same rung, at the same stage."""
        return (self.rung, self.variant, self.stage) == (other.rung, other.variant, other.stage)

    def as_dict(self) -> dict[str, Any]:
        """Return the attempt as a JSON-able dictionary."""
        return asdict(self)
