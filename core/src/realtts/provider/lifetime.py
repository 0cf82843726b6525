"""A provider's life: what it is, loading, freeing, its voices and its status; everything but speaking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.provider.jobs import FunctionJob
from realtts.provider.status import build_status, state_of
from realtts.registry.voices import voices_before_load
from realtts.synthesis.preparing import list_voices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from realtts.attempt import State
    from realtts.contract.events import Event
    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import VoiceInfo
    from realtts.ladder.protocols import AnyLadder
    from realtts.provider.crossing import Crossing
    from realtts.provider.engine import Engine
    from realtts.provider.queue import Turn
    from realtts.registry.extensions import Extensions
    from realtts.settings import Settings

__all__ = ["ProviderLifetime"]


class ProviderLifetime:
    """The part of `RealProvider` that does not speak; its attributes are set there."""

    _spec: ProviderSpec
    _settings: Settings
    _extensions: Extensions
    _ladder: AnyLadder
    _engine: Engine
    _turn: Turn
    _crossing: Crossing
    _models_voices: Sequence[VoiceInfo] = ()  # of a plugin that cannot name them without the model

    @property
    def spec(self) -> ProviderSpec:
        """What the plugin says of itself."""
        return self._spec

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    def voices(self, *, load: bool = True) -> list[VoiceInfo]:
        """Return the built-in voices, and the saved ones where the provider can clone.

        Args:
            load: Load the model where the plugin cannot name its voices without. False: neither load nor wait for it;
                the built-in voices are left out then, unless an earlier call has asked the model.
        """
        from realtts.voices.lookup import saved_voices

        ladder = self._ladder
        built_in: Sequence[VoiceInfo] | None = ()
        if "voices" in self._spec.capabilities:
            built_in = voices_before_load(self._spec, ladder.checkpoint)
        if built_in is None and load:
            built_in = self._models_voices = self._turn.run(FunctionJob(lambda: list_voices(ladder)), urgent=True)
        elif built_in is None:
            built_in = self._models_voices
        return [*built_in, *(saved_voices(self._settings) if "clone" in self._spec.capabilities else ())]

    def load(self) -> Self:
        """Load the model now instead of at the first use.

        Raises:
            StageFailed: With ``strict``, the first failing rung. LadderExhausted: no rung works.
        """
        ladder = self._ladder
        self._turn.run(FunctionJob(ladder.begin), urgent=True)
        return self

    def unload(self) -> None:
        """Free the model and its memory once the requests before this call are done; the next use loads again.

        Every rung is opened again and the attempts are forgotten.
        """
        if not self._engine.closed:
            self._turn.run(FunctionJob(self._ladder.unload, after_all=True), urgent=True)
            self._crossing.forget()

    def cancel(self) -> int:
        """Cancel the running request and every waiting one; return their number.

        Their callers get what was spoken so far, with the finish reason ``"cancelled"``.
        """
        return self._engine.cancel_all() + self._crossing.cancel()

    def close(self, timeout_s: float | None = None) -> None:
        """Cancel everything, free the model and end the provider's thread. May be called again.

        Args:
            timeout_s: Longest wait for a stage that cannot be cancelled, such as a load; None: until it ends. After
                it the model is still freed, as soon as that stage is over; the worker of an isolated provider is
                killed before.
        """
        self._engine.close(timeout_s)
        self._crossing.close(timeout_s)

    @property
    def state(self) -> State:
        """``"unloaded"``, ``"loading"``, ``"ready"``, ``"generating"``, ``"failed"`` or ``"closed"``; never waits."""
        return state_of(self._ladder, self._engine)

    @property
    def rung(self) -> str | None:
        """Name of the rung that stands; None while nothing is loaded. Never waits."""
        live = self._ladder.live
        return live.facts.rung if live else None

    def get_provider_status(self) -> dict[str, Any]:
        """Return what runs, how, and why not faster, as a JSON-able dictionary. Never loads anything.

        The keys are described in the status reference.
        """
        return build_status(self._spec, self._ladder, self._engine, self._crossing.attempt)

    def add_listener(self, listener: Callable[[Event], None]) -> None:
        """Call a function with every event of this provider: stages of a load, downloads, requests.

        It is called in the thread where the event happens, so it must be quick; what it raises is logged.
        """
        self._extensions.add_listener(listener)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RealProvider({self._spec.name!r}, state={self.state!r})"
