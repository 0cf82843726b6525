"""`RealProvider`: the face that applications see."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Literal

from realtts.contract.voice_cache import VoiceCache
from realtts.ladder.ladder import Ladder
from realtts.ladder.proposals import LadderSetup
from realtts.provider.arguments import takes_text
from realtts.provider.calls import CallArguments, Calls
from realtts.provider.choice import choose
from realtts.provider.crossing import Crossing, named_precision
from realtts.provider.engine import Engine
from realtts.provider.lifetime import ProviderLifetime
from realtts.provider.queue import Turn
from realtts.registry.extensions import discover_extensions
from realtts.registry.languages import with_languages
from realtts.synthesis.model_choice import resolve_checkpoint

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence

    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.contract.types import Chunk
    from realtts.ladder.protocols import AnyLadder, LadderPlace
    from realtts.provider.calls import VoiceLike
    from realtts.provider.shares import Priority
    from realtts.provider.stream import ChunkStream
    from realtts.settings import Layers, Settings
    from realtts.synthesis.speech import Speech

__all__ = ["RealProvider"]


class RealProvider(ProviderLifetime):
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
        self._extensions = discover_extensions()
        self._ladder = ladder = _ladder(place, self._spec, layers, checkpoint, self._extensions.on_event)
        self._engine = Engine(ladder, self._settings.queue_size, self._settings.idle_unload_s)
        self._turn = Turn(self._engine, self._spec.name, self._settings.queue_timeout_s)
        shared = {"data_dir": self._settings.data_dir, **named_precision(layers)}
        self._crossing = Crossing(self._spec, self._settings, lambda name: RealProvider(name, fallback=(), **shared))
        self._calls = Calls(
            self._spec,
            self._settings,
            ladder,
            extensions=self._extensions,
            engine=self._engine,
            turn=self._turn,
            crossing=self._crossing,
        )
        # The engine knows nothing of this object, so that dropping the last reference ends the thread.
        self._finalizer = weakref.finalize(self, self._engine.close, 3.0)
        self._finalizer.atexit = False  # then all are closed together, see `realtts.provider.shutdown`

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
        arguments = CallArguments(
            voice,
            reference_text,
            language,
            seed,
            speed,
            normalize,
            check_words,
            timestamps,
            voice_path,
            priority,
            options,
        )
        return self._calls.speak(text, arguments)

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
        arguments = CallArguments(
            voice,
            reference_text,
            language,
            seed,
            speed,
            normalize,
            check_words,
            timestamps,
            voice_path,
            priority,
            options,
        )
        return self._calls.stream(text, arguments, provider=self)

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
        arguments = CallArguments(
            voice,
            reference_text,
            language,
            seed,
            speed,
            normalize,
            check_words,
            timestamps,
            voice_path,
            priority,
            options,
        )
        return self._calls.speak_all(texts, arguments)

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
        arguments = CallArguments(
            voice,
            reference_text,
            language,
            seed,
            speed,
            normalize,
            check_words,
            timestamps,
            voice_path,
            priority,
            options,
        )
        return await self._calls.aspeak(text, arguments)

    @takes_text
    def astream(
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
        arguments = CallArguments(
            voice,
            reference_text,
            language,
            seed,
            speed,
            normalize,
            check_words,
            timestamps,
            voice_path,
            priority,
            options,
        )
        return self._calls.astream(text, arguments, provider=self)


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
