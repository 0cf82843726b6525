"""From a request to what the networks need: ids, sampling parameters, limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.errors import TextTooLong, UnknownLanguage
from realtts.kit.retries import excerpt
from realtts.kit.steps import chosen_steps
from realtts.text import most_seconds
from realtts_chatterbox.constants import MOST_TEXT_TOKENS, MOST_TOKENS, TOKENS_PER_SECOND
from realtts_chatterbox.languages import LANGUAGES
from realtts_chatterbox.options import EMOTIONS, ChatterboxOptions

if TYPE_CHECKING:
    from realtts.contract.context import Context
    from realtts.contract.types import Request, Unread
    from realtts_chatterbox.configurations import Defaults
    from realtts_chatterbox.weights import Weights

__all__ = ["Ask", "prepare"]


@dataclass(frozen=True)
class Ask:
    """A request in the model's terms.

    Attributes:
        kind: Name of the configuration.
        ids: Text tokens, START and STOP around them where the model has them.
        language: Language code of the text.
        exaggeration: Strength of the emotion; 0 for Turbo, which has none.
        cfg_weight: Strength of guidance; 0 for Turbo.
        temperature: Sampling temperature.
        repetition_penalty: Penalty on tokens that came before.
        min_p: Least probability relative to the likeliest token's; 0: off.
        top_p: Probability mass that is sampled from; 1: off.
        top_k: Number of tokens that are sampled from; 0: off.
        least: Fewest speech tokens: the end is not drawn before.
        most: Most speech tokens.
        forced: Draw exactly ``most`` tokens, all of them sound: for benchmarks.
        steps: Steps of the flow's solver.
        seed: Seed of tokens and noise.
        watermark: Whether the audio is marked.
        chunk_tokens: New tokens in the first chunk of a stream.
        lookahead_tokens: Tokens that must be known beyond a chunk.
        warnings: Messages for the user.
        unread: What of the text the vocabulary has no token for.
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
    unread: tuple[Unread, ...] = ()


def prepare(context: Context, weights: Weights, request: Request) -> Ask:
    """Translate a request into the model's terms; whatever cannot be spoken is refused here.

    Args:
        context: Of the stage; it may force the number of tokens.
        weights: The checkpoint.
        request: With options that are checked already.

    Raises:
        UnknownLanguage: The model, or what is installed, does not speak the language.
        UnspeakableText: The vocabulary has nothing of the text.
        TextTooLong: More tokens than the model has positions.
    """
    reader, default = weights.reader, weights.configuration.defaults
    kind = weights.configuration.name
    options = ChatterboxOptions.of(request)
    language = _language(kind, request.language)
    readable = reader.readable(request.text, language)
    ids = reader.ids(readable.text, language)
    if len(ids) > MOST_TEXT_TOKENS:
        raise TextTooLong(
            f"the text has {len(ids)} tokens, and the model takes {MOST_TEXT_TOKENS}", who="chatterbox",
            fix="split it into shorter sentences",
        )  # fmt: skip
    # Some languages are prepared word by word, and a word may become what no character of it does.
    whole = reader.reads_all(readable.text, language)
    partly = () if whole else (f"chatterbox has no sound for a part of {excerpt(readable.text)}: left out",)
    forced = context.forced_tokens(request.text)
    least, most = (1, _cap(request.text, language, options)) if forced is None else (forced, forced)
    presets = {"fast": default.steps // 2, "full": default.steps}
    steps, warned = chosen_steps(options.n_cfm_timesteps, options.quality, presets)
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
        warnings=(*warned, *_ignored(kind, options), *reader.warnings(language), *partly),
        unread=readable.unread,
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
    """Return the most speech tokens of a text. A cap is needed: after short texts the model goes on with noises."""
    if options.max_new_tokens is not None:
        return options.max_new_tokens
    return round(TOKENS_PER_SECOND * most_seconds(text, language))


def _exaggeration(default: Defaults, options: ChatterboxOptions) -> float:
    if default.exaggeration is None:
        return 0.0
    named = default.exaggeration if options.emotion is None else EMOTIONS[options.emotion]
    return named if options.exaggeration is None else options.exaggeration


def _pick(value: float | None, default: float | None) -> float:
    """Return an option's value, else the model's default; 0 where the model has no such option."""
    if default is None:
        return 0.0
    return default if value is None else value


def _ignored(kind: str, options: ChatterboxOptions) -> tuple[str, ...]:
    """Warn of options that this model does not have."""
    names = ("exaggeration", "cfg_weight", "min_p", "emotion") if kind == "turbo" else ("top_k",)
    ignored = [name for name in names if getattr(options, name) is not None]
    return (f"Chatterbox {kind} has no {', '.join(ignored)}: ignored.",) if ignored else ()
