"""From a request to what the networks need: a prepared recording, and chunks of text with their lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.errors import InvalidOption, VoiceUnsuitable
from realtts.kit.seeds import shared
from realtts.kit.steps import chosen_steps
from realtts.text import readable_text
from realtts_f5.constants import HOP, RATE
from realtts_f5.durations import MOST_FRAMES, check_pace, duration, fixed, longest_word, pace, size_of
from realtts_f5.opening import begun
from realtts_f5.options import PRESETS, F5Options
from realtts_f5.solver import total_frames
from realtts_f5.text import chunks, divided, symbols
from realtts_f5.voices import reference_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.context import Context
    from realtts.contract.types import Request, Unread
    from realtts.text import ReadableText
    from realtts_f5.loading import Weights
    from realtts_f5.text import Vocabulary
    from realtts_f5.voices import Reference, Voices

__all__ = ["Ask", "ChunkPlan", "prepare"]

_LONG_FRAMES = 30 * RATE // HOP
"""Beyond 30 s, the longest that the models were trained for, a chunk is divided where there is no punctuation."""

_ALTOGETHER_S = 22
"""Seconds of recording and speech together that upstream makes chunks for."""


@dataclass(frozen=True)
class ChunkPlan:
    """A chunk of the text, which one run of the solver speaks.

    Attributes:
        index: In the text, from 0.
        text: Of the chunk.
        ids: Symbols of the recording's text and of the chunk.
        frames: Of recording and speech together.
    """

    index: int
    text: str
    ids: tuple[int, ...]
    frames: int


@dataclass(frozen=True)
class Ask:
    """A request in the model's terms.

    Attributes:
        chunks: In order, at least one.
        reference: The recording.
        seed: Of the request; the noise of a chunk is `realtts_f5.noise.chunk_noise` of it and the chunk's index.
        steps: Of the solver.
        guidance: Of the solver; 0: none.
        sway: Coefficient of the schedule; None: evenly spaced.
        cross_fade: Seconds.
        remove_silence: Whether long silences are cut.
        half: Whether half precision is allowed.
        warnings: For the user.
        unread: What of the text the vocabulary lacks.
    """

    chunks: tuple[ChunkPlan, ...]
    reference: Reference
    seed: int
    steps: int
    guidance: float
    sway: float | None
    cross_fade: float
    remove_silence: bool
    half: bool
    warnings: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()


def prepare(context: Context, weights: Weights, request: Request, *, cache: Voices | None = None) -> Ask:
    """Turn a request into chunks, their lengths, and what the solver needs.

    Args:
        context: Of the stage; it may force the number of frames that are spoken, all chunks together.
        weights: The checkpoint.
        request: Checked by the facade.
        cache: Of prepared recordings; None: the context's.

    Raises:
        UnspeakableText: The vocabulary has nothing of the text.
        VoiceError: As `realtts_f5.voices.reference_of`; or the recording's words cannot be its own.
        InvalidOption: ``fix_duration`` leaves no time for the speech, or is beyond what the networks take.
    """
    options, vocabulary = F5Options.of(request), weights.vocabulary
    readable, warnings = _readable(vocabulary, request.text)
    text = readable.text
    reference = reference_of(context.voice_cache if cache is None else cache, request, options)
    check_pace(reference)
    texts = _texts(reference, text, request.speed, limited=options.fix_duration is None)
    begins_early = request.streaming and not options.remove_silence
    if begins_early if options.short_first_chunk is None else options.short_first_chunk:
        texts = begun(reference, texts, request.speed)
    texts = [each for each in texts if _is_speakable(vocabulary, each)] or texts
    ids = [vocabulary.ids(symbols(reference.text + each)) for each in texts]
    lengths = _lengths(context, reference, request, options, texts=texts, counts=[len(row) for row in ids])
    planned = tuple(
        ChunkPlan(index=index, text=each, ids=row, frames=total_frames(reference.frames, len(row), length))
        for index, (each, row, length) in enumerate(zip(texts, ids, lengths, strict=True))
    )
    _check(planned, options)
    steps, step_warnings = chosen_steps(options.nfe_step, options.quality, PRESETS)
    return Ask(
        chunks=planned,
        reference=reference,
        seed=request.seed,
        steps=steps,
        guidance=options.cfg_strength,
        sway=options.sway_sampling_coef,
        cross_fade=options.cross_fade_duration,
        remove_silence=options.remove_silence,
        half=options.use_fp16,
        warnings=(*reference.warnings, *step_warnings, *warnings),
        unread=readable.unread,
    )


def _readable(vocabulary: Vocabulary, text: str) -> tuple[ReadableText, tuple[str, ...]]:
    """Return the text without what the vocabulary lacks, and a warning if a word becomes what no character of it does.

    Raises:
        UnspeakableText: Nothing of it is left.
    """
    readable = readable_text(text, vocabulary.reads, who="f5")
    unknown = vocabulary.unknown(symbols(readable.text))
    return readable, (f"f5 has no sound for {' '.join(unknown[:20])}: left out",) if unknown else ()


def _is_speakable(vocabulary: Vocabulary, text: str) -> bool:
    """Return whether the vocabulary has a letter or digit of the text."""
    row = symbols(text)
    unknown = vocabulary.unknown(row)
    return any(symbol.isalnum() and symbol not in unknown for symbol in row)


def _texts(reference: Reference, text: str, speed: float, *, limited: bool) -> list[str]:
    """Split a text into chunks as upstream does, and further where one is longer than the models were trained for."""
    most = int(pace(reference) * (_ALTOGETHER_S - reference.seconds) * speed)
    longest = longest_word(reference, speed, _LONG_FRAMES)
    texts: list[str] = []
    for chunk in filter(None, chunks(text, most)):
        is_long = limited and reference.hops + duration(reference, chunk, speed) > _LONG_FRAMES
        texts += divided(chunk, max(most, 1), longest_word=longest) if is_long else [chunk]
    return texts


def _lengths(
    context: Context,
    reference: Reference,
    request: Request,
    options: F5Options,
    *,
    texts: Sequence[str],
    counts: Sequence[int],
) -> list[int]:
    """Compute the frames of every chunk, the recording's included, before the least that a chunk must have."""
    forced = context.forced_tokens(request.text)
    if forced is not None:
        return [reference.hops + frames for frames in shared(forced, [size_of(text) for text in texts])]
    if options.fix_duration is None:
        return [reference.hops + duration(reference, text, request.speed) for text in texts]
    return fixed(
        reference, texts, counts,
        seconds=options.fix_duration, fade=options.cross_fade_duration, speed=request.speed,
    )  # fmt: skip


def _check(planned: Sequence[ChunkPlan], options: F5Options) -> None:
    """Refuse a chunk of more frames than the networks have positions for."""
    longest = max(planned, key=lambda chunk: chunk.frames)
    if longest.frames <= MOST_FRAMES:
        return
    if options.fix_duration is not None:
        seconds, most = longest.frames * HOP / RATE, MOST_FRAMES * HOP / RATE
        raise InvalidOption(
            f"fix_duration makes a chunk of {seconds:.0f} s, and the networks take {most:.0f} s", who="f5",
            fix="give less, or a longer text",
        )  # fmt: skip
    # A chunk has a frame for every symbol, and by the text's own length none is longer than the models know.
    raise VoiceUnsuitable(
        f"with the words of the recording a chunk has {len(longest.ids)} symbols, and the networks take {MOST_FRAMES}",
        who="f5", fix="give reference_text= the words that are said in the recording, and no others",
    )  # fmt: skip
