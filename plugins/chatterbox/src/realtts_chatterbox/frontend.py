"""From a request to what the networks need: ids, sampling parameters, limits."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.errors import TextTooLong, UnknownLanguage
from realtts_chatterbox.languages import LANGUAGES
from realtts_chatterbox.options import EMOTIONS, ChatterboxOptions

if TYPE_CHECKING:
    from realtts.context import Context
    from realtts.speech import Request
    from realtts_chatterbox.text import TextReader

__all__ = ["DEFAULTS", "MOST_TEXT_TOKENS", "MOST_TOKENS", "TOKENS_PER_SECOND", "Ask", "Defaults", "prepare"]

TOKENS_PER_SECOND = 25

MOST_TEXT_TOKENS = 2050
"""Positions for text tokens, START and STOP among them."""

MOST_TOKENS = 4096
"""Positions for speech tokens."""

_DENSE = ("ja", "ko", "zh")
"""Languages that write a syllable or more with one character."""

_WORDS, _SHARES = ("Nd", "Sc"), "%\u2030"
"""What is read as words: digits and currencies, by their category in Unicode, and signs of per cent and per mille."""


@dataclass(frozen=True)
class Defaults:
    """What upstream's ``generate`` of a model takes where nothing is given; None where the model has no such thing."""

    exaggeration: float | None = 0.5
    cfg_weight: float | None = 0.5
    repetition_penalty: float = 1.2
    min_p: float | None = 0.05
    top_p: float = 1.0
    top_k: int | None = None
    steps: int = 10


DEFAULTS = {
    "english": Defaults(),
    "multilingual": Defaults(repetition_penalty=2.0),
    "turbo": Defaults(exaggeration=None, cfg_weight=None, min_p=None, top_p=0.95, top_k=1000, steps=2),
}


@dataclass(frozen=True)
class Ask:
    """A request in the model's terms.

    Attributes:
        kind: Of the model.
        ids: Text tokens, START and STOP around them where the model has them.
        language: Of the text.
        exaggeration: Strength of the emotion; 0 for Turbo, which has none.
        cfg_weight: Of guidance; 0 for Turbo.
        temperature: Of sampling.
        repetition_penalty: On tokens that came before.
        min_p: 0 for none.
        top_p: 1 for none.
        top_k: 0 for none.
        least: Speech tokens that come before the end may.
        most: Most speech tokens.
        forced: ``least`` and ``most`` are equal by order of a benchmark: nothing but sound may be drawn.
        steps: Of the flow's solver.
        seed: Of all randomness.
        watermark: Whether the audio is marked.
        chunk_tokens: New tokens in a chunk of a stream.
        lookahead_tokens: Tokens that must be known beyond them.
        warnings: For the user.
    """

    kind: str
    ids: tuple[int, ...]
    language: str
    exaggeration: float
    cfg_weight: float
    temperature: float
    repetition_penalty: float
    min_p: float
    top_p: float
    top_k: int
    least: int
    most: int
    forced: bool
    steps: int
    seed: int
    watermark: bool
    chunk_tokens: int
    lookahead_tokens: int
    warnings: tuple[str, ...] = ()


def prepare(context: Context, reader: TextReader, request: Request) -> Ask:
    """Read a request.

    Args:
        context: Of the stage; it may force the number of tokens.
        reader: The model's tokenizer.
        request: Checked by the facade.

    Raises:
        UnknownLanguage: The model, or what is installed, does not speak the language.
        TextTooLong: More tokens than the model has positions.
    """
    kind = reader.kind
    options = request.options if isinstance(request.options, ChatterboxOptions) else ChatterboxOptions()
    language = _language(kind, request.language)
    ids = reader.ids(request.text, language)
    if len(ids) > MOST_TEXT_TOKENS:
        raise TextTooLong(
            f"the text has {len(ids)} tokens, and the model takes {MOST_TEXT_TOKENS}", who="chatterbox",
            fix="split it into shorter sentences",
        )  # fmt: skip
    forced = context.forced_tokens(request.text)
    least, most = (1, _cap(request.text, language, options)) if forced is None else (forced, forced)
    steps, warned = _steps(kind, options)
    default = DEFAULTS[kind]
    return Ask(
        kind=kind,
        ids=ids,
        language=language,
        exaggeration=_exaggeration(default, options),
        cfg_weight=_pick(options.cfg_weight, default.cfg_weight),
        temperature=options.temperature,
        repetition_penalty=options.repetition_penalty or default.repetition_penalty,
        min_p=_pick(options.min_p, default.min_p),
        top_p=options.top_p or default.top_p,
        top_k=int(_pick(options.top_k, default.top_k)),
        least=min(least, MOST_TOKENS),
        most=min(most, MOST_TOKENS),
        forced=forced is not None,
        steps=steps,
        seed=request.seed,
        watermark=options.watermark,
        chunk_tokens=options.chunk_tokens,
        lookahead_tokens=options.lookahead_tokens,
        warnings=(*warned, *_ignored(kind, options), *reader.warnings(language)),
    )


def _language(kind: str, language: str | None) -> str:
    chosen = language or LANGUAGES[0]
    if chosen != "en" and (kind != "multilingual" or chosen not in LANGUAGES):
        raise UnknownLanguage(
            f"this model does not speak {chosen!r}", who=f"chatterbox {kind}",
            fix="use model='multilingual'" if chosen in LANGUAGES else f"choose from {', '.join(LANGUAGES)}",
        )  # fmt: skip
    return chosen


def _cap(text: str, language: str, options: ChatterboxOptions) -> int:
    """Tokens that a text can need: 2.5 s, and three times the length that ordinary speech has.

    What the model does beyond is not speech: after a short text it is known to go on with noises. A digit, or a sign of
    a currency or of a share, is a word of its own or more.
    """
    if options.max_new_tokens is not None:
        return options.max_new_tokens
    each = 0.5 if language in _DENSE else 0.2
    seconds = sum(0.8 if unicodedata.category(letter) in _WORDS or letter in _SHARES else each for letter in text)
    return round(TOKENS_PER_SECOND * (2.5 + seconds))


def _steps(kind: str, options: ChatterboxOptions) -> tuple[int, tuple[str, ...]]:
    full = DEFAULTS[kind].steps
    if options.n_cfm_timesteps is not None:
        return options.n_cfm_timesteps, ()
    if options.quality == "full":
        return full, ()
    return full // 2, (f"Spoken in the quality 'fast': {full // 2} solver steps instead of {full}.",)


def _exaggeration(default: Defaults, options: ChatterboxOptions) -> float:
    if default.exaggeration is None:
        return 0.0
    named = default.exaggeration if options.emotion is None else EMOTIONS[options.emotion]
    return named if options.exaggeration is None else options.exaggeration


def _pick(given: float | None, default: float | None) -> float:
    """What was given, if the model has it."""
    if default is None:
        return 0.0
    return default if given is None else given


def _ignored(kind: str, options: ChatterboxOptions) -> tuple[str, ...]:
    """Options that were given and mean nothing to this model."""
    names = ("exaggeration", "cfg_weight", "min_p", "emotion") if kind == "turbo" else ("top_k",)
    given = [name for name in names if getattr(options, name) is not None]
    return (f"Chatterbox {kind} has no {', '.join(given)}: ignored.",) if given else ()
