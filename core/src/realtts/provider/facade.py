"""`RealProvider`: the face that applications see."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from realtts.contract.voice_cache import VoiceCache
from realtts.errors import InputError, InvalidOption, LadderExhausted, UnknownLanguage
from realtts.ladder.ladder import Ladder
from realtts.ladder.proposals import LadderSetup
from realtts.provider.arguments import check_priority, takes_text
from realtts.provider.choice import choose, name_speaker
from realtts.provider.crossing import Crossing, arguments
from realtts.provider.engine import Engine
from realtts.provider.feeding import TaskFeeder, ThreadFeeder, is_written_later
from realtts.provider.jobs import FunctionJob, SpeechJob
from realtts.provider.queue import Turn
from realtts.provider.status import build_status, state_of
from realtts.provider.stream import ChunkStream, StreamJob
from realtts.registry.extensions import discover_extensions
from realtts.registry.languages import with_languages
from realtts.registry.voices import voices_before_load
from realtts.synthesis.cancellation import Deadline
from realtts.synthesis.growing import grow_plan
from realtts.synthesis.plan import Ask, make_plan
from realtts.synthesis.preparing import list_voices
from realtts.synthesis.validate import resolve_checkpoint
from realtts.voices.lookup import builtin_voice, find_voice

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from types import TracebackType

    from numpy.typing import ArrayLike
    from typing_extensions import Self

    from realtts.attempt import State
    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.contract.types import Chunk, Voice, VoiceInfo
    from realtts.ladder.protocols import AnyLadder, LadderPlace
    from realtts.provider.feeding import Feeder
    from realtts.provider.shares import Priority
    from realtts.settings import Layers, Settings
    from realtts.synthesis.growing import Growth
    from realtts.synthesis.plan import Plan
    from realtts.synthesis.speech import Speech

    VoiceLike = str | os.PathLike[str] | Voice | VoiceInfo | tuple[ArrayLike, int] | None

__all__ = ["RealProvider"]


class RealProvider:
    """One text-to-speech provider, run on the fastest path that works on this machine.

    Nothing heavy happens before the first use or `load`. All methods may be called from any thread. Requests share the
    model: together where the provider can, else piece by piece, in fair turns.

    Args:
        provider: Name of an installed provider, or a `ProviderSpec`. None: the setting ``provider``, else an embedded
            voice (by the setting ``language``, else for English), else the only one that is installed.
        model: Checkpoint name, hub id or local folder; None: the provider's first checkpoint.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        isolation: ``"auto"``, ``"always"`` or ``"never"``.
        strict: Raise instead of stepping down the ladder.
        settings: Ready settings; only the fields that were set in it count.
        **overrides: Further fields of `Settings`, such as ``dtype`` or ``configuration``.

    Raises:
        PluginError: The provider is unknown, broken, claimed twice, or its spec is at fault; faults of its classes
            appear at the first use.
        SettingsError: A setting is unknown or wrong.
        UnknownCheckpoint: There is no such model.
        IsolationError: Isolation is required and cannot be had.
    """

    def __init__(
        self,
        provider: str | ProviderSpec | None = None,
        *,
        model: str | os.PathLike[str] | None = None,
        device: str | None = None,
        isolation: str | None = None,
        strict: bool | None = None,
        settings: Settings | None = None,
        **overrides: Any,
    ) -> None:
        keywords = {"device": device, "isolation": isolation, "strict": strict, **overrides}
        self._spec, layers, place = choose(provider, keywords, settings)
        self._settings = layers.settings
        model = model if model is not None else self._settings.model
        checkpoint = resolve_checkpoint(model, self._spec, self._settings.configuration)
        self._spec = with_languages(self._spec, checkpoint)
        self._models_voices: Sequence[VoiceInfo] = ()  # of a plugin that cannot name them without the model
        self._extensions = discover_extensions()
        self._ladder = ladder = _ladder(place, self._spec, layers, checkpoint, self._extensions.on_event)
        self._engine = Engine(ladder, self._settings.queue_size, self._settings.idle_unload_s)
        self._turn = Turn(self._engine, self._spec.name, self._settings.queue_timeout_s)
        folder = self._settings.data_dir
        self._crossing = Crossing(
            self._spec, self._settings, lambda name: RealProvider(name, fallback=(), data_dir=folder)
        )
        # The engine knows nothing of this object, so that dropping the last reference ends the thread.
        self._finalizer = weakref.finalize(self, self._engine.close, 3.0)
        self._finalizer.atexit = False  # then all are closed together, see `realtts.provider.shutdown`

    @property
    def spec(self) -> ProviderSpec:
        """What the plugin says of itself."""
        return self._spec

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    @takes_text
    def generate(
        self,
        text: str,
        *,
        voice: VoiceLike = None,
        reference_text: str | None = None,
        language: str | None = None,
        seed: int | None = None,
        speed: float = 1.0,
        normalize: Literal["auto", "off"] | None = None,
        check_words: bool = False,
        timestamps: Literal["align"] | None = None,
        voice_path: str | os.PathLike[str] | None = None,
        priority: Priority = "interactive",
        **options: Any,
    ) -> Speech:
        """Speak a text and return the whole audio.

        Args:
            text: What to say, of any length up to the setting ``max_text_chars``.
            voice: Samples as ``(array, sample_rate)`` or `Voice`, an audio file, the name of a saved voice, or a
                built-in voice's id; looked up in this order. A `VoiceInfo`, such as `voices` returns, is never a file.
                None: the provider's default.
            reference_text: The words spoken in the reference audio, for providers that use them.
            language: BCP 47 tag, code or name, such as ``"pt-br"`` or ``"German"``.
            seed: Repeats a speech; drawn when None, see ``Speech.seed``.
            speed: Speaking rate from 0.25 to 4; 1.0 is natural.
            normalize: ``"auto"`` puts numbers, dates, amounts and signs into words, ``"off"`` leaves them to the model.
                None: as the setting says, else as the provider has it.
            check_words: Listen to every piece, and speak one again, at most twice, whose words are not all there; see
                ``Speech.warnings``. A stream holds each piece until then. Needs ``realtts[listen]``.
            timestamps: ``"align"`` gives ``Speech.marks`` for every word where the provider gives none, by listening
                in the same way. None: what the provider gives.
            voice_path: Another name for ``voice``.
            priority: ``"bulk"`` for work that nobody waits for: it is spoken when no interactive request waits, and
                in one of eight free places.
            **options: The provider's own options.

        Raises:
            InputError: Something in the request is wrong; no model work was done.
            MissingExtra, CheckpointError: There is no recognizer to listen with.
            StageFailed: The model failed and no lower rung could speak.
            Busy: The queue is full, or the turn did not come in time.
            RequestTimeout: It took longer than the setting ``request_timeout_s``.
        """
        ask = self._ask(
            voice, voice_path, reference_text, language, seed, speed, options, normalize, check_words, timestamps
        )
        return self._speak([self._plan(text, ask)], ask, priority)[0]

    @takes_text
    def stream(
        self,
        text: str | Iterable[str],
        *,
        voice: VoiceLike = None,
        reference_text: str | None = None,
        language: str | None = None,
        seed: int | None = None,
        speed: float = 1.0,
        normalize: Literal["auto", "off"] | None = None,
        check_words: bool = False,
        timestamps: Literal["align"] | None = None,
        voice_path: str | os.PathLike[str] | None = None,
        priority: Priority = "interactive",
        **options: Any,
    ) -> ChunkStream:
        """Speak a text and hand out audio as it comes. Arguments and errors as `generate`.

        Input errors are raised here; the request joins the queue when the first chunk is asked for. Closing the
        stream cancels the rest.

        An iterable of strings is a text that is still being written. It is read in a thread of its own, from the first
        chunk on, and each sentence is spoken as soon as its end is certain. What is wrong with it, or what it raises,
        is raised once the audio of what came before was read.
        """
        priority = check_priority(priority)
        ask = self._ask(
            voice, voice_path, reference_text, language, seed, speed, options, normalize, check_words, timestamps
        )
        if not is_written_later(text):
            return self._stream(self._plan(text, ask), ask, priority)
        growth = self._grow(ask)
        return self._stream(growth.plan, ask, priority, ThreadFeeder(growth, text))

    @takes_text
    def generate_batch(
        self,
        texts: Sequence[str],
        *,
        voice: VoiceLike = None,
        reference_text: str | None = None,
        language: str | None = None,
        seed: int | None = None,
        speed: float = 1.0,
        normalize: Literal["auto", "off"] | None = None,
        check_words: bool = False,
        timestamps: Literal["align"] | None = None,
        voice_path: str | os.PathLike[str] | None = None,
        priority: Priority = "interactive",
        **options: Any,
    ) -> list[Speech]:
        """Speak several texts in one turn, decoded together where the provider can. Arguments as `generate`.

        Every text gets the same seed, so that each speech equals that of `generate` with it.

        Raises:
            InputError: A text is wrong, named by its place; nothing was spoken.
        """
        if isinstance(texts, str) or not hasattr(texts, "__iter__"):
            what = "one string" if isinstance(texts, str) else type(texts).__name__
            raise InvalidOption(f"texts is {what}", who="generate_batch", fix="give a list of strings")
        ask = self._ask(
            voice, voice_path, reference_text, language, seed, speed, options, normalize, check_words, timestamps
        )
        plans: list[Plan] = []
        for index, text in enumerate(texts):
            try:
                plans.append(self._plan(text, ask))
            except InputError as error:
                error.who = f"texts[{index}], {error.who}"
                raise
            ask = replace(ask, seed=plans[0].seed)
        return self._speak(plans, ask, priority) if plans else []

    @takes_text
    async def agenerate(
        self,
        text: str,
        *,
        voice: VoiceLike = None,
        reference_text: str | None = None,
        language: str | None = None,
        seed: int | None = None,
        speed: float = 1.0,
        normalize: Literal["auto", "off"] | None = None,
        check_words: bool = False,
        timestamps: Literal["align"] | None = None,
        voice_path: str | os.PathLike[str] | None = None,
        priority: Priority = "interactive",
        **options: Any,
    ) -> Speech:
        """Speak a text as `generate` does, without blocking the event loop; cancelling the task cancels the request."""

        # In a thread: a voice may be a file, a text may be long, an extension may be slow.
        def prepare() -> tuple[Ask, Plan]:
            ask = self._ask(
                voice, voice_path, reference_text, language, seed, speed, options, normalize, check_words, timestamps
            )
            return ask, self._plan(text, ask)

        ask, plan = await asyncio.to_thread(prepare)
        try:
            speeches = await self._turn.arun(self._speech_job([plan], priority))
        except LadderExhausted as error:
            fault = error  # the name of an exception is gone behind its block
            speeches = await asyncio.to_thread(lambda: self._cross([plan], ask, priority, fault))
        return speeches[0]  # type: ignore[no-any-return]

    @takes_text
    async def astream(
        self,
        text: str | Iterable[str] | AsyncIterable[str],
        *,
        voice: VoiceLike = None,
        reference_text: str | None = None,
        language: str | None = None,
        seed: int | None = None,
        speed: float = 1.0,
        normalize: Literal["auto", "off"] | None = None,
        check_words: bool = False,
        timestamps: Literal["align"] | None = None,
        voice_path: str | os.PathLike[str] | None = None,
        priority: Priority = "interactive",
        **options: Any,
    ) -> AsyncIterator[Chunk]:
        """Speak a text as `stream` does, for ``async for``; leaving the loop or cancelling the task cancels it.

        An asynchronous iterable is read in a task of the running event loop, and closed at the end.
        """
        priority = check_priority(priority)

        def begin() -> tuple[Ask, Plan, TaskFeeder | ThreadFeeder | None]:
            ask = self._ask(
                voice, voice_path, reference_text, language, seed, speed, options, normalize, check_words, timestamps
            )
            if isinstance(text, AsyncIterable):
                growth = self._grow(ask)
                return ask, growth.plan, TaskFeeder(growth, text)
            if is_written_later(text):
                growth = self._grow(ask)
                return ask, growth.plan, ThreadFeeder(growth, text)
            return ask, self._plan(text, ask), None

        # In a thread: a voice may be a file, a text may be long, an extension may be slow.
        ask, plan, feeder = await asyncio.to_thread(begin)
        try:
            with self._stream(plan, ask, priority, feeder) as stream:
                while (chunk := await stream.anext()) is not None:
                    yield chunk
        finally:
            if isinstance(feeder, TaskFeeder):
                await feeder.aclose()

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

    def _ask(  # noqa: PLR0917 - in the order of the signatures above
        self,
        voice: VoiceLike,
        voice_path: str | os.PathLike[str] | None,
        reference_text: str | None,
        language: str | None,
        seed: int | None,
        speed: float,
        options: dict[str, Any],
        normalize: str | None = None,
        check_words: bool = False,
        timestamps: str | None = None,
    ) -> Ask:
        if voice is not None and voice_path is not None:
            raise InvalidOption("voice and voice_path are both given", who="voice", fix="give one of the two")
        chosen = voice_path if voice is None else voice
        recording = find_voice(chosen, reference_text=reference_text, spec=self._spec, settings=self._settings)
        if isinstance(recording, str):
            recording = self._builtin_voice(recording)
        return Ask(recording, language, seed, speed, options, normalize, check_words, timestamps)

    def _builtin_voice(self, name: str) -> str:
        """Return the id of a built-in voice, checked before any load where the plugin can name its voices."""
        voices = voices_before_load(self._spec, self._ladder.checkpoint)
        if voices is None:
            return name
        return builtin_voice(name, voices, spec=self._spec, settings=self._settings)

    def _plan(self, text: object, ask: Ask) -> Plan:
        try:
            return make_plan(text, ask, spec=self._spec, settings=self._settings, extensions=self._extensions)
        except UnknownLanguage as error:
            name_speaker(error, ask.language, self._spec, self._settings)
            raise

    def _speech_job(self, plans: Sequence[Plan], priority: Priority = "interactive") -> SpeechJob:
        return SpeechJob(plans, self._ladder, self._extensions, self._deadline(), priority=check_priority(priority))

    def _speak(self, plans: Sequence[Plan], ask: Ask, priority: Priority) -> list[Speech]:
        try:
            return self._turn.run(self._speech_job(plans, priority))  # type: ignore[no-any-return]
        except LadderExhausted as error:
            return self._cross(plans, ask, priority, error)

    def _cross(self, plans: Sequence[Plan], ask: Ask, priority: Priority, error: LadderExhausted) -> list[Speech]:
        return self._crossing.speak(error, ask, [plan.text for plan in plans], plans[0].seed, priority)

    def _deadline(self) -> Deadline | None:
        seconds = self._settings.request_timeout_s
        return Deadline(seconds, f"provider {self._spec.name!r}") if seconds else None

    def _grow(self, ask: Ask) -> Growth:
        return grow_plan(ask, spec=self._spec, settings=self._settings, extensions=self._extensions)

    def _stream(self, plan: Plan, ask: Ask, priority: Priority, feeder: Feeder | None = None) -> ChunkStream:
        def cross(error: LadderExhausted) -> tuple[ChunkStream, str]:
            return self._crossing.over(
                error, ask, lambda other: other.stream(plan.text, priority=priority, **arguments(ask, plan.seed))
            )

        job = StreamJob(
            plan, self._ladder, self._extensions, self._engine.wake, self._deadline(), feeder=feeder, priority=priority
        )
        # What was read of a text that is still being written cannot be read again by somebody else.
        may_cross = feeder is None and self._crossing.allows(ask)
        return self._turn.add(ChunkStream(job, self._turn, keep_alive=self, cross=cross if may_cross else None))


def _ladder(
    place: LadderPlace | None,
    spec: ProviderSpec,
    layers: Layers,
    checkpoint: Checkpoint | None,
    report: Callable[[Event], None],
) -> AnyLadder:
    """Make the ladder where the provider runs: in this process, or in another place."""
    if place is not None:
        return place.ladder(spec, layers, checkpoint, report)
    cache = VoiceCache(max_bytes=layers.settings.voice_cache_mb << 20)
    return Ladder(LadderSetup(spec, layers, checkpoint, cache, report))
