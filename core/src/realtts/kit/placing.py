"""Phonemes of a sentence laid beside its words: which word each of them belongs to.

espeak-ng reads a sentence as a whole: numbers become several words, and small words one. So each word is read alone
too, and the two readings are compared.
"""

from __future__ import annotations

import difflib
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["is_sound", "is_stress", "place_words"]

_STRESS = frozenset("ˈˌ'")


def is_sound(phoneme: str) -> bool:
    """Tell whether a phoneme is heard: no white space, no stress, no punctuation."""
    return phoneme not in _STRESS and any(unicodedata.category(char)[0] not in "PZC" for char in phoneme)


def is_stress(phoneme: str) -> bool:
    """Tell whether a phoneme is a mark of stress, which is spoken as part of the sound behind it."""
    return phoneme in _STRESS


def place_words(phonemes: Sequence[str], words: Sequence[Sequence[str]]) -> list[tuple[int, int] | None]:
    """Return where each word begins in a sentence's phonemes and one past where it ends; None where it has no sound.

    A word that has a sound, and none of its own in the sentence ("o" in Portuguese), gets an empty place.

    Args:
        phonemes: Of the sentence, with spaces between some of its words.
        words: The phonemes of each word read alone.
    """
    sounds = [at for at, phoneme in enumerate(phonemes) if is_sound(phoneme)]
    alone = [(phoneme, index) for index, word in enumerate(words) for phoneme in word if is_sound(phoneme)]
    audible = sorted({index for _, index in alone})
    if not sounds or not audible:
        return [None] * len(words)
    owners = _owners(phonemes, sounds, alone)
    _fill(owners, _tokens(phonemes, sounds), audible)
    places: list[tuple[int, int] | None] = [None] * len(words)
    for at, owner in zip(sounds, owners, strict=True):
        if owner is not None:
            first = places[owner]
            places[owner] = (at if first is None else first[0], at + 1)
    end = sounds[0]
    for index in audible:
        place = places[index] = places[index] or (end, end)
        end = place[1]
    return places


def _owners(phonemes: Sequence[str], sounds: Sequence[int], alone: Sequence[tuple[str, int]]) -> list[int | None]:
    """Return the word of each sound as far as the two readings agree."""
    owners: list[int | None] = [None] * len(sounds)
    whole, parts = [phonemes[at] for at in sounds], [phoneme for phoneme, _ in alone]
    for block in difflib.SequenceMatcher(None, whole, parts, autojunk=False).get_matching_blocks():
        for step in range(block.size):
            owners[block.a + step] = alone[block.b + step][1]
    return owners


def _tokens(phonemes: Sequence[str], sounds: Sequence[int]) -> list[tuple[int, int]]:
    """Return the stretches of sounds between spaces."""
    starts = [0]
    starts += [
        at
        for at in range(1, len(sounds))
        if any(phoneme.isspace() for phoneme in phonemes[sounds[at - 1] : sounds[at]])
    ]
    return list(zip(starts, [*starts[1:], len(sounds)], strict=True))


def _fill(owners: list[int | None], tokens: Sequence[tuple[int, int]], audible: Sequence[int]) -> None:
    """Give the sounds in which the readings differ to words: to those of their token, else to the next one without."""
    last = -1
    for start, end in tokens:
        inside = [owner for owner in owners[start:end] if owner is not None]
        if inside:
            current = inside[0]
        else:
            following = next((owner for owner in owners[end:] if owner is not None), audible[-1] + 1)
            current = next((index for index in audible if last < index < following), max(last, audible[0]))
        for at in range(start, end):
            current = owners[at] = current if owners[at] is None else owners[at]  # type: ignore[assignment]
        last = current
