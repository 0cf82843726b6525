"""One rung of the ladder: a variant and its settings, from load through generate to unload."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from realtts.contract.checks import ChunkChecks, check_voices
from realtts.contract.events import Event
from realtts.contract.hooks import STAGES
from realtts.errors import CheckpointError, InputError, SettingsError
from realtts.exception_text import format_traceback, origin_of
from realtts.ladder.facts import RungFacts
from realtts.machine import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from realtts.contract.context import Context
    from realtts.contract.types import Chunk, Request, VoiceInfo
    from realtts.registry.variants import Variants

__all__ = ["CLOSE", "LiveRung", "LoadAborted", "StageError", "Unavailable"]

CLOSE = "close"
"""The stage of a failure that came when the audio was complete: the iterator's ``close`` raised."""


class LoadAborted(Exception):
    """Nobody wants the load any more, because the provider closes; raised between two stages."""


PASSED_ON = (
    InputError,
    SettingsError,
    CheckpointError,
    LoadAborted,
    KeyboardInterrupt,
    asyncio.CancelledError,
)
"""Raised as they are, no rung is given up for them: the caller's own mistakes, weights that no rung can have, and what
ends the work. Everything else that a plugin raises is a failure of its rung, be it no `Exception`: foreign code raises
`SystemExit`, and panics of compiled code derive from `BaseException`."""


class StageError(Exception):
    """A stage of a rung failed; ``__cause__`` is the provider's exception.

    Args:
        stage: Where.
        error: The provider's exception.
        seconds: Time spent on the stage, or on the rung while it is being loaded.
        origin: Where, as `origin_of` gives it; None: as the exception's own traceback tells.
    """

    def __init__(self, stage: str, error: BaseException, seconds: float = 0.0, origin: str | None = None) -> None:
        super().__init__(stage)
        self.stage = stage
        self.seconds = seconds
        self.origin = origin_of(error) if origin is None else origin
        self.__cause__ = error

    @property
    def error(self) -> BaseException:
        """The provider's exception."""
        assert self.__cause__ is not None
        return self.__cause__


class Unavailable(Exception):
    """The reason of a probe that refused, as an exception."""


_END = object()
"""What an exhausted iterator gives."""


