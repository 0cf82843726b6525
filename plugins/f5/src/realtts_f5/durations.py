"""How long chunks become: at the speaker's own pace, or as ``fix_duration`` says.

Source: ``infer_batch_process`` of ``f5_tts/infer/utils_infer.py``, which knows no limits; those are ours.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from realtts.errors import InvalidOption, VoiceUnsuitable
from realtts_f5.constants import HOP, RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts_f5.voices import Reference

__all__ = ["MOST_FRAMES", "check_pace", "duration", "fixed", "longest_word", "pace", "size_of"]

MOST_FRAMES = 8192
"""Positions that the embedding of text has: 87 s of recording and speech together."""

SHORT_BYTES = 10
"""Upstream gives texts under so many bytes more time."""

_SHORT_SPEED = 0.3
_SLOWEST, _FASTEST = 1.5, 80
"""Bytes a second that are plausible: English is spoken at about 15, Chinese at about 12."""

_LEAST_SPEECH = 0.3
"""Seconds that a chunk must last, and a third of what it would last by itself."""


def size_of(text: str) -> int:
    """Count the bytes of UTF-8, from which upstream computes lengths."""
    return len(text.encode("utf-8"))


def pace(reference: Reference) -> float:
    """Compute a recording's bytes a second, with one space at the end, as upstream sizes chunks by."""
    text = reference.text
    return size_of(text[:-1] if text.endswith("  ") else text) / reference.seconds


def check_pace(reference: Reference) -> None:
    """Refuse words that cannot be those of the recording.

    Raises:
        VoiceUnsuitable: They are far too few or too many for its length; the speech would be noise.
    """
    size = size_of(reference.text.strip())
    rate = size / reference.seconds
    if not _SLOWEST <= rate <= _FASTEST:
        raise VoiceUnsuitable(
            f"its words have {size} bytes and it lasts {reference.seconds:.1f} s: {rate:.1f} bytes a second, where "
            f"speech has {_SLOWEST} to {_FASTEST}",
            who="f5", fix="give reference_text= the words that are said in the recording, all of them and no others",
        )  # fmt: skip


def duration(reference: Reference, text: str, speed: float) -> int:
    """Compute the frames of a text at the speaker's own pace and the wanted speed.

    A short one is spoken slowly, as upstream does, where the speed does not count.
    """
    size = size_of(text)
    factor = _SHORT_SPEED * speed if size < SHORT_BYTES else speed
    return int(reference.hops / size_of(reference.text) * size / factor)


def longest_word(reference: Reference, speed: float, frames: int) -> int:
    """Compute how many bytes a word may have so that it and the recording take no more than so many frames."""
    return max(SHORT_BYTES, int((frames - reference.hops) / reference.hops * size_of(reference.text) * speed))


def fixed(
    reference: Reference, texts: Sequence[str], symbols: Sequence[int], *, seconds: float, fade: float, speed: float
) -> list[int]:
    """Compute the frames of every chunk where recording and speech shall last so many seconds together.

    Args:
        reference: The recording.
        texts: Of the chunks.
        symbols: Number of symbols of the recording's text and each chunk's; a chunk has more frames than those.
        seconds: ``fix_duration``.
        fade: ``cross_fade_duration``.
        speed: Of the request, for what the chunks would last by themselves.

    Raises:
        InvalidOption: It leaves too little time; the least that is possible is named.
    """
    least = _least(reference, texts, symbols, fade, speed)
    recorded = reference.hops * HOP / RATE
    if seconds < least:
        why = (
            f"the recording alone takes {recorded:.2f} s" if seconds <= recorded
            else "that leaves too little time for the text"
        )  # fmt: skip
        raise InvalidOption(
            f"fix_duration is {seconds:g} s, and {why}", who="f5",
            fix=f"give at least {least:.2f}: the seconds of recording and speech together",
        )  # fmt: skip
    return _shared(reference, texts, seconds, fade)


def _shared(reference: Reference, texts: Sequence[str], seconds: float, fade: float) -> list[int]:
    """Share the seconds of speech among chunks by their bytes."""
    if len(texts) == 1:
        return [int(seconds * RATE / HOP)]
    recorded, sizes = reference.hops * HOP / RATE, [size_of(text) for text in texts]
    # What overlaps is heard once, and spoken twice.
    spoken = seconds - recorded + fade * (len(texts) - 1)
    return [int((recorded + spoken * size / sum(sizes)) * RATE / HOP) for size in sizes]


def _least(reference: Reference, texts: Sequence[str], symbols: Sequence[int], fade: float, speed: float) -> float:
    """Compute the fewest seconds, to hundredths, with which every chunk gets the frames that it must have."""
    sizes = [size_of(text) for text in texts]
    needed = []
    for text, size, count in zip(texts, sizes, symbols, strict=True):
        speech = max(math.ceil(_LEAST_SPEECH * RATE / HOP), math.ceil(duration(reference, text, speed) / 3))
        frames = max(reference.hops + speech, reference.frames + 1, count + 1)
        if frames > MOST_FRAMES:
            raise InvalidOption(
                f"with fix_duration a chunk has {count} symbols, and the networks take {MOST_FRAMES}", who="f5",
                fix="leave fix_duration out, or put punctuation into the text",
            )  # fmt: skip
        # A frame more than needed, since frames are rounded down.
        needed.append((frames + 1 - reference.hops) * HOP / RATE * sum(sizes) / size)
    least = reference.hops * HOP / RATE + max(needed) - fade * (len(texts) - 1)
    return math.ceil(100 * least) / 100
