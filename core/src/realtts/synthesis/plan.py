"""From the caller's arguments to a plan: pieces of text as validated requests, before any model work."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from realtts import text as texts
from realtts.contract.types import Request
from realtts.errors import UnknownLanguage, UnspeakableText
from realtts.kit.seeds import piece_seed
from realtts.synthesis.cancellation import Cancellation
from realtts.synthesis.markup_pieces import Written, markup_pieces
from realtts.synthesis.normalizing import Normalizer, check_normalize
from realtts.synthesis.pauses import PARAGRAPH_PAUSE_S, SENTENCE_PAUSE_S
from realtts.synthesis.pieces import Piece
from realtts.synthesis.validate import check_language, check_options, check_seed, check_speed, reads_markup
from realtts.text.edited import EditedText
from realtts.text.frontend import prepare, steps_without
from realtts.voices.lookup import named_voice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import Voice
    from realtts.registry.extensions import Extensions
    from realtts.settings import Settings
    from realtts.synthesis.markup import Anchor
    from realtts.synthesis.piece_queue import PieceQueue
    from realtts.synthesis.words_asked import WordsAsked
    from realtts.text.frontend import Change

__all__ = ["Ask", "Outline", "Piece", "Plan", "make_outline", "make_plan"]


@dataclass(frozen=True)
class Ask:
    """The arguments of a call beside the text; the voice was looked up, the rest was not checked yet."""

    voice: Voice | str | None
    language: str | None
    seed: int | None
    speed: float
    options: Mapping[str, Any]
    normalize: str | None = None
    check_words: bool = False
    timestamps: str | None = None


@dataclass(eq=False)
class Plan:
    """A whole text, ready to be spoken, or one that is still being written.

    Attributes:
        text: The caller's original text.
        pieces: What to speak, in order; at least one, except while the text is being written.
        seed: Seed of the first piece; the others' are derived from it.
        to_original: Maps a span of the prepared text to a span of ``text``.
        limited: The caller set a length limit, so reaching it is no runaway.
        markup: The text is SSML that the provider reads itself.
        lead_s: Silence before the first piece.
        anchors: Marks of SSML in that silence.
        ssml: The text is SSML that the core has read: words that stand for one stretch of it, such as an alias, get
            one mark.
        changes: What the steps of the text front end have made of the text.
        warnings: What the caller should know about the text.
        cancelled: Set when the caller has lost interest or its time has run out.
        growth: Where further pieces come from; None: there are no others.
        words: What is asked of its words, for which each piece is listened to before anybody gets it; None: nothing.
    """

    text: str
    pieces: Sequence[Piece]
    seed: int
    to_original: Callable[[tuple[int, int]], tuple[int, int]]
    limited: bool
    markup: bool
    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()
    lead_s: float = 0.0
    anchors: tuple[Anchor, ...] = ()
    ssml: bool = False
    cancelled: Cancellation = field(default_factory=Cancellation)
    growth: PieceQueue | None = None
    words: WordsAsked | None = None


@dataclass(frozen=True)
class Outline:
    """The checked arguments of a call beside its text.

    Attributes:
        who: The provider, for messages.
        template: What the requests of pieces are made from.
        stretch: Factor by which audio is time-stretched.
        speed: As the caller gave it.
        markup: The text is SSML that the core reads.
        own_markup: The text is SSML that the provider reads itself.
        write: Takes a text through extensions, front end and normalization.
        warnings: What that has to tell, as keys.
        plan: A plan without text and pieces.
    """

    who: str
    template: Request
    stretch: float
    speed: float
    markup: bool
    own_markup: bool
    write: Callable[[str, str | None], Written]
    warnings: dict[str, None]
    plan: Plan


def make_plan(text: object, ask: Ask, *, spec: ProviderSpec, settings: Settings, extensions: Extensions) -> Plan:
    """Check all arguments and split the text.

    Raises:
        InputError: The text, language, seed, speed or an option is wrong.
        ExtensionError: An extension failed.
    """
    original = texts.check_text(text, max_chars=settings.max_text_chars, who=f"provider {spec.name!r}")
    outline = make_outline(ask, spec=spec, settings=settings, extensions=extensions)
    plan, template = replace(outline.plan, text=original), replace(outline.template, text=original)

    def split(request: Request) -> tuple[Piece, ...]:
        return _split(request, spec, outline.speed, markup=outline.own_markup)

    if outline.markup:
        made = markup_pieces(
            original, template, spec=spec, speed=outline.speed, write=outline.write, split=split,
            voice=lambda name: named_voice(name, spec=spec, settings=settings),
        )  # fmt: skip
        return replace(
            plan, pieces=tuple(made.pieces), to_original=made.to_original, changes=tuple(made.changes),
            warnings=(*outline.warnings, *made.warnings), lead_s=made.lead_s, anchors=made.anchors, ssml=True,
        )  # fmt: skip
    # Neither extensions nor the front end know anything of a provider's own markup, and would break it.
    written = Written(original, _same) if outline.own_markup else outline.write(original, template.language)
    pieces = split(replace(template, text=written.text))
    return replace(
        plan,
        pieces=tuple(replace(piece, stretch=outline.stretch) for piece in pieces),
        to_original=written.to_original,
        changes=written.changes,
        warnings=tuple(outline.warnings),
    )


def make_outline(ask: Ask, *, spec: ProviderSpec, settings: Settings, extensions: Extensions) -> Outline:
    """Check all arguments of a call but its text. Raises as `make_plan`."""
    who = f"provider {spec.name!r}"
    language = _language(ask.language, spec, settings)
    speed = check_speed(ask.speed, who)
    markup = reads_markup(ask.options, spec)
    chosen = check_options(ask.options, spec)
    own_markup = bool(getattr(chosen, "ssml", False)) and not markup
    normalizer = Normalizer.of(check_normalize(ask.normalize, who), spec, settings)
    told: dict[str, None] = {}
    cancelled = Cancellation()
    first_seed = secrets.randbits(31) if ask.seed is None else check_seed(ask.seed, who)
    own_speed = "speed" in spec.capabilities
    template = Request(
        text="",
        voice=ask.voice,
        language=language,
        seed=first_seed,
        speed=speed if own_speed else 1.0,
        options=chosen,
        cancelled=cancelled.is_set,
    )

    def write(text: str, language: str | None) -> Written:
        rewritten = _rewritten(text, language, spec=spec, settings=settings, extensions=extensions)
        prepared = prepare(EditedText(rewritten), language, steps_without(spec.declined_text_steps))
        prepared, warnings = normalizer.apply(prepared, language)
        told.update(dict.fromkeys(warnings))
        aligned, exact = texts.align(text, rewritten), prepared.edited.to_original
        return Written(prepared.edited.text, lambda span: aligned(exact(span)), prepared.changes)

    plan = Plan(
        text="",
        pieces=(),
        seed=first_seed,
        to_original=_same,
        limited=chosen.bounds_length(),
        markup=own_markup,
        cancelled=cancelled,
        words=_words_asked(ask, own_markup=own_markup, spec=spec, settings=settings),
    )
    stretch = 1.0 if own_speed else speed
    return Outline(who, template, stretch, speed, markup, own_markup, write, told, plan)


def _words_asked(ask: Ask, *, own_markup: bool, spec: ProviderSpec, settings: Settings) -> WordsAsked | None:
    """Return what the call asks of its words."""
    if ask.check_words is False and ask.timestamps is None:
        return None
    from realtts.synthesis.words_asked import words_asked  # most calls need nothing of it

    return words_asked(ask.check_words, ask.timestamps, own_markup=own_markup, spec=spec, settings=settings)


def _same(span: tuple[int, int]) -> tuple[int, int]:
    return span


def _rewritten(
    text: str, language: str | None, *, spec: ProviderSpec, settings: Settings, extensions: Extensions
) -> str:
    """Take a text through extensions."""
    rewritten = extensions.prepare_text(text, language)
    if rewritten != text:
        who = f"provider {spec.name!r}, text of the extensions"
        rewritten = texts.check_text(rewritten, max_chars=settings.max_text_chars, who=who)
    return rewritten


def _language(language: str | None, spec: ProviderSpec, settings: Settings) -> str | None:
    """Return the language of the call, else that of the settings, which is a preference: not all speak it."""
    if language is not None or settings.language is None:
        return check_language(language, spec)
    try:
        return check_language(settings.language, spec)
    except UnknownLanguage:
        return None


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
