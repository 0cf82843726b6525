"""Recordings cut to the 12 s that the model takes: as upstream cuts them, and their words with them.

Source: ``preprocess_ref_audio_text`` of ``f5_tts/infer/utils_infer.py``, which keeps all words of a recording whatever
it cuts off, and so speaks up to four times too fast. It works on 16 bits, in which pydub decides what is silent; a
recording of more bits is rounded to them here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from realtts.audio.pauses import find_pauses, quietest_place
from realtts.text.transcripts import excerpt
from realtts_f5.upstream import module

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from realtts.contract.types import Voice

__all__ = ["BEHIND_MS", "SILENT_DBFS", "Clip", "clipped", "excerpt_of", "used"]

BEHIND_MS = 50
SILENT_DBFS = -42

_MOST_MS = 12_000
_ENOUGH_MS = 6_000
_SHOWN = 40


class Clip(NamedTuple):
    """What upstream keeps of a recording.

    Attributes:
        samples: float32 of shape (n,).
        rate: Hz; at least 11025: as pydub, which brings slower ones to that.
        is_whole: Whether only silence was cut off.
    """

    samples: NDArray[np.float32]
    rate: int
    is_whole: bool


def clipped(samples: NDArray[np.float32], rate: int) -> Clip:
    """Keep at most about 12 s of a recording, cut where it is silent, its silent edges trimmed and 50 ms put behind it.

    Args:
        samples: float32 of shape (n,) in [-1, 1].
        rate: Hz.
    """
    pydub = module("pydub")
    whole = _segment(pydub, samples, rate)
    segment, is_whole = _without_long_silence(pydub, whole, shortest_ms=1000, threshold=-50)
    if len(segment) > _MOST_MS:
        segment, is_whole = _without_long_silence(pydub, whole, shortest_ms=100, threshold=-40)
    if len(segment) > _MOST_MS:
        segment, is_whole = segment[:_MOST_MS], False
    segment = _trimmed(pydub, segment) + pydub.AudioSegment.silent(duration=BEHIND_MS)
    return Clip(_samples(segment), int(segment.frame_rate), is_whole)


def excerpt_of(voice: Voice, words: str) -> dict[str, Any]:
    """Cut a recording that is too long together with its words, at a pause.

    Args:
        voice: The recording.
        words: All that is said in it.

    Returns:
        ``samples`` and ``rate`` of a `Clip`; ``words`` that are said in it, ``left_out``: how many are not.
    """
    pydub = module("pydub")
    stretches = _stretches(pydub, _segment(pydub, voice.samples, voice.sample_rate), shortest_ms=1000, threshold=-50)
    joined = sum(stretches, pydub.AudioSegment.silent(duration=0))
    samples, rate = _samples(joined), int(joined.frame_rate)
    duration = len(samples) / rate
    least, most = _ENOUGH_MS / 1000, min(_MOST_MS / 1000, duration)
    part = excerpt(
        words, find_pauses(samples, rate), duration=duration, least=least, most=most,
        otherwise=quietest_place(samples, rate, after=(least + most) / 2, before=most),
    )  # fmt: skip
    clip = clipped(samples[: round(part.seconds * rate)], rate)
    return {"samples": clip.samples, "rate": clip.rate, "words": part.words, "left_out": part.left_out}


def used(voice: Voice, clip: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what is used of a recording, if it is not all of it.

    Args:
        voice: The recording.
        clip: ``samples`` and ``rate``; ``whole``, or ``words`` and ``left_out`` of `excerpt_of`.
    """
    if clip.get("whole", False):
        return ()
    seconds = len(clip["samples"]) / int(clip["rate"])
    what = (
        f"The recording {voice.name!r} lasts {voice.duration:.1f} s, and the model takes {_MOST_MS // 1000} s: its "
        f"first {seconds:.1f} s of speech are used"
    )
    if "words" not in clip:
        return (f"{what}.",)
    shown = clip["words"][-_SHOWN:]
    if shown != clip["words"] and " " in shown:
        shown = shown.partition(" ")[2]  # from a whole word on
    return (f"{what}, up to the words {shown!r}; {clip['left_out']} words behind them are left out.",)


def _segment(pydub: Any, samples: NDArray[np.float32], rate: int) -> Any:
    narrow = np.clip(np.rint(np.asarray(samples, np.float64) * 32768), -32768, 32767).astype(np.int16)
    return pydub.AudioSegment(narrow.tobytes(), sample_width=2, frame_rate=rate, channels=1)


def _samples(segment: Any) -> NDArray[np.float32]:
    samples: NDArray[np.float32] = np.frombuffer(segment.raw_data, np.int16).astype(np.float32) / np.float32(32768)
    return samples


def _stretches(pydub: Any, whole: Any, *, shortest_ms: int, threshold: int) -> list[Any]:
    """Split a recording at silences, of which a second is kept at either side."""
    stretches: list[Any] = pydub.silence.split_on_silence(
        whole, min_silence_len=shortest_ms, silence_thresh=threshold, keep_silence=1000, seek_step=10
    )
    return stretches


def _without_long_silence(pydub: Any, whole: Any, *, shortest_ms: int, threshold: int) -> tuple[Any, bool]:
    """Put stretches of speech together until there are 6 s and the next makes over 12; tell whether all are there."""
    joined = pydub.AudioSegment.silent(duration=0)
    for stretch in _stretches(pydub, whole, shortest_ms=shortest_ms, threshold=threshold):
        if len(joined) > _ENOUGH_MS and len(joined + stretch) > _MOST_MS:
            return joined, False
        joined += stretch
    return joined, True


def _trimmed(pydub: Any, segment: Any) -> Any:
    """Cut silent edges off."""
    begin = pydub.silence.detect_leading_silence(segment, silence_threshold=SILENT_DBFS)
    segment = segment[begin:]
    end = pydub.silence.detect_leading_silence(segment.reverse(), silence_threshold=SILENT_DBFS)
    return segment[: len(segment) - end] if end > 0 else segment
