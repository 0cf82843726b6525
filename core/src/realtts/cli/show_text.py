"""What ``realtts say --show-text`` prints: the steps that a text passes, its pieces, and what of it is not said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from realtts.cli import console
from realtts.errors import UnspeakableText
from realtts.registry.extensions import discover_extensions
from realtts.synthesis.model_choice import resolve_checkpoint
from realtts.synthesis.plan import Ask, make_plan
from realtts.synthesis.vocabulary import unread_before_load
from realtts.text.unread import is_silent, unread_warnings, unread_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from realtts import RealProvider
    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.contract.types import Unread
    from realtts.synthesis.plan import Piece, Plan

__all__ = ["show_text"]

_WIDTH = 14
_INVISIBLE = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def show_text(tts: RealProvider, text: str, arguments: Mapping[str, Any], model: str | None) -> None:
    """Print what becomes of a text; the model is not loaded.

    Args:
        tts: Who would speak it.
        text: All of it.
        arguments: Of `RealProvider.generate`, as ``realtts say`` makes them.
        model: As of `RealProvider`.

    Raises:
        InputError: Something is wrong with it.
    """
    asked = {name: arguments[name] for name in ("voice", "language", "speed", "seed", "normalize")}
    # Nobody listens: nothing is spoken.
    options = {name: value for name, value in arguments.items() if name not in {*asked, "check_words", "timestamps"}}
    ask = Ask(**asked, options=options)
    plan = make_plan(text, ask, spec=tts.spec, settings=tts.settings, extensions=discover_extensions())
    checkpoint = resolve_checkpoint(model or tts.settings.model, tts.spec, tts.settings.configuration)
    _line("text", shown(text))
    for change in plan.changes:
        _line(change.step, shown(change.text))
    for number, piece in enumerate(plan.pieces, 1):
        pause = f"  (pause {piece.pause_s:.2g} s)" if piece.pause_s else ""
        _line(f"piece {number}", shown(piece.request.text) + pause)
    if silent := _silent(plan):
        _line("silent", " ".join(silent))
    for warning in (*plan.warnings, *_vocabulary(tts, plan, checkpoint)):
        console.warn(warning)


def shown(text: str) -> str:
    """Return a text in one line, characters that cannot be seen by their numbers."""
    return "".join(_INVISIBLE.get(char) or (char if char.isprintable() else f"<U+{ord(char):04X}>") for char in text)


def _line(name: str, what: str) -> None:
    console.out(f"{name:<{_WIDTH}} {what}")


def _silent(plan: Plan) -> Iterable[str]:
    """Return the characters without a sound of their own that the pieces hold, each once."""
    chars = dict.fromkeys("".join(piece.request.text for piece in plan.pieces))
    return [shown(char) for char in chars if is_silent(char) and not char.isspace()]


def _vocabulary(tts: RealProvider, plan: Plan, checkpoint: Checkpoint | None) -> Iterator[str]:
    """Yield the warnings for what the provider cannot say, or what has kept us from asking."""
    unread: list[Unread] = []
    for piece in plan.pieces:
        found = _unread(tts.spec, plan, piece, checkpoint)
        if found is None:
            yield f"what {tts.spec.name} cannot say is known when it speaks: its vocabulary is not at hand"
            return
        unread += found
    yield from unread_warnings(tts.spec.name, plan.text, unread)


def _unread(spec: ProviderSpec, plan: Plan, piece: Piece, checkpoint: Checkpoint | None) -> list[Unread] | None:
    """Return what the provider does not say of a piece, by places in the caller's text; None: only the model knows."""
    request = piece.request
    try:
        found = unread_before_load(spec, checkpoint, request.text, request.language)
    except UnspeakableText:
        if len(plan.pieces) == 1:
            raise
        found = unread_words(request.text)
    if found is None:
        return None
    starts = ((each.span[0] + piece.start, each.span[1] + piece.start) for each in found)
    return [replace(each, span=plan.to_original(span)) for each, span in zip(found, starts, strict=True)]
