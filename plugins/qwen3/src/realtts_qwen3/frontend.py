"""A request in the model's terms: ids, sampling parameters, limits. What a model cannot do is refused here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realtts.contract.types import Voice
from realtts.errors import InvalidOption, UnknownLanguage, VoiceUnsupported
from realtts.kit.voices import matching_name, no_voice
from realtts.text import most_seconds
from realtts_qwen3.constants import FRAMES_PER_SECOND
from realtts_qwen3.languages import NAMES
from realtts_qwen3.options import Qwen3Options
from realtts_qwen3.reading import readable
from realtts_qwen3.utterance import DEFAULTS, MAX_FRAMES, Utterance, params_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.accel.sampling import SamplingParams
    from realtts.contract.context import Context
    from realtts.contract.types import Request, Unread
    from realtts_qwen3.loading import Weights
    from realtts_qwen3.sizes import Sizes
    from realtts_qwen3.voices import VoicePrompt

__all__ = ["Ask", "prepare", "utterance_of"]


@dataclass(frozen=True)
class Ask:
    """A request in the model's terms.

    Attributes:
        role: Ids before the text.
        text: Ids of the text alone.
        language: Id of the language or dialect in the talker's vocabulary; None: the model recognizes it.
        speaker: Id in the talker's vocabulary; None without one.
        voice: Recording to clone; None without one.
        reference: Ids of its words; empty: it is cloned by the speaker embedding alone.
        instruct: Ids of the instruction, with the tokens around it.
        non_streaming: Whether the whole text stands before the first frame.
        talker: Sampling of each frame's first code.
        predictor: Sampling of the others.
        max_frames: Most frames.
        forced: Draw exactly ``max_frames`` frames, for a benchmark: the end may not be drawn.
        seed: Seed of all randomness.
        chunk_frames: Frames in the first chunk of a stream.
        chunk_growth: How many times a chunk is the one before it.
        max_chunk_frames: Most frames of a chunk.
        warnings: For the user.
        unread: Pictures in the text, which the vocabulary can write but nobody can read.
    """

    role: tuple[int, ...]
    text: tuple[int, ...]
    language: int | None
    speaker: int | None
    voice: Voice | None
    reference: tuple[int, ...]
    instruct: tuple[int, ...]
    non_streaming: bool
    talker: SamplingParams
    predictor: SamplingParams
    max_frames: int
    forced: bool
    seed: int
    chunk_frames: int
    chunk_growth: float
    max_chunk_frames: int
    warnings: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()


def prepare(context: Context, weights: Weights, request: Request) -> Ask:
    """Translate a request.

    Args:
        context: Context of the stage; it may force the number of frames.
        weights: The checkpoint.
        request: Checked by the facade.

    Raises:
        UnknownLanguage: The checkpoint does not list the language.
        VoiceUnsupported: A recording for a model that cannot clone, or none for one that can only clone.
        VoiceNotFound: The checkpoint has no such speaker.
        InvalidOption: An option that this kind of model does not have, or that contradicts the voice.
        UnspeakableText: There are only pictures in the text.
    """
    options = Qwen3Options.of(request)
    sizes, reader = weights.sizes, weights.reader
    voice = _recording(sizes, request.voice)
    name = _speaker(sizes, request.voice, options.speaker)
    forced = context.forced_tokens(request.text)
    instruct, warnings = _instruct(sizes, options)
    words = "" if voice is None or options.x_vector_only_mode else (voice.text or "")
    text = readable(request.text)
    talker, predictor = params_of(_sampling(weights.defaults, options))
    return Ask(
        role=reader.role,
        text=reader.ids(text.text),
        language=_language(sizes, request.language, name),
        speaker=None if name is None else sizes.speakers[name],
        voice=voice,
        reference=reader.ids(words),
        instruct=reader.instruction(instruct),
        # The defaults of upstream's three calls.
        non_streaming=voice is None if options.non_streaming_mode is None else options.non_streaming_mode,
        talker=talker,
        predictor=predictor,
        max_frames=min(_cap(request, options) if forced is None else forced, MAX_FRAMES),
        forced=forced is not None,
        seed=request.seed,
        chunk_frames=options.chunk_frames,
        chunk_growth=options.chunk_growth,
        max_chunk_frames=options.max_chunk_frames,
        warnings=warnings,
        unread=text.unread,
    )


def utterance_of(ask: Ask, prompt: VoicePrompt | None) -> Utterance:
    """Return a request as the talker takes it.

    Args:
        ask: The request.
        prompt: The prompt of its voice; None where it has none.
    """
    return Utterance(
        role=ask.role,
        text=ask.text,
        language=ask.language,
        speaker=ask.speaker,
        voice=None if prompt is None else prompt.embedding,
        reference=ask.reference,
        codes=prompt.codes if prompt is not None and ask.reference else None,
        instruct=ask.instruct,
        non_streaming=ask.non_streaming,
        talker=ask.talker,
        predictor=ask.predictor,
        seed=ask.seed,
        max_frames=ask.max_frames,
        forced=ask.forced,
    )


def _recording(sizes: Sizes, voice: Voice | str | None) -> Voice | None:
    """Return the recording to clone: a model that clones needs one, and no other can use it."""
    if sizes.kind == "base":
        if isinstance(voice, Voice):
            return voice
        raise VoiceUnsupported(
            "this model speaks only with the voice of a recording", who="qwen3 base",
            fix="give voice= a recording, or use model='0.6b-custom-voice'",
        )  # fmt: skip
    if isinstance(voice, Voice):
        raise VoiceUnsupported(
            "this model cannot clone", who=f"qwen3 {sizes.kind}", fix="use model='0.6b-base' or '1.7b-base'"
        )
    return None


def _speaker(sizes: Sizes, voice: Voice | str | None, speaker: str | None) -> str | None:
    """Return the speaker's name in the checkpoint; the first one where none is given."""
    named = _speaker_name(sizes, voice) if isinstance(voice, str) else None
    name = _speaker_name(sizes, speaker) if speaker else named
    if sizes.kind != "custom_voice":
        if name is not None:
            raise InvalidOption(
                "this model has no speakers", who=f"qwen3 {sizes.kind}", fix="use model='0.6b-custom-voice'"
            )
        return None
    if named is not None and named != name:
        raise InvalidOption(f"voice is {voice!r} and speaker {speaker!r}", who="speaker", fix="give one of the two")
    if name is None:
        name = next(iter(sizes.speakers), None)
    if name not in sizes.speakers:
        raise no_voice(name, sizes.speakers, "qwen3", instead="clone a recording with model='0.6b-base'")
    return name


