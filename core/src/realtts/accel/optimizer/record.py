"""What was done to a model, and what was given up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["GivenUp", "Record"]


@dataclass(frozen=True)
class GivenUp:
    """A step that was not taken.

    Attributes:
        model: The model's name.
        step: ``precision``, ``flash_attention_2``, ``attention``, ``compile`` or ``cuda_graphs``.
        reason: Why.
        fix: What to do about it, or which switch makes it quiet.
    """

    model: str
    step: str
    reason: str
    fix: str

    def as_dict(self) -> dict[str, str]:
        """JSON-able."""
        return {"model": self.model, "step": self.step, "reason": self.reason, "fix": self.fix}


@dataclass
class Record:
    """One model's history.

    Attributes:
        model: Its name.
        steps: Step -> JSON-able details.
        given_up: Steps not taken.
    """

    model: str
    steps: dict[str, Any] = field(default_factory=dict)
    given_up: list[GivenUp] = field(default_factory=list)

    def give_up(self, step: str, reason: str, fix: str) -> None:
        """Note a step that was not taken; a later reason for the same step replaces it."""
        self.take_back(step)
        self.given_up.append(GivenUp(self.model, step, reason, fix))

    def take_back(self, step: str) -> None:
        """Forget that a step was given up."""
        self.given_up = [earlier for earlier in self.given_up if earlier.step != step]
