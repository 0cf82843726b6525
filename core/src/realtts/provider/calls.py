"""What the five ways to speak share: from a call's arguments to a job in the provider's queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from realtts.errors import InputError, InvalidOption, LadderExhausted, UnknownLanguage
from realtts.provider.arguments import check_priority
from realtts.provider.choice import name_speaker
from realtts.provider.crossing import arguments as common_arguments
from realtts.provider.feeding import TaskFeeder, ThreadFeeder, is_written_later
from realtts.provider.jobs import SpeechJob
from realtts.provider.stream import ChunkStream
from realtts.provider.stream_job import StreamJob
from realtts.registry.voices import voices_before_load
from realtts.synthesis.cancellation import Deadline
from realtts.synthesis.growing import grow_plan
from realtts.synthesis.plan import Ask, make_plan
from realtts.synthesis.readiness import check_requests
from realtts.voices.lookup import builtin_voice, find_voice

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Iterable, Sequence

    from numpy.typing import ArrayLike

    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import Chunk, Voice, VoiceInfo
    from realtts.ladder.protocols import AnyLadder
    from realtts.provider.crossing import Crossing
    from realtts.provider.engine import Engine
    from realtts.provider.feeding import Feeder
    from realtts.provider.queue import Turn
    from realtts.provider.shares import Priority
    from realtts.registry.extensions import Extensions
    from realtts.settings import Settings
    from realtts.synthesis.growing import Growth
    from realtts.synthesis.plan import Plan
    from realtts.synthesis.speech import Speech

    VoiceLike = str | os.PathLike[str] | Voice | VoiceInfo | tuple[ArrayLike, int] | None

__all__ = ["CallArguments", "Calls"]


@dataclass(frozen=True, eq=False)
class CallArguments:
    """The arguments of a call beside its text, as the caller gave them; see `RealProvider.generate`."""

    voice: VoiceLike
    reference_text: str | None
    language: str | None
    seed: int | None
    speed: float
    normalize: str | None
    check_words: bool
    timestamps: str | None
    voice_path: str | os.PathLike[str] | None
    priority: Priority
    options: dict[str, Any]


class Calls:
    """Speaks for one provider.

    Args:
        spec: The provider.
        settings: Its settings.
        ladder: Who speaks.
        extensions: Who sees texts and audio.
        engine: Whose thread the ladder runs in.
        turn: The way to it.
        crossing: Who speaks instead when no rung is left.
    """

    def __init__(
        self,
        spec: ProviderSpec,
        settings: Settings,
        ladder: AnyLadder,
        *,
        extensions: Extensions,
        engine: Engine,
        turn: Turn,
        crossing: Crossing,
    ) -> None:
        self._spec, self._settings, self._ladder, self._extensions = spec, settings, ladder, extensions
        self._engine, self._turn, self._crossing = engine, turn, crossing

    def speak(self, text: str, arguments: CallArguments) -> Speech:
        """Speak a whole text."""
        ask = self.ask(arguments)
        return self._speak([self.plan(text, ask)], ask, arguments.priority)[0]

    def speak_all(self, texts: Sequence[str], arguments: CallArguments) -> list[Speech]:
        """Speak several texts in one turn, all with the seed of the first."""
        if isinstance(texts, str) or not hasattr(texts, "__iter__"):
            what = "one string" if isinstance(texts, str) else type(texts).__name__
            raise InvalidOption(f"texts is {what}", who="generate_batch", fix="give a list of strings")
        ask = self.ask(arguments)
        plans: list[Plan] = []
        for index, text in enumerate(texts):
            try:
                plans.append(self.plan(text, ask))
            except InputError as error:
                error.who = f"texts[{index}], {error.who}"
                raise
            ask = replace(ask, seed=plans[0].seed)
        return self._speak(plans, ask, arguments.priority) if plans else []

    async def aspeak(self, text: str, arguments: CallArguments) -> Speech:
        """Speak a whole text without blocking the event loop."""

        # In a thread: a voice may be a file, a text may be long, an extension may be slow.
        def prepare() -> tuple[Ask, Plan]:
            ask = self.ask(arguments)
            return ask, self.plan(text, ask)

        ask, plan = await asyncio.to_thread(prepare)
        try:
            speeches = await self._turn.arun(self.job([plan], arguments.priority))
        except LadderExhausted as error:
            fault = error  # the name of an exception is gone behind its block
            speeches = await asyncio.to_thread(lambda: self._cross([plan], ask, arguments.priority, fault))
        return speeches[0]  # type: ignore[no-any-return]

    def stream(self, text: str | Iterable[str], arguments: CallArguments, *, provider: object) -> ChunkStream:
        """Return the stream of a text.

        Args:
            text: What to say; an iterable is a text that is still being written.
            arguments: How.
            provider: Kept alive by the stream.
        """
        check_priority(arguments.priority)
        ask = self.ask(arguments)
        if not is_written_later(text):
            return self._stream(self.plan(text, ask), ask, arguments.priority, provider)
        growth = self._grow(ask)
        return self._stream(growth.plan, ask, arguments.priority, provider, ThreadFeeder(growth, text))

    async def astream(
        self, text: str | Iterable[str] | AsyncIterable[str], arguments: CallArguments, *, provider: object
    ) -> AsyncIterator[Chunk]:
        """Yield the chunks of a text without blocking the event loop. Arguments as `stream`."""
        check_priority(arguments.priority)

        def begin() -> tuple[Ask, Plan, TaskFeeder | ThreadFeeder | None]:
            ask = self.ask(arguments)
            if isinstance(text, AsyncIterable):
                growth = self._grow(ask)
                return ask, growth.plan, TaskFeeder(growth, text)
            if is_written_later(text):
                growth = self._grow(ask)
                return ask, growth.plan, ThreadFeeder(growth, text)
            return ask, self.plan(text, ask), None

        # In a thread: a voice may be a file, a text may be long, an extension may be slow.
        ask, plan, feeder = await asyncio.to_thread(begin)
        try:
            with self._stream(plan, ask, arguments.priority, provider, feeder) as stream:
                while (chunk := await stream.anext()) is not None:
                    yield chunk
        finally:
            if isinstance(feeder, TaskFeeder):
                await feeder.aclose()

    def ask(self, arguments: CallArguments) -> Ask:
        """Look the voice up, and return what the plan is made from."""
        if arguments.voice is not None and arguments.voice_path is not None:
            raise InvalidOption("voice and voice_path are both given", who="voice", fix="give one of the two")
        chosen = arguments.voice_path if arguments.voice is None else arguments.voice
        recording = find_voice(
            chosen, reference_text=arguments.reference_text, spec=self._spec, settings=self._settings
        )
        return Ask(
            self._builtin_voice(recording) if isinstance(recording, str) else recording,
            arguments.language,
            arguments.seed,
            arguments.speed,
            arguments.options,
            arguments.normalize,
            arguments.check_words,
            arguments.timestamps,
        )

    def plan(self, text: object, ask: Ask) -> Plan:
        """Check the text and all arguments; raises as `make_plan`."""
        try:
            plan = make_plan(text, ask, spec=self._spec, settings=self._settings, extensions=self._extensions)
        except UnknownLanguage as error:
            name_speaker(error, ask.language, self._spec, self._settings)
            raise
        check_requests(self._spec, self._ladder.checkpoint, (piece.request for piece in plan.pieces))
        return plan

    def job(self, plans: Sequence[Plan], priority: Priority = "interactive") -> SpeechJob:
        """Return the job that speaks plans whole."""
        return SpeechJob(plans, self._ladder, self._extensions, self._deadline(), priority=check_priority(priority))

    def _builtin_voice(self, name: str) -> str:
        """Return the id of a built-in voice, checked before any load where the plugin can name its voices."""
        voices = voices_before_load(self._spec, self._ladder.checkpoint)
        if voices is None:
            return name
        return builtin_voice(name, voices, spec=self._spec, settings=self._settings)

    def _speak(self, plans: Sequence[Plan], ask: Ask, priority: Priority) -> list[Speech]:
        try:
            return self._turn.run(self.job(plans, priority))  # type: ignore[no-any-return]
        except LadderExhausted as error:
            return self._cross(plans, ask, priority, error)

    def _cross(self, plans: Sequence[Plan], ask: Ask, priority: Priority, error: LadderExhausted) -> list[Speech]:
        return self._crossing.speak(error, ask, [plan.text for plan in plans], plans[0].seed, priority)

    def _deadline(self) -> Deadline | None:
        seconds = self._settings.request_timeout_s
        return Deadline(seconds, f"provider {self._spec.name!r}") if seconds else None

    def _grow(self, ask: Ask) -> Growth:
        growth = grow_plan(ask, spec=self._spec, settings=self._settings, extensions=self._extensions)
        check_requests(self._spec, self._ladder.checkpoint, [growth.template])
        return growth

    def _stream(
        self, plan: Plan, ask: Ask, priority: Priority, provider: object, feeder: Feeder | None = None
    ) -> ChunkStream:
        def cross(error: LadderExhausted) -> tuple[ChunkStream, str]:
            return self._crossing.over(
                error, ask, lambda other: other.stream(plan.text, priority=priority, **common_arguments(ask, plan.seed))
            )

        job = StreamJob(
            plan, self._ladder, self._extensions, self._engine.wake, self._deadline(), feeder=feeder, priority=priority
        )
        # What was read of a text that is still being written cannot be read again by somebody else.
        may_cross = feeder is None and self._crossing.allows(ask)
        return self._turn.add(ChunkStream(job, self._turn, keep_alive=provider, cross=cross if may_cross else None))
