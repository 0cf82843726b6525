"""What the caller should know of SSML that a provider cannot follow: each thing once, with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.text.ssml_document import SayAs, place_of
from realtts.text.ssml_say_as import is_known

if TYPE_CHECKING:
    from realtts.contract.spec import ProviderSpec
    from realtts.text.ssml_document import Document, Wish

__all__ = ["markup_warnings"]

_NEVER = {
    "contour": "a contour of pitch is not followed",
    "duration": "a duration is not kept, give a rate",
    "audio": "no sound is played, only the text inside is spoken",
    "lexicon": "no lexicon is read",
    "element": "this element is not known, its text is spoken",
}
_UNABLE = {
    "pitch": (("pitch",), "it cannot change the pitch"),
    "emphasis": (("emphasis",), "it cannot emphasise"),
    "phonemes": (("phonemes",), "it cannot speak phonemes, the text is spoken"),
    "voice": (("voices", "clone"), "it has one voice"),
    "gender": (("gender", "voices"), "it has one voice"),
}


def markup_warnings(
    document: Document, unsaid: list[tuple[int, int]], spec: ProviderSpec, language: str | None
) -> tuple[str, ...]:
    """Return sentences on what of a document is not followed.

    Args:
        document: What was read.
        unsaid: Stretches of its spoken text that have no sound.
        spec: Who speaks.
        language: Of what has none of its own.
    """
    found: dict[str, list[tuple[str, int]]] = {}
    for wish in document.wishes:
        reason = _reason(wish, spec, language)
        if reason:
            found.setdefault(reason, []).append((wish.shown, wish.at))
    for span in unsaid:
        shown = repr(document.edited.text[slice(*span)].strip()[:40])
        found.setdefault("there is nothing to say in it", []).append((shown, document.edited.to_original(span)[0]))
    return tuple(_sentence(reason, places, document.edited.original) for reason, places in found.items())


def _sentence(reason: str, places: list[tuple[str, int]], original: str) -> str:
    shown, at = places[0]
    line, column = place_of(original, at)
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"SSML: {reason}: {shown} at line {line}, column {column}{more}"


def _reason(wish: Wish, spec: ProviderSpec, language: str | None) -> str:
    """Return why a wish is not followed, empty where it is."""
    if wish.what in _NEVER:
        return _NEVER[wish.what]
    kind = wish.what.removeprefix("say-as ")
    if kind != wish.what:
        known = is_known(SayAs(kind), wish.language or language)
        return "" if known else f"{kind!r:.40} is spoken as it is written"
    able, reason = _UNABLE[wish.what]
    return "" if spec.capabilities.intersection(able) else reason
