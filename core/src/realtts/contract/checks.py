"""Checks of what a provider's hooks hand out, chunk by chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import numpy as np

from realtts.contract.continuous import RowEnd, RowFailed
from realtts.contract.types import Chunk, FinishReason, Mark, Unread, VoiceInfo
from realtts.errors import InvalidChunk, InvalidPlugin
from realtts.exception_text import plain_text, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ChunkChecks", "check_chunk", "check_end", "check_index", "check_unread", "check_voices", "read_only"]

FINISH_REASONS: tuple[str, ...] = get_args(FinishReason)
MARK_KINDS: tuple[str, ...] = get_args(get_type_hints(Mark)["kind"])
_VOICE_WORDS = ("id", "name", "language", "gender", "description")
MOST_COUNTED = 2**63 - 1
"""The largest count that a chunk may carry: what every receiver can still hold."""
LOUDEST = 1e6
"""Beyond this a sample is no sound: whoever filters it, as resampling does, would make infinity of it."""
MOST_SECONDS = 1e9
"""The latest time of a mark: thirty years, which every form of subtitles can write."""


class ChunkChecks:
    """Checks of everything that a rung yields for the rows that it works on.

    Args:
        rates: The spec's sample rates.
        who: Provider and variant, for messages.
    """

    def __init__(self, rates: tuple[int, ...], who: str) -> None:
        self._rates = rates
        self._who = who
        self._lengths: dict[int, int] = {}  # row -> length of its text
        self._rate_of: dict[int, int] = {}  # row -> the rate of its first chunk

    @property
    def rows(self) -> tuple[int, ...]:
        """The rows that have begun and not ended."""
        return tuple(self._lengths)

    def begin(self, row: int, text: str) -> None:
        """Expect chunks of a row."""
        self._lengths[row] = len(text)

    def end(self, row: Any) -> int:
        """Expect no more chunks of a row, and return it as a plain number.

        Raises:
            InvalidChunk: There is no such row, or it has ended before.
        """
        number = self._row_of(row, row)
        del self._lengths[number]
        self._rate_of.pop(number, None)
        return number

    def check(self, row: Any, chunk: Any) -> tuple[int, Chunk]:
        """Return the row and a read-only copy of its chunk.

        Raises:
            InvalidChunk: There is no such row, or the chunk does not keep the contract.
        """
        row = self._row_of(row, (row, chunk))
        checked = check_chunk(chunk, self._rates, self._rate_of.get(row), self._who, self._lengths[row])
        self._rate_of[row] = checked.sample_rate
        return row, checked

    def _row_of(self, row: Any, item: Any) -> int:
        if not _is_count(row) or int(row) not in self._lengths:
            raise self.no_row(item)
        return int(row)

    def no_row(self, item: Any) -> InvalidChunk:
        """Make the error for an item that belongs to no row."""
        rows = ", ".join(map(str, sorted(self._lengths)[:8])) or "none"
        return _fault(f"it yielded {shown(item)}", self._who, f"yield (row, Chunk) of a row that is spoken: {rows}")


def check_index(value: Any, rows: int) -> int | None:
    """Return a plain index of one of so many rows; None for everything else."""
    return int(value) if _is_count(value) and value < rows else None


def check_chunk(chunk: Any, rates: tuple[int, ...], rate: int | None, who: str, text_length: int) -> Chunk:
    """Return a copy of the chunk that nobody can change any more, if it keeps the contract.

    Args:
        chunk: What the provider yielded. It may use its buffer again as soon as this function has returned.
        rates: The spec's sample rates.
        rate: Rate of the request's earlier chunks, None for the first.
        who: Provider and variant, for the message.
        text_length: Length of the request's text, which marks must lie in.

    Raises:
        InvalidChunk: A field of a wrong type, dtype, shape or value, or samples that are not finite.
    """
    if not isinstance(chunk, Chunk):
        raise _fault(f"generate yielded {type(chunk).__name__}", who, "yield realtts.Chunk(samples, sample_rate)")
    samples: Any = chunk.samples  # types say nothing of what a plugin really yields
    chunk_rate: Any = chunk.sample_rate
    if not isinstance(samples, np.ndarray):
        raise _fault(f"samples is {type(samples).__name__}", who, "convert it to a numpy array of float32")
    if samples.dtype != np.float32:
        raise _fault(f"samples has dtype {samples.dtype}", who, _to_float32(samples.dtype))
    if samples.ndim != 1:
        raise _fault(f"samples has shape {samples.shape}", who, "yield mono audio of shape (n,)")
    if not isinstance(chunk_rate, int) or isinstance(chunk_rate, bool) or chunk_rate not in rates:
        raise _fault(f"the sample rate {shown(chunk_rate)} is not in the spec", who, f"yield one of {rates}")
    if rate is not None and chunk_rate != rate:
        raise _fault(f"the sample rate changed from {rate} to {chunk_rate}", who, "keep one rate per request")
    # Copied before it is looked at: a thread of the plugin may still write into its buffer.
    samples = np.array(samples, np.float32)
    if not np.isfinite(samples).all():
        raise _fault("the samples hold NaN or infinity (not finite)", who, "run the unstable part in float32")
    if len(samples) and (loudest := float(np.abs(samples).max())) > LOUDEST:
        raise _fault(f"the samples reach {loudest:.3g}", who, "yield samples in [-1, 1]")
    return Chunk(read_only(samples), int(chunk_rate), **_rest(chunk, who, text_length))


def _to_float32(dtype: np.dtype[Any]) -> str:
    """Say how samples of another type become float32 in [-1, 1]."""
    if dtype.kind == "f":
        return "convert it with .astype(numpy.float32)"
    if dtype.kind == "i":
        return f"divide it by {2 ** (8 * dtype.itemsize - 1)} and convert it with .astype(numpy.float32)"
    return "yield an array of numpy.float32 in [-1, 1]"


def read_only(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a view of samples of shape (n,) through which they cannot be changed."""
    view = samples[:]
    view.flags.writeable = False
    return view


