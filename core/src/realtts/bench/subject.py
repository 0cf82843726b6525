"""A provider's model in the calling thread, without the queue: for looking inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.contract.voice_cache import VoiceCache
from realtts.ladder.ladder import Ladder
from realtts.ladder.proposals import LadderSetup
from realtts.registry.extensions import Extensions
from realtts.settings_sources import resolve_settings
from realtts.synthesis.model_choice import resolve_checkpoint
from realtts.synthesis.plan import Ask, make_plan
from realtts.synthesis.whole import speak_now
from realtts.voices.lookup import find_voice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from realtts.bench.workload import Text, Workload
    from realtts.contract.events import Event
    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import Request
    from realtts.ladder.rung import LiveRung
    from realtts.synthesis.plan import Plan
    from realtts.synthesis.speech import Speech

__all__ = ["Subject"]


class Subject:
    """One variant's ladder, driven by the caller.

    Args:
        spec: The provider.
        settings: ``model``, a path too, and fields of `Settings`.
    """

    def __init__(self, spec: ProviderSpec, settings: Mapping[str, Any]) -> None:
        keywords = dict(settings)
        model = keywords.pop("model", None)  # may be a path, as in `RealProvider`
        layers = resolve_settings(spec.name, keywords)
        checkpoint = resolve_checkpoint(
            model if model is not None else layers.settings.model, spec, layers.settings.configuration
        )
        cache = VoiceCache(max_bytes=layers.settings.voice_cache_mb << 20)
        self.spec = spec
        self.ladder = Ladder(LadderSetup(spec, layers, checkpoint, cache, _unheard))

    def load(self) -> LiveRung:
        """Return the loaded rung.

        Raises:
            StageFailed, LadderExhausted: There is none.
        """
        return self.ladder.begin()

    def plan(self, item: Text, workload: Workload) -> Plan:
        """Check a text and split it.

        Raises:
            InputError: Something is wrong with it.
        """
        settings = self.ladder.settings
        voice = find_voice(workload.voice, reference_text=None, spec=self.spec, settings=settings)
        ask = Ask(voice, item.language, workload.seed, 1.0, workload.options)
        return make_plan(item.text, ask, spec=self.spec, settings=settings, extensions=Extensions())

    def whole(self, plans: Sequence[Plan]) -> list[Speech]:
        """Speak texts to their ends, together where the provider decodes batches."""
        return speak_now(plans, self.ladder, Extensions())

    def streamed(self, plan: Plan) -> NDArray[np.float32]:
        """Speak a text live and return its samples."""
        return speak_now([plan], self.ladder, Extensions(), live=True)[0].samples

    def apply(self, function: Callable[..., Any], plan: Plan, *arguments: Any) -> Any:
        """Call a function of the plugin's testing module for a plan's first piece."""
        request: Request = plan.pieces[0].request
        return self.load().apply(function, request, *arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ladder.unload()


def _unheard(_: Event) -> None:
    """Ignore the event."""