def _speaker_name(sizes: Sizes, name: str) -> str:
    return matching_name(name, sizes.speakers) or name


def _language(sizes: Sizes, language: str | None, speaker: str | None) -> int | None:
    """Return the id of the language; a speaker of a dialect speaks it where the language is Chinese or not given."""
    dialect = sizes.dialects.get(speaker or "")
    name = NAMES.get(language or "")
    if name in {None, "chinese"} and dialect is not None:
        name = dialect
    if name is None:
        return None
    if name not in sizes.languages:
        tags = [tag for tag, spoken in NAMES.items() if spoken in sizes.languages]
        raise UnknownLanguage(
            f"the checkpoint does not speak {name}", who=f"qwen3 {sizes.kind}", fix=f"choose from {', '.join(tags)}"
        )
    return sizes.languages[name]


def _instruct(sizes: Sizes, options: Qwen3Options) -> tuple[str | None, tuple[str, ...]]:
    """Return the instruction, if the model follows any, and warnings; upstream drops it without a warning."""
    if options.instruct is None or not options.instruct.strip() or sizes.follows_instructions:
        return options.instruct, ()
    model = "Base" if sizes.kind == "base" else "0.6B CustomVoice"
    return None, (f"Qwen3-TTS {model} follows no instructions: instruct was ignored; a 1.7B model heeds it.",)


def _sampling(defaults: Mapping[str, Any], options: Qwen3Options) -> dict[str, Any]:
    """Return the sampling parameters: the options', else the checkpoint's, else upstream's."""
    values = {name: getattr(options, name) for name in DEFAULTS}
    return {name: value if value is not None else defaults.get(name, DEFAULTS[name]) for name, value in values.items()}


def _cap(request: Request, options: Qwen3Options) -> int:
    """Return the most frames that a text can need.

    Once in some hundred requests the model never draws the end, and goes on up to the limit.
    """
    if options.max_new_tokens is not None:
        return options.max_new_tokens - 1
    return round(FRAMES_PER_SECOND * most_seconds(request.text, request.language))
