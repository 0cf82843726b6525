"""Real contexts and requests for tests that call hooks or parts of a plugin by themselves."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from realtts.contract.context import Context, Rung
from realtts.contract.continuous import Arrival
from realtts.contract.spec import ProviderSpec
from realtts.contract.types import Request
from realtts.contract.voice_cache import VoiceCache
from realtts.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.contract.continuous import Arrivals
    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint

__all__ = ["make_arrivals", "make_context", "make_request"]


def make_context(
    spec: ProviderSpec | None = None,
    *,
    variant: str = "optimized",
    device: str = "cpu",
    dtype: str = "float32",
    rung: Rung | None = None,
    checkpoint: Checkpoint | None = None,
    report: Callable[[Event], None] = lambda event: None,
    **settings: Any,
) -> Context:
    """Make a context as the ladder makes it for a rung.

    Args:
        spec: The provider; default: a spec that no installed provider has.
        variant: ``"optimized"`` or ``"plain"``.
        device: Such as ``"cpu"`` or ``"cuda:0"``; it need not exist.
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        rung: Default: one named after the variant that changes nothing.
        checkpoint: What to load.
        report: Receives every event.
        **settings: Fields of `realtts.Settings`.

    Raises:
        SettingsError: A setting is unknown or wrong.
    """
    spec = spec or ProviderSpec(name="sample", summary="For tests", sample_rates=(24_000,), plain="sample:Plain")
    return Context(
        spec=spec,
        settings=Settings(**settings),
        variant=variant,
        device=device,
        dtype=dtype,
        rung=rung or Rung(variant),
        checkpoint=checkpoint,
        voice_cache=VoiceCache(),
        log=logging.getLogger(f"realtts.{spec.name}"),
        report=report,
    )


def make_request(text: str = "Hello there.", **fields: Any) -> Request:
    """Make a request.

    Args:
        text: What to say.
        **fields: Further fields of `realtts.Request`, such as ``voice``, ``language``, ``seed`` and ``options``.

    Raises:
        TypeError: A request has no such field.
    """
    return Request(text, **fields)


class _Listed:
    """Arrivals that are there from the beginning."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._waiting = [Arrival(number, request) for number, request in enumerate(requests)]

    def take(self, most: int, fits: Callable[[Arrival], bool] | None = None) -> list[Arrival]:
        """Return the first ones that fit."""
        taken = [each for each in self._waiting if fits is None or fits(each)][: max(0, most)]
        self._waiting = [each for each in self._waiting if each not in taken]
        return taken


def make_arrivals(requests: Sequence[Request]) -> Arrivals:
    """Make the arrivals that `generate_continuous` takes rows from: requests that have come, numbered from 0."""
    return _Listed(requests)
