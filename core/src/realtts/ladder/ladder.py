"""The ladder: rungs from fastest to plainest, tried until one works, with a record of every one that was given up."""

from __future__ import annotations

import functools
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from realtts.contract.events import Event
from realtts.contract.stages import StageLog
from realtts.documents import jsonable
from realtts.errors import LadderExhausted, ProviderClosed, StageFailed
from realtts.exception_text import format_traceback
from realtts.ladder.facts import local_facts
from realtts.ladder.failures import LoadAborted, StageError
from realtts.ladder.proposals import Proposals
from realtts.ladder.records import attempt_of
from realtts.machine import memory
from realtts.registry.providers import distribution_of
from realtts.registry.voices import voices_before_load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.attempt import Attempt, State
    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import VoiceInfo
    from realtts.ladder.proposals import LadderSetup, Proposal
    from realtts.ladder.rung import LiveRung
    from realtts.settings import Settings

__all__ = ["Ladder", "closed_while_loading"]


class Ladder:
    """The life cycle of one provider's model. Used by one thread at a time; any thread may read its attributes.

    Args:
        setup: What all rungs have in common.

    Attributes:
        live: The rung that stands, None while nothing is loaded.
        details: What the live rung reported of itself by the event ``optimization.details``.
        attempts: Every rung that was given up, oldest first.
        state: For the status.
        stages: The inner stages of the request that is being spoken.
    """

    def __init__(self, setup: LadderSetup) -> None:
        self.spec = setup.spec
        self.settings: Settings = setup.layers.settings
        self.checkpoint = setup.checkpoint
        self.voice_cache = setup.voice_cache
        self.state: State = "unloaded"
        self.attempts: tuple[Attempt, ...] = ()
        self.live: LiveRung | None = None
        self.details: dict[str, Any] = {}
        self.stages = StageLog()
        self._forward = setup.report
        self._log = logging.getLogger(f"realtts.{self.spec.name}")
        self._proposals = Proposals(replace(setup, report=self.report), stages=self.stages, log=self._log)
        self._standing: int = 0  # index of the live rung
        self._last: BaseException | None = None  # what the newest attempt is about
        self._aborted = False
        self._closed: dict[int, bool] = {}  # index of a rung that was given up -> whether it may be tried again

    def begin(self) -> LiveRung:
        """Return the live rung for a new request.

        When no rung is left, those whose failure need not happen again are open once more: after an out-of-memory
        error, or when the plain variant could not speak one particular text. Raises as `ensure_loaded`.
        """
        if self._closed and len(self._closed) == len(self._proposals.all()):
            self._reopen()
        return self.ensure_loaded()

    def ensure_loaded(self) -> LiveRung:
        """Return the live rung; when there is none, load the fastest one that works.

        Raises:
            StageFailed: With ``strict``, the first failure.
            LadderExhausted: No rung is left. ProviderClosed: See `abort_load`.
        """
        if self.live is None:
            self.state = "loading"
            try:
                self.live = self._climb()
            except LoadAborted:
                self.state = "unloaded"
                raise closed_while_loading(self.spec) from None
            except BaseException:
                self.state = "failed"
                raise
            self.state = "ready"
        return self.live

    def voices_before_load(self) -> tuple[VoiceInfo, ...] | None:
        """Return the built-in voices as far as the plugin can name them without the model."""
        return voices_before_load(self.spec, self.checkpoint)

    def abort_load(self) -> None:
        """Let a load end at its next stage, and begin none any more: the provider closes. From any thread."""
        self._aborted = True

    def give_up(self, failure: StageError) -> None:
        """Record a failure of the live rung, free it and forbid it; `ensure_loaded` then takes a lower one.

        Raises:
            StageFailed: With ``strict``.
        """
        self._release()
        self.close_rung(self._standing, failure)

    def open_rungs(self) -> dict[tuple[str, str], int]:
        """Return the rungs that were not given up: variant and name -> index."""
        proposals = enumerate(self._proposals.all())
        return {(item.variant, item.rung.name): index for index, item in proposals if index not in self._closed}

    def close_rung(self, index: int, failure: StageError) -> None:
        """Record a failure of a rung and forbid it; every rung that is given up passes here.

        Raises:
            StageFailed: With ``strict``.
        """
        proposal = self._proposals.all()[index]
        attempt = attempt_of(proposal.rung.name, proposal.variant, failure)
        # The same failure once more replaces its record: a provider that lives long must not collect them.
        self.attempts = (*(earlier for earlier in self.attempts if not attempt.repeats(earlier)), attempt)
        self._last = failure.error
        # The traceback's frames hold the dead rung's tensors, and the next rung may need their memory.
        memory.clear_frames(failure.error)
        what = attempt.summary()
        # That a rung is not for this machine is nothing to be warned of.
        level = logging.INFO if attempt.stage == "probe" else logging.WARNING
        self._log.log(level, "%s. %s", what, attempt.remedy)
        self.report(Event("rung.given_up", data={k: v for k, v in attempt.as_dict().items() if k != "traceback"}))
        if self.settings.strict:
            self.state = "failed"
            fix = attempt.remedy.rstrip(".")
            raise StageFailed(what, who=f"provider {self.spec.name!r}", fix=fix, attempts=self.attempts) from (
                failure.error
            )
        self._closed[index] = attempt.retryable  # not under strict, where the next request meets the same rung again
        memory.release()

    def unload(self, *, forget: bool = True) -> None:
        """Free the model and all memory that it held.

        Args:
            forget: Open every rung again, clear the attempts and the voice cache. False (an idle unload) keeps them
                and opens only the rungs whose failure may not happen again.
        """
        loaded = self.live is not None
        self._release()
        if forget:
            # The proposals too: what could not be imported may have been installed meanwhile.
            self._proposals.forget()
            self.attempts, self._closed, self._last = (), {}, None
            self.voice_cache.clear()
        else:
            self._reopen()
        self.state = "unloaded"
        if loaded:
            self.report(Event("unloaded"))
            memory.release()

    def abort(self) -> None:
        """Do nothing: what works in this process cannot be ended from outside."""

    @property
    def given_up(self) -> dict[int, bool]:
        """Indices of the rungs that were given up, each with whether it may be tried again."""
        return dict(self._closed)

    def restore(self, attempts: tuple[Attempt, ...], given_up: Mapping[int, bool]) -> None:
        """Take over the attempts and the closed rungs of another process."""
        self.attempts, self._closed = attempts, dict(given_up)

    def facts(self) -> dict[str, Any]:
        """Return the status of the process that holds the model: versions, memory, cache."""
        live = self.live
        device = live.facts.device if live else "cpu"
        return local_facts(self.spec, device, self.voice_cache, self._distribution)

    @functools.cached_property
    def _distribution(self) -> tuple[str, str]:
        return distribution_of(self.spec.name)

    def report(self, event: Event) -> None:
        """Hand an event on, with the provider's name; never raises."""
        try:
            if not event.provider:
                event = replace(event, provider=self.spec.name)
            if event.name == "optimization.details":
                self.details = {**self.details, **jsonable(dict(event.data))}  # as the status must be
            self._forward(event)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the data of a plugin's event may do anything when it is made JSON
            self._log.error("an event could not be reported\n%s", format_traceback(error))

    def _climb(self) -> LiveRung:
        for index, proposal in enumerate(self._proposals.all()):
            if index in self._closed:
                continue
            try:
                rung = self._bring_up(proposal)
            except StageError as failure:
                self.close_rung(index, failure)
                continue
            self._standing = index
            self.report(Event("rung.ready", data={"rung": proposal.rung.name, "variant": proposal.variant}))
            return rung
        last = self.attempts[-1]
        raise LadderExhausted(
            f"no rung works, {len(self._proposals.all())} given up; the last: {last.summary()}",
            who=f"provider {self.spec.name!r}",
            fix=last.remedy.rstrip("."),
            attempts=self.attempts,
        ) from self._last

    def _bring_up(self, proposal: Proposal) -> LiveRung:
        self.details = {}
        rung = self._proposals.rung(proposal)
        rung.bring_up(lambda: not self._aborted)
        memory.trim()
        return rung

    def _reopen(self) -> None:
        self._closed = {index: retryable for index, retryable in self._closed.items() if not retryable}

    def _release(self) -> None:
        live, self.live = self.live, None
        if live is not None:
            live.unload()


def closed_while_loading(spec: ProviderSpec) -> ProviderClosed:
    """Make the error for a request whose model was being loaded when the provider was closed."""
    what = "it was closed while it loaded its model"
    return ProviderClosed(what, who=f"provider {spec.name!r}", fix="make a new RealProvider")