def _rest(chunk: Any, who: str, text_length: int) -> dict[str, Any]:
    """Return copies of the fields beside the audio, of Python's own types."""
    marks, warnings = chunk.marks, chunk.warnings
    if not isinstance(marks, tuple) or not all(_is_mark(mark, text_length) for mark in marks):
        raise _fault(f"marks is {shown(marks)}", who, "yield a tuple of realtts.Mark inside the request's text")
    if not _is_count(chunk.tokens):
        raise _fault(f"tokens is {shown(chunk.tokens)}", who, "yield the number of tokens since the last chunk")
    if not _is_count(chunk.retries):
        raise _fault(f"retries is {shown(chunk.retries)}", who, "yield how many parts were spoken again")
    if not (chunk.finish_reason is None or _is_one_of(chunk.finish_reason, FINISH_REASONS)):
        raise _fault(f"finish_reason is {shown(chunk.finish_reason)}", who, "yield None, 'stop' or 'length'")
    if not isinstance(warnings, tuple) or not all(isinstance(warning, str) for warning in warnings):
        raise _fault(f"warnings is {shown(warnings)}", who, "yield a tuple of sentences")
    return {
        "marks": tuple(_copy_of(mark) for mark in marks),
        "tokens": int(chunk.tokens),
        "finish_reason": None if chunk.finish_reason is None else str.__str__(chunk.finish_reason),
        "warnings": tuple(plain_text(warning) for warning in warnings),  # a subclass may be mutable
        "retries": int(chunk.retries),
        "unread": check_unread(chunk.unread, who, text_length),
    }


def check_unread(unread: Any, who: str, text_length: int) -> tuple[Unread, ...]:
    """Return plain copies of what a provider says that it leaves unread.

    Raises:
        InvalidChunk: It is no tuple of `Unread` inside the request's text.
    """
    if not isinstance(unread, tuple) or not all(_is_unread(each, text_length) for each in unread):
        raise _fault(f"unread is {shown(unread)}", who, "yield a tuple of realtts.Unread inside the request's text")
    return tuple(Unread((int(each.span[0]), int(each.span[1])), plain_text(each.instead)) for each in unread)


def _is_count(value: Any) -> bool:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and bool(0 <= value <= MOST_COUNTED)


def _is_one_of(value: Any, words: tuple[str, ...]) -> bool:
    return isinstance(value, str) and value in words  # what is no string need not even be comparable


def _is_seconds(value: Any) -> bool:
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return number and bool(0 <= value <= MOST_SECONDS)


def _is_mark(mark: Any, text_length: int) -> bool:
    if not isinstance(mark, Mark):
        return False
    timed = _is_seconds(mark.start) and _is_seconds(mark.end)
    name: Any = mark.name
    named = isinstance(name, str) and _is_one_of(mark.kind, MARK_KINDS)
    return _is_span(mark.span, text_length) and timed and named and mark.start <= mark.end


def _is_unread(each: Any, text_length: int) -> bool:
    if not isinstance(each, Unread):
        return False
    instead: Any = each.instead
    return isinstance(instead, str) and _is_span(each.span, text_length)


def _is_span(span: Any, text_length: int) -> bool:
    pair = isinstance(span, (tuple, list)) and len(span) == 2 and all(_is_count(place) for place in span)
    return pair and bool(span[0] <= span[1] <= text_length)


def _copy_of(mark: Mark) -> Mark:
    start, end = mark.span
    kind: Any = str.__str__(mark.kind)
    return Mark(float(mark.start), float(mark.end), (int(start), int(end)), kind, plain_text(mark.name))


def check_end(content: RowEnd | RowFailed, who: str) -> RowEnd | RowFailed:
    """Return the end of a row as a plain copy.

    Raises:
        InvalidChunk: Its reason is none, or the error is no exception.
    """
    if isinstance(content, RowEnd):
        reason: Any = content.reason
        if not (reason is None or _is_one_of(reason, FINISH_REASONS)):
            raise _fault(f"the reason of a row's end is {shown(reason)}", who, "yield RowEnd() or RowEnd('length')")
        return RowEnd(reason)
    error: Any = content.error
    if not issubclass(type(error), BaseException):
        raise _fault(f"the error of a row is {shown(error)}", who, "yield RowFailed(error) with the exception")
    return RowFailed(error)


def check_voices(voices: Any, who: str) -> tuple[VoiceInfo, ...]:
    """Check what the hook `voices` returned, and return plain copies as a tuple.

    Raises:
        InvalidPlugin: It is not a sequence of `VoiceInfo`, or a field of one is no string.
    """
    checked = []
    for voice in voices if voices is not None else ():
        if not isinstance(voice, VoiceInfo):
            raise InvalidPlugin(
                f"voices returned {type(voice).__name__}", who=who, fix="return realtts.VoiceInfo objects"
            )
        aliases: Any = voice.aliases
        words = {name: getattr(voice, name) for name in _VOICE_WORDS}
        if not isinstance(aliases, tuple) or not all(isinstance(word, str) for word in (*words.values(), *aliases)):
            raise InvalidPlugin(f"voices returned {shown(voice)}", who=who, fix="give strings to realtts.VoiceInfo")
        plain = {name: plain_text(word) for name, word in words.items()}
        checked.append(VoiceInfo(**plain, aliases=tuple(map(plain_text, aliases))))
    return tuple(checked)


def _fault(what: str, who: str, fix: str) -> InvalidChunk:
    return InvalidChunk(what, who=who, fix=fix)
