"""Faults put into any provider: the same classes, with one stage that fails."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from realtts.contract.hooks import hookimpl
from realtts.contract.types import Chunk
from realtts.registry.variants import import_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from realtts.contract.context import Context
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import Request

__all__ = ["InjectedFault", "faulty", "interrupted"]

_numbers = itertools.count()


class InjectedFault(RuntimeError):
    """The error of a stage that was told to fail."""


def faulty(
    spec: ProviderSpec,
    stage: str,
    *,
    variant: str = "optimized",
    error: BaseException | None = None,
    after: int = 0,
) -> ProviderSpec:
    """Return the provider with one stage of one variant that raises.

    A provider without an optimized variant gets one that has nothing but the failing stage, so that every stage's
    fallback can be tested with any provider.

    Args:
        spec: The provider.
        stage: A stage of `realtts.contract.hooks.STAGES`.
        variant: ``"optimized"`` or ``"plain"``.
        error: What to raise; default `InjectedFault`.
        after: For ``generate``, and the hooks for several requests with it: chunks of the real implementation
            before the failure.
    """
    path = getattr(spec, variant)
    base: type = import_object(path) if path is not None else object
    raised = error or InjectedFault(f"{stage} was told to fail")
    real = getattr(base, stage, None) or getattr(import_object(spec.plain), stage, None)
    function = _failing_generate(raised, after, real) if stage == "generate" else _failing(stage, raised)
    name = f"Faulty{next(_numbers)}"
    members = {stage: hookimpl(function)}
    if stage == "generate":
        # A variant takes the hooks that it lacks from the plain one: these would speak in place of the failing one.
        for hook, failing in (("generate_batch", _failing_batch), ("generate_continuous", _failing_continuous)):
            whole = getattr(base, hook, None) or getattr(import_object(spec.plain), hook, None)
            if whole is not None:
                members[hook] = hookimpl(failing(raised, after, whole))
    globals()[name] = type(name, (base,), members)
    made = f"{__name__}:{name}"
    return replace(spec, optimized=made) if variant == "optimized" else replace(spec, plain=made)


def interrupted(spec: ProviderSpec, heard: list[Chunk]) -> ProviderSpec:
    """Return the provider whose requests are cancelled after their first chunk, unknown to the core.

    The core leaves a cancelled request at its next chunk whatever the provider does; this shows what the provider
    itself does.

    Args:
        spec: The provider.
        heard: Receives the chunks that come after the cancellation.
    """

    def wrap(real: Callable[..., Iterator[Chunk]]) -> Callable[..., Any]:
        def generate(self: Any, context: Context, model: Any, request: Request) -> Iterator[Chunk]:
            first = threading.Event()
            for chunk in real(self, context, model, replace(request, cancelled=first.is_set)):
                if first.is_set():
                    heard.append(chunk)
                else:
                    first.set()
                    yield chunk

        return generate

    for variant in ("optimized", "plain"):
        path = getattr(spec, variant)
        cls = import_object(path) if path is not None else None
        if cls is not None and hasattr(cls, "generate"):
            name = f"Interrupted{next(_numbers)}"
            globals()[name] = type(name, (cls,), {"generate": hookimpl(wrap(cls.generate))})
            made = f"{__name__}:{name}"
            spec = replace(spec, optimized=made) if variant == "optimized" else replace(spec, plain=made)
    return spec


def _failing(stage: str, error: BaseException) -> Callable[..., Any]:
    def load(self: Any, context: Context) -> Any:
        raise error

    def later(self: Any, context: Context, model: Any) -> None:
        raise error

    return load if stage == "load" else later


def _failing_generate(error: BaseException, after: int, real: Callable[..., Iterator[Chunk]] | None) -> Any:
    def generate(self: Any, context: Context, model: Any, request: Request) -> Iterator[Chunk]:
        if after and real is not None:
            yield from itertools.islice(real(self, context, model, request), after)
        raise error

    return generate


def _failing_batch(error: BaseException, after: int, real: Callable[..., Iterator[tuple[int, Chunk]]]) -> Any:
    def generate_batch(
        self: Any, context: Context, model: Any, requests: Sequence[Request]
    ) -> Iterator[tuple[int, Chunk]]:
        yield from itertools.islice(real(self, context, model, requests), after)
        raise error

    return generate_batch


def _failing_continuous(error: BaseException, after: int, real: Callable[..., Iterator[RowItem | None]]) -> Any:
    def generate_continuous(self: Any, context: Context, model: Any, arrivals: Arrivals) -> Iterator[RowItem | None]:
        chunks = 0
        for item in real(self, context, model, arrivals):
            if chunks >= after:
                raise error
            chunks += item is not None and isinstance(item[1], Chunk)
            yield item

    return generate_continuous
