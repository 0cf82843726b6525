"""The kinds of work that a provider's engine does, beside streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.provider.engine import Job
from realtts.synthesis.session import speak_whole, unspoken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.ladder.protocols import AnyLadder
    from realtts.registry.extensions import Extensions
    from realtts.synthesis.plan import Plan
    from realtts.synthesis.speech import Speech

__all__ = ["FunctionJob", "SpeechJob"]


class FunctionJob(Job):
    """A function that the engine's thread calls: loading, unloading, listing voices."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__()
        self._function = function

    def work(self) -> Any:
        """Call the function."""
        return self._function()

    def cancel(self) -> None:
        """Do nothing: housekeeping is short and is not cancelled."""


class SpeechJob(Job):
    """Texts to be spoken to their ends; the result is a list of speeches.

    Args:
        plans: What to say.
        ladder: Who says it.
        extensions: Who sees the audio.
    """

    speaks = True

    def __init__(self, plans: Sequence[Plan], ladder: AnyLadder, extensions: Extensions) -> None:
        super().__init__()
        self._plans = plans
        self._ladder = ladder
        self._extensions = extensions

    def work(self) -> list[Speech]:
        """Speak the texts."""
        return speak_whole(self._plans, self._ladder, self._extensions, self.queued_s)

    def cancel(self) -> None:
        """Tell the provider to stop; the result is what was spoken until then."""
        for plan in self._plans:
            plan.cancelled.set()

    def withdrawn(self) -> list[Speech]:
        """Return speeches without audio, finished as cancelled."""
        return unspoken(self._plans, self._ladder, self.queued_s)