class LiveRung:
    """The model of one rung. Used by one thread at a time.

    Attributes:
        context: What its hooks are told.
        timings: Seconds per stage of its load.
    """

    def __init__(self, variants: Variants, context: Context) -> None:
        self.context = context
        self.timings: dict[str, float] = {}
        self._variants = variants
        self._model: Any = None
        self._loaded = False  # `load` may return None
        self._voices: tuple[VoiceInfo, ...] | None = None

    def bring_up(self, wanted: Callable[[], bool]) -> None:
        """Pass every stage from the probe to the warm-up; on failure the rung is unloaded again.

        Args:
            wanted: Asked before every stage; when it says no, the load ends.

        Raises:
            StageError: A stage failed. LoadAborted: it is not wanted. InputError, SettingsError: the caller's mistake,
                as raised.
        """
        started = time.perf_counter()
        stage = "probe"
        try:
            reason = self._call("probe")
            if reason is not None:
                raise Unavailable(str(reason))
            for stage in STAGES[:-1]:
                if not wanted():
                    raise LoadAborted
                self._run_stage(stage)
        except PASSED_ON:
            self.unload()
            raise
        except BaseException as error:
            self.unload()
            raise StageError(stage, error, time.perf_counter() - started) from error

    def unload(self) -> None:
        """Let go of the model; a failing `unload` hook is logged and the reference dropped anyway."""
        if self._loaded:
            self._loaded = False
            try:
                with self._scope():
                    self._call("unload", model=self._model)
            except BaseException as error:
                # As text: a log handler may keep the exception, whose frames hold the model.
                self.context.log.error("unload of rung %s failed\n%s", self.context.rung, format_traceback(error))
                memory.clear_frames(error)
        self._model, self._voices = None, None

    @property
    def facts(self) -> RungFacts:
        """What it is: variant, name, device, dtype and settings."""
        context = self.context
        assert context.rung is not None, "only the hook `rungs` is asked without a rung"
        return RungFacts(
            variant=context.variant,
            rung=context.rung.name,
            device=context.device,
            dtype=context.dtype,
            settings=context.settings,
            changes=context.rung.settings,
        )

    def supports_batch(self) -> bool:
        """Tell whether it can decode several requests together."""
        return self._variants.implements(self.context.variant, "generate_batch")

    def voices(self) -> tuple[VoiceInfo, ...]:
        """Return the built-in voices; the hook is called once.

        Raises:
            StageError: The hook failed.
        """
        if self._voices is None:
            with _failing("voices"), self._scope():
                self._voices = check_voices(self._call("voices", model=self._model), self.who)
        return self._voices

    def speak(self, requests: Sequence[Request]) -> Generator[tuple[int, Chunk], None, None]:
        """Yield checked chunks with the index of their request; several requests are rows of one batch.

        The hook's iterator advances under the provider's global flags, which are restored at every yield.

        Raises:
            StageError: The rung failed. InputError: a request is wrong after all.
        """
        began = time.perf_counter()
        checks = ChunkChecks(self.context.spec.sample_rates, self.who, [len(request.text) for request in requests])
        iterator: Any = None
        try:
            with _failing("generate"), self._working():
                iterator = iter(self._generate(requests))
            while True:
                with _failing("generate"), self._working():
                    item = next(iterator, _END)
                if item is _END:
                    break
                with _failing("generate"):
                    checked = checks.check_item(item)
                yield checked
        except StageError as failure:
            failure.seconds = time.perf_counter() - began
            self._close(iterator)
            raise
        except BaseException:
            self._close(iterator)
            raise
        else:
            fault = self._close(iterator)
            if fault is not None:
                raise StageError(CLOSE, fault, time.perf_counter() - began) from fault
        finally:
            self.context.stages.end()

    def apply(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the plugin's testing module with context, model and arguments, under the rung's flags."""
        with self._scope():
            return function(self.context, self._model, *arguments)

    @property
    def who(self) -> str:
        """Provider and variant, for messages."""
        return f"provider {self.context.spec.name!r} ({self.context.variant})"

    def _run_stage(self, stage: str) -> None:
        context = self.context
        about = {"stage": stage, "rung": context.rung.name if context.rung else "", "variant": context.variant}
        context.report(Event("stage.started", data=about))
        started = time.perf_counter()
        with self._scope():
            if stage == "load":
                self._model = self._call("load")
                self._loaded = True
            else:
                self._call(stage, model=self._model)
        self.timings[stage] = time.perf_counter() - started
        context.report(Event("stage.finished", data={**about, "seconds": self.timings[stage]}))

    def _generate(self, requests: Sequence[Request]) -> Any:
        if len(requests) == 1:
            return self._call("generate", model=self._model, request=requests[0])
        return self._call("generate_batch", model=self._model, requests=requests)

    def _close(self, iterator: Any) -> BaseException | None:
        """Close the hook's iterator, where it can be closed; return what it raised, which is logged."""
        try:
            with self._working():
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.context.log.error("closing the provider's iterator failed\n%s", format_traceback(error))
            memory.clear_frames(error)
            return error
        return None

    def _call(self, hook: str, **arguments: Any) -> Any:
        return self._variants.call(self.context.variant, hook, context=self.context, **arguments)

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        """Run a step of `generate` under the provider's global flags and the clock of its stages."""
        with self._scope():
            self.context.stages.resume()
            try:
                yield
            finally:
                self.context.stages.pause()

    def _scope(self) -> contextlib.AbstractContextManager[None]:
        if not self.context.spec.torch:
            return contextlib.nullcontext()
        from realtts.accel.backends import torch_flags

        return torch_flags(self.context.settings, self.context.variant)


@contextlib.contextmanager
def _failing(stage: str) -> Iterator[None]:
    """Run foreign code of a stage.

    Raises:
        StageError: It raised anything but what is passed on.
    """
    try:
        yield
    except PASSED_ON as error:
        memory.clear_frames(error)  # the caller may keep the error, but not the model with it
        raise
    except BaseException as error:
        raise StageError(stage, error) from error
