"""From a request to what the networks need: sentences, tokens, parameters, limits; refuses what the model cannot do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from realtts.contract.types import Voice
from realtts.errors import InvalidOption, SettingsError, VoiceUnsuitable
from realtts.kit import seeds
from realtts.machine.hardware import resolve_device
from realtts_vieneu import spec
from realtts_vieneu.options import VieNeuOptions
from realtts_vieneu.text import Sentence, finished, is_spoken, reading_sentences, spoken_length, unread_in, words_of
from realtts_vieneu.utterance import LEAST, Utterance, shared
from realtts_vieneu.voices import read_saved

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from realtts.accel.sampling import SamplingParams
    from realtts.contract.context import Context
    from realtts.contract.types import Request, Unread
    from realtts_vieneu.loading import Weights

__all__ = ["Ask", "making_utterances", "needs_of", "prepare", "preparing", "tokens_for", "utterances_of"]

_SLACK = 100
_MOST_PER_PHONEME = 5
"""Limit of a sentence's tokens: 2 s, and five for each character of its phonemes. Of 129,790 sentences that upstream
counted half have 2.1 for each, and one in a hundred more than 4.4 (``vieneu_utils/core_utils.py``, for 12.5 frames a
second)."""

_USUAL_PER_PHONEME = 2.1
"""Tokens for each character of the phonemes: half of those sentences need more."""

_TURBO_ONLY = ("top_p", "repetition_penalty", "denoise")


@dataclass(frozen=True)
class Ask:
    """A request in the model's terms.

    Attributes:
        sentences: At least one; each is spoken by itself.
        form: Form of the prompt, ``"chat"`` or ``"tags"``.
        emotion: How the model reads.
        voice: Recording to clone; None: ``codes`` are known.
        codes: Of a preset or saved voice.
        words: Phonemes of the words of its recording.
        params: How tokens are drawn.
        limits: Most tokens of each sentence.
        forced: Whether a benchmark forces exactly so many tokens: the end cannot be drawn.
        retry: Whether a sentence that runs away, or ends too early, is drawn once more.
        seeds: Of the randomness of each sentence.
        silence: Seconds between two sentences.
        speech_only: Whether speech alone can be drawn; None: unless the precision is float32.
        codec_device: Where codes are decoded; None: where the model is.
        chunk_frames: New tokens of a stream's chunk.
        lookback: Tokens before them that are decoded again.
        look_ahead: Tokens behind them that are waited for.
        warnings: For the user.
        unread: What of the text has no sound.
    """

    sentences: tuple[Sentence, ...]
    form: str
    emotion: str
    voice: Voice | None
    codes: tuple[int, ...]
    words: str
    params: SamplingParams
    limits: tuple[int, ...]
    forced: bool
    retry: bool
    seeds: tuple[int, ...]
    silence: float
    speech_only: bool | None
    codec_device: str | None
    chunk_frames: int
    lookback: int
    look_ahead: int
    warnings: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()


def prepare(context: Context, weights: Weights, request: Request) -> Ask:
    """Read a request.

    Args:
        context: Of the stage; it may force the number of tokens, all sentences together.
        weights: The checkpoint.
        request: Checked by the facade.

    Raises:
        UnspeakableText: Nothing of the text has a sound in Vietnamese or English.
        VoiceNotFound: There is no preset or saved voice of that name.
        InvalidOption: An option that this model does not have, a device that this machine does not have, or a file of
            saved codes that cannot be read; or nothing says in which form the model was trained to read prompts.
    """
    return finished(preparing(context, weights, request))


def preparing(context: Context, weights: Weights, request: Request) -> Generator[None, None, Ask]:
    """Return what `prepare` does; yields after each sentence."""
    options = VieNeuOptions.of(request)
    _refuse(options)
    form = _form(weights, options)
    voice = request.voice if isinstance(request.voice, Voice) else None
    codes, words = _voice(weights, request.voice, options)
    codec_device = _codec_device(options)
    # The text is normalised and phonemized last, because that takes longest.
    sentences = yield from reading_sentences(request.text, options.max_chars)
    forced = context.forced_tokens(request.text)
    return Ask(
        sentences=tuple(sentences),
        form=form,
        emotion=options.emotion,
        voice=voice,
        codes=codes,
        words=words,
        params=_params(weights.drawing, options),
        limits=_limits(options, sentences, forced),
        forced=forced is not None,
        retry=context.settings.retry_runaway and forced is None and not options.bounds_length(),
        # The first sentence has the request's seed, so that one sentence alone is as upstream draws it.
        seeds=tuple(seeds.piece_seed(request.seed, index) for index in range(len(sentences))),
        silence=options.silence,
        speech_only=options.speech_only,
        codec_device=codec_device,
        chunk_frames=options.chunk_frames,
        lookback=options.lookback,
        look_ahead=options.look_ahead,
        warnings=_warnings(weights, options, form),
        unread=unread_in(request.text),
    )


def needs_of(request: Request) -> tuple[bool | None, str | None]:
    """Return what of a request's options decides which weights are in memory: ``speech_only`` and ``codec_device``.

    Raises:
        InvalidOption: This machine has no such device.
    """
    options = VieNeuOptions.of(request)
    return options.speech_only, _codec_device(options)


def utterances_of(weights: Weights, ask: Ask, codes: Sequence[int]) -> list[Utterance]:
    """Return a request's sentences as the language model takes them.

    Args:
        weights: The checkpoint.
        ask: The request.
        codes: Of its voice.

    Raises:
        VoiceUnsuitable: With the recording a prompt leaves too little room for the speech.
    """
    return finished(making_utterances(weights, ask, codes))


def making_utterances(weights: Weights, ask: Ask, codes: Sequence[int]) -> Generator[None, None, list[Utterance]]:
    """Return what `utterances_of` does; yields after each sentence."""
    prompts: list[tuple[int, ...]] = []
    for sentence in ask.sentences:
        prompts.append(weights.reader.prompt(ask.form, ask.words, sentence.phonemes, codes, emotion=ask.emotion))
        yield
    context = weights.sizes.context
    for prompt, sentence, limit in zip(prompts, ask.sentences, ask.limits, strict=True):
        needed = max(LEAST, min(limit, round(_USUAL_PER_PHONEME * spoken_length(sentence.phonemes))))
        if len(prompt) + needed > context:
            raise VoiceUnsuitable(
                f"a prompt has {len(prompt)} tokens, {len(codes)} of them the recording's, and of the model's {context}"
                f" too few are left for speech of about {needed}",
                who="vieneu", fix="give a shorter recording with its words, or a smaller max_chars",
            )  # fmt: skip
    opening = weights.reader.opening(ask.form, ask.words, emotion=ask.emotion)
    return [
        Utterance(
            ids=prompt,
            most=(most := min(limit, context - len(prompt))),
            prefix=shared(prompt, opening),
            params=ask.params,
            seed=seed,
            least=min(LEAST, most),
            forced=ask.forced,
            text=sentence.text,
            retry=ask.retry,
        )
        for prompt, sentence, limit, seed in zip(prompts, ask.sentences, ask.limits, ask.seeds, strict=True)
    ]


def tokens_for(sentence: Sentence) -> int:
    """Return the limit of a sentence's tokens.

    Without it a model that misses the end would go on up to its context, with silence or with words of its own.
    """
    return _SLACK + _MOST_PER_PHONEME * spoken_length(sentence.phonemes)


def _refuse(options: VieNeuOptions) -> None:
    names = [name for name in _TURBO_ONLY if name in options.model_fields_set]
    if names:
        raise InvalidOption(f"{names[0]} is given", who="vieneu", fix="leave it out: only v3 Turbo has it")


def _codec_device(options: VieNeuOptions) -> str | None:
    """Return the device by its whole name, so that ``"cuda"`` and ``"cuda:0"`` are one."""
    if options.codec_device is None:
        return None
    try:
        return resolve_device(options.codec_device, spec)
    except SettingsError as error:
        raise InvalidOption(
            error.what, who="codec_device", fix="leave it out, or name a device of this machine"
        ) from error


def _form(weights: Weights, options: VieNeuOptions) -> str:
    if options.prompt_format is not None:
        return options.prompt_format
    if weights.configuration is None:
        raise InvalidOption(
            "nothing says how this model was trained to be asked, and asked otherwise it speaks nonsense",
            who="prompt_format",
            fix='say configuration="v1" (or "0.3b", "v2") in the call, or in a file realtts.json beside it, or give'
            " prompt_format='chat' for v1 and 'tags' for the others",
        )
    return weights.configuration.prompt


def _voice(weights: Weights, voice: Voice | str | None, options: VieNeuOptions) -> tuple[tuple[int, ...], str]:
    """Return codes, where they are known, and phonemes of the words."""
    if options.voices_file is not None and voice is not None:
        raise InvalidOption("voice and voices_file are given", who="vieneu", fix="give one of the two")
    if options.voices_file is None and options.saved_voice is not None:
        raise InvalidOption("saved_voice is given without voices_file", who="vieneu", fix="give both, or voice= alone")
    if isinstance(voice, Voice):
        return (), _phonemes(voice.text or "")
    if options.voices_file is None:
        preset = weights.presets.find(voice)
    else:
        preset = read_saved(options.voices_file).find(options.saved_voice)
    return preset.codes, _phonemes(preset.words)


def _phonemes(words: str) -> str:
    """Return the phonemes of a recording's words; without any the model would take the recording for silence."""
    phonemes = words_of(words)
    if not is_spoken(phonemes):
        raise VoiceUnsuitable(
            f"nothing in {words!r:.60} is said in Vietnamese or English", who="reference_text",
            fix="give the words that are said in the recording, in Latin letters or digits",
        )  # fmt: skip
    return phonemes


def _params(drawing: SamplingParams, options: VieNeuOptions) -> SamplingParams:
    values = {name: getattr(options, name) for name in ("temperature", "top_k")}
    return replace(
        drawing, greedy=not options.do_sample, **{name: value for name, value in values.items() if value is not None}
    )


def _limits(options: VieNeuOptions, sentences: Sequence[Sentence], forced: int | None) -> tuple[int, ...]:
    if forced is not None:
        return seeds.shared(forced, [len(sentence.text) for sentence in sentences])
    most = options.max_new_tokens
    return tuple(tokens_for(sentence) if most is None else most for sentence in sentences)


def _warnings(weights: Weights, options: VieNeuOptions, form: str) -> tuple[str, ...]:
    chosen = "emotion" in options.model_fields_set
    if chosen and (form == "chat" or not weights.reader.has_emotion(options.emotion)):
        return ("This model was trained to read in one way: emotion was ignored.",)
    return ()
