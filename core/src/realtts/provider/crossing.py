"""Crossing over: the providers of the setting ``fallback``, who speak when one has no rung left."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from realtts.attempt import Attempt
from realtts.errors import RealTTSError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.contract.spec import ProviderSpec
    from realtts.errors import LadderExhausted
    from realtts.settings import Layers, Settings
    from realtts.synthesis.plan import Ask
    from realtts.synthesis.speech import Speech

__all__ = ["Crossing", "named_precision"]

T = TypeVar("T")

_PRECISION = ("dtype", "quantization", "precision_policy", "tf32", "matmul_precision")


class Other(Protocol):
    """A `RealProvider`, as far as crossing over goes."""

    def generate_batch(self, texts: Sequence[str], **arguments: Any) -> list[Speech]:
        """Speak several texts."""

    def stream(self, text: Any, **arguments: Any) -> Any:
        """Speak a text, chunk by chunk."""

    def unload(self) -> None:
        """Free the model."""

    def cancel(self) -> int:
        """Cancel all requests."""

    def close(self, timeout_s: float | None = None) -> None:
        """End for good."""


class Crossing:
    """Who speaks instead of a provider that has no rung left.

    Args:
        spec: The provider.
        settings: Its settings.
        make: Makes the provider of a name.

    Raises:
        PluginError: One of the providers is unknown or broken.
    """

    def __init__(self, spec: ProviderSpec, settings: Settings, make: Callable[[str], Other]) -> None:
        self._own = spec.name
        self._names = [name for name in dict.fromkeys(settings.fallback) if name != spec.name]
        self._strict = settings.strict
        self._lock = threading.Lock()
        self._providers: dict[str, Other] = {}
        self.attempt: Attempt | None = None
        for name in self._names:
            try:
                self._providers[name] = make(name)
            except RealTTSError as error:
                error.who = f"fallback {name!r}, {error.who}"
                raise

    def allows(self, ask: Ask) -> bool:
        """Tell whether another provider may speak: not with a voice or options, which are this provider's own."""
        return bool(self._names) and not self._strict and ask.voice is None and not ask.options

    def over(self, error: LadderExhausted, ask: Ask, act: Callable[[Other], T]) -> tuple[T, str]:
        """Let the first provider act that can; return what it returns, with the warning that says so.

        Args:
            error: Why the provider itself cannot.
            ask: The arguments of the call.
            act: Speaks with a provider.

        Raises:
            LadderExhausted: ``error``, where none may or can; its fix says why not.
        """
        failures = []
        for name in self._names if self.allows(ask) else ():
            provider = self._providers[name]
            try:
                result = act(provider)
            except RealTTSError as failure:
                failures.append(f"{name}: {failure.what}")
                continue
            warning = f"{name} spoke instead of {self._own}, which has no rung left: {error.attempts[-1].reason()}"
            with self._lock:
                self.attempt = _attempt(self._own, name, error)
            return result, warning
        if failures:
            error.fix = f"{error.fix}; no fallback could speak either ({'; '.join(failures)})"
        raise error

    def speak(self, error: LadderExhausted, ask: Ask, texts: Sequence[str], seed: int, priority: Any) -> list[Speech]:
        """Speak whole texts with another provider. Raises as `over`."""
        speeches, warning = self.over(
            error, ask, lambda other: other.generate_batch(texts, priority=priority, **arguments(ask, seed))
        )
        return [replace(speech, warnings=(warning, *speech.warnings)) for speech in speeches]

    def forget(self) -> None:
        """Unload the other providers and forget that they spoke."""
        with self._lock:
            self.attempt = None
        for provider in self._providers.values():
            provider.unload()

    def cancel(self) -> int:
        """Cancel what the other providers speak for this one; return the number of requests."""
        return sum(provider.cancel() for provider in self._providers.values())

    def close(self, timeout_s: float | None) -> None:
        """Close the other providers."""
        for provider in self._providers.values():
            provider.close(timeout_s)


def named_precision(layers: Layers) -> dict[str, Any]:
    """Return the settings of precision that the program itself has named: they hold for whoever speaks instead.

    Those of the environment and of a file the other provider reads by itself, with what they say of it.
    """
    return {
        name: getattr(layers.settings, name)
        for name in _PRECISION
        if layers.sources.get(name, "").startswith(("keyword", "settings"))
    }


def arguments(ask: Ask, seed: int) -> dict[str, Any]:
    """Return the arguments of a call that hold for every provider."""
    return {
        "language": ask.language,
        "speed": ask.speed,
        "normalize": ask.normalize,
        "check_words": ask.check_words,
        "timestamps": ask.timestamps,
        "seed": seed,
    }


def _attempt(own: str, other: str, error: LadderExhausted) -> Attempt:
    last = error.attempts[-1]
    return Attempt(
        rung=last.rung,
        variant=last.variant,
        stage="fallback",
        exception=f"{type(error).__module__}.{type(error).__qualname__}",
        message=f"no rung of {own} works; {other} spoke instead",
        traceback="",
        remedy=last.remedy,
        seconds=0.0,
        retryable=last.retryable,
    )
