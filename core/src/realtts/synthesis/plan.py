"""From the caller's arguments to a plan: pieces of text as validated requests, before any model work."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from realtts import text as texts
from realtts.contract.types import Request
from realtts.errors import InvalidOption, UnknownLanguage, UnspeakableText
from realtts.kit.seeds import piece_seed
from realtts.synthesis.cancellation import Cancellation
from realtts.synthesis.validate import check_language, check_options, check_seed, check_speed
from realtts.text.edited import EditedText
from realtts.text.frontend import prepare, steps_without

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtts.contract.options import Options
    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import Voice
    from realtts.registry.extensions import Extensions
    from realtts.settings import Settings
    from realtts.text.frontend import Change

__all__ = ["Ask", "Piece", "Plan", "make_plan"]

SENTENCE_PAUSE_S = 0.15
PARAGRAPH_PAUSE_S = 0.45
"""Silence between pieces at natural rate; models end a piece with little silence of their own."""


@dataclass(frozen=True)
class Ask:
    """The arguments of a call beside the text; the voice was looked up, the rest was not checked yet."""

    voice: Voice | str | None
    language: str | None
    seed: int | None
    speed: float
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Piece:
    """A part of the text that is spoken by one call of the provider.

    Attributes:
        request: The request for it.
        start: Where its text begins in the prepared text.
        pause_s: Silence after it, before the next piece.
    """

    request: Request
    start: int = 0
    pause_s: float = 0.0


@dataclass(frozen=True)
class Plan:
    """A whole text, ready to be spoken.

    Attributes:
        text: The caller's original text.
        pieces: What to speak, in order; at least one.
        seed: Seed of the first piece; the others' are derived from it.
        stretch: Factor by which the audio is time-stretched; 1.0: not at all.
        to_original: Maps a span of the prepared text to a span of ``text``.
        limited: The caller set a length limit, so reaching it is no runaway.
        markup: The text is SSML.
        changes: What the steps of the text front end have made of the text.
        warnings: What the caller should know about the text.
        cancelled: Set when the caller has lost interest or its time has run out.
    """

    text: str
    pieces: tuple[Piece, ...]
    seed: int
    stretch: float
    to_original: Callable[[tuple[int, int]], tuple[int, int]]
    limited: bool
    markup: bool
    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()
    cancelled: Cancellation = field(default_factory=Cancellation)


def make_plan(text: object, ask: Ask, *, spec: ProviderSpec, settings: Settings, extensions: Extensions) -> Plan:
    """Check all arguments and split the text.

    Raises:
        InputError: The text, language, seed, speed or an option is wrong.
        ExtensionError: An extension failed.
    """
    who = f"provider {spec.name!r}"
    original = texts.check_text(text, max_chars=settings.max_text_chars, who=who)
    language = _language(ask.language, spec, settings)
    speed = check_speed(ask.speed, who)
    chosen = check_options(ask.options, spec)
    cancelled = Cancellation()
    markup = _markup(chosen, spec)
    # An extension knows nothing of markup, and would break it.
    rewritten = original if markup else extensions.prepare_text(original, language)
    if rewritten != original:
        rewritten = texts.check_text(rewritten, max_chars=settings.max_text_chars, who=f"{who}, text of the extensions")
    steps = () if markup else steps_without(spec.declined_text_steps)
    prepared = prepare(EditedText(rewritten), language, steps)
    aligned, exact = texts.align(original, rewritten), prepared.edited.to_original
    first_seed = secrets.randbits(31) if ask.seed is None else check_seed(ask.seed, who)
    own_speed = "speed" in spec.capabilities
    template = Request(
        text=prepared.edited.text,
        voice=ask.voice,
        language=language,
        seed=first_seed,
        speed=speed if own_speed else 1.0,
        options=chosen,
        cancelled=cancelled.is_set,
    )
    return Plan(
        text=original,
        pieces=_split(template, spec, speed, markup=markup),
        seed=first_seed,
        stretch=1.0 if own_speed else speed,
        to_original=lambda span: aligned(exact(span)),
        limited=chosen.bounds_length(),
        markup=markup,
        changes=prepared.changes,
        cancelled=cancelled,
    )


def _language(language: str | None, spec: ProviderSpec, settings: Settings) -> str | None:
    """Return the language of the call, else that of the settings, which is a preference: not all speak it."""
    if language is not None or settings.language is None:
        return check_language(language, spec)
    try:
        return check_language(settings.language, spec)
    except UnknownLanguage:
        return None


def _markup(options: Options | None, spec: ProviderSpec) -> bool:
    markup = bool(getattr(options, "ssml", False))
    if markup and "ssml" not in spec.capabilities:
        raise InvalidOption(
            "ssml is true, but it reads plain text only", who=f"provider {spec.name!r}", fix="drop ssml"
        )
    return markup


def _split(template: Request, spec: ProviderSpec, speed: float, *, markup: bool) -> tuple[Piece, ...]:
    """Return one piece, or several where the text is longer than the provider takes at a time."""
    text = template.text
    if spec.max_chars is None or len(text) <= spec.max_chars or markup:
        return (Piece(template),)
    cuts = texts.pieces(text, spec.max_chars, template.language)
    if not cuts:
        raise UnspeakableText("there is nothing to say in it", who=f"provider {spec.name!r}", fix="give some words")
    return tuple(
        Piece(
            request=_part(template, text[cut.start : cut.end], index),
            start=cut.start,
            pause_s=_pause(cut, last=index == len(cuts) - 1) / speed,
        )
        for index, cut in enumerate(cuts)
    )


def _part(template: Request, text: str, index: int) -> Request:
    return replace(template, text=text, seed=piece_seed(template.seed, index))


def _pause(cut: texts.Piece, *, last: bool) -> float:
    if last:
        return 0.0
    if cut.paragraph_end:
        return PARAGRAPH_PAUSE_S
    return SENTENCE_PAUSE_S if cut.sentence_end else 0.0
