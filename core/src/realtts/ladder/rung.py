"""One rung of the ladder: a variant and its settings, from load through generate to unload."""

from __future__ import annotations

import contextlib
import time
import traceback
from typing import TYPE_CHECKING, Any

from realtts.attempt import Attempt, origin_of
from realtts.contract.checks import ChunkChecks, check_voices
from realtts.contract.events import Event
from realtts.contract.hooks import STAGES
from realtts.errors import CheckpointError, InputError, RealTTSError, SettingsError
from realtts.ladder.facts import RungFacts
from realtts.ladder.remedies import Remedy, find_remedy
from realtts.machine import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from realtts.contract.context import Context
    from realtts.contract.types import Chunk, Request, VoiceInfo
    from realtts.registry.variants import Variants

__all__ = ["LiveRung", "StageError", "Unavailable", "attempt_of"]

PASSED_ON = (InputError, SettingsError, CheckpointError)
"""The caller's own mistakes, and weights that no rung can have: raised as they are, no rung is given up for them."""


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

    def bring_up(self) -> None:
        """Pass every stage from the probe to the warm-up; on failure the rung is unloaded again.

        Raises:
            StageError: A stage failed. InputError, SettingsError: the caller's mistake, as raised.
        """
        started = time.perf_counter()
        stage = "probe"
        try:
            reason = self._call("probe")
            if reason is not None:
                raise Unavailable(str(reason))
            for stage in STAGES[:-1]:
                self._run_stage(stage)
        except PASSED_ON:
            self.unload()
            raise
        except (Exception, SystemExit) as error:
            self.unload()
            raise StageError(stage, error, time.perf_counter() - started) from error
        except BaseException:
            self.unload()
            raise

    def unload(self) -> None:
        """Let go of the model; a failing `unload` hook is logged and the reference dropped anyway."""
        if self._loaded:
            self._loaded = False
            try:
                with self._scope():
                    self._call("unload", model=self._model)
            except BaseException as error:
                self.context.log.exception("unload of rung %s failed", self.context.rung)
                memory.clear_frames(error)  # they hold the model, and a log handler may hold them
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
            try:
                with self._scope():
                    self._voices = check_voices(self._call("voices", model=self._model), self.who)
            except PASSED_ON:
                raise
            except (Exception, SystemExit) as error:
                raise StageError("voices", error) from error
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
            with self._working():
                iterator = iter(self._generate(requests))
            while True:
                with self._working():
                    item = next(iterator, _END)
                if item is _END:
                    return
                yield checks.check_item(item)
        except PASSED_ON as error:
            memory.clear_frames(error)  # the caller may keep the error, but not the model with it
            raise
        except (Exception, SystemExit) as error:
            raise StageError("generate", error, time.perf_counter() - began) from error
        finally:
            self._close(iterator)
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

    def _close(self, iterator: Any) -> None:
        if hasattr(iterator, "close"):
            try:
                with self._working():
                    iterator.close()
            except Exception:
                self.context.log.exception("closing the provider's iterator failed")

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


def attempt_of(rung: str, variant: str, failure: StageError) -> Attempt:
    """Make the record of a rung that was given up."""
    error = failure.error
    if isinstance(error, Unavailable):
        remedy = Remedy("Nothing to do: this rung is not for this machine and these settings.")
        name, trace = "Unavailable", ""
    else:
        remedy = find_remedy(error, failure.stage, variant)
        module = type(error).__module__
        name = type(error).__qualname__ if module == "builtins" else f"{module}.{type(error).__qualname__}"
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if isinstance(error, RealTTSError):
        # Our own errors bring their fix; the rest of the sentence is said elsewhere.
        message, sentence, origin = error.what, f"{error.fix}." if error.fix else remedy.sentence, ""
    else:
        message, sentence, origin = str(error), remedy.sentence, failure.origin
    return Attempt(
        rung=rung,
        variant=variant,
        stage=failure.stage,
        exception=name,
        message=message,
        traceback=trace,
        remedy=sentence,
        seconds=failure.seconds,
        retryable=remedy.retryable,
        origin=origin,
    )
