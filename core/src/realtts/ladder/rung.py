"""One rung of the ladder: a variant and its settings, from load through generate to unload."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from realtts.contract.checks import check_voices
from realtts.contract.events import Event
from realtts.contract.hooks import STAGES
from realtts.exception_text import format_traceback
from realtts.ladder.facts import RungFacts
from realtts.ladder.failures import LoadAborted, StageError, Unavailable, failing, is_passed_on
from realtts.ladder.speaking import RowRun, run_batches
from realtts.machine import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from realtts.contract.context import Context
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.types import VoiceInfo
    from realtts.registry.variants import Variants

__all__ = ["LiveRung"]


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
        except BaseException as error:
            self.unload()
            if is_passed_on(error):
                raise
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

    @property
    def joins(self) -> bool:
        """Whether rows may join while others are spoken."""
        return self._variants.implements(self.context.variant, "generate_continuous")

    @property
    def places(self) -> int:
        """Most rows that are spoken at a time: the spec's ``batch_size``, or ``max_batch`` where that is less."""
        batches = self.joins or self._variants.implements(self.context.variant, "generate_batch")
        limit = self.context.settings.max_batch
        size = self.context.spec.batch_size if batches else 1
        return size if limit is None else min(size, limit)

    def voices(self) -> tuple[VoiceInfo, ...]:
        """Return the built-in voices; the hook is called once.

        Raises:
            StageError: The hook failed.
        """
        if self._voices is None:
            with failing("voices"), self._scope():
                self._voices = check_voices(self._call("voices", model=self._model), self.who)
        return self._voices

    def run(self, arrivals: Arrivals) -> Generator[RowItem | None, None, None]:
        """Yield what comes of the rows that arrive: chunks and ends, and None after a step that has made nothing.

        Ends when no row is left and none arrives.

        Raises:
            StageError: The rung failed. InputError: a request is wrong after all.
        """
        run = RowRun(self.context, self._call_with_model, self._scope, self.who)
        if self.joins:
            return run.continuous(arrivals)
        return run_batches(arrivals, self.places, run.batch)

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

    def _call_with_model(self, hook: str, **arguments: Any) -> Any:
        # Looked up at the call: who keeps the run, such as a traceback, must not keep the model.
        return self._call(hook, model=self._model, **arguments)

    def _call(self, hook: str, **arguments: Any) -> Any:
        return self._variants.call(self.context.variant, hook, context=self.context, **arguments)

    def _scope(self) -> contextlib.AbstractContextManager[None]:
        if not self.context.spec.torch:
            return contextlib.nullcontext()
        from realtts.accel.backends import torch_flags

        return torch_flags(self.context.settings, self.context.variant, self.context.device)
