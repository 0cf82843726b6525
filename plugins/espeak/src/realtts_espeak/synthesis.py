"""One call of espeak: text in, samples and events out."""

from __future__ import annotations

import ctypes
import re
import sys
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.errors import PluginError
from realtts_espeak import binding
from realtts_espeak.hazards import NAMED_PUNCTUATION, harmless, names_punctuation
from realtts_espeak.library import BUFFER_MS, SAMPLE_RATE, fresh_library, select_voice
from realtts_espeak.marks import Onset

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["MAX_RATE", "MIN_RATE", "Manner", "Utterance", "plain_text", "speak", "taken_out"]

MIN_RATE, MAX_RATE = 80, 2000
"""What espeak reaches, in words per minute: slower is spoken like 80, and from 450 on sonic squeezes it."""

_SONIC_RATE = 450
_BUFFER_SAMPLES = SAMPLE_RATE * BUFFER_MS // 1000

# Control characters start espeak's embedded commands and phoneme input; the private use area and two
# unassigned Armenian code points are its internal marks; lone surrogates cannot be encoded.
_RESERVED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u0530\u0557\ud800-\udfff\ue000-\uf8ff]")


@dataclass(frozen=True)
class Manner:
    """The manner of speaking: everything that espeak keeps as global state.

    Attributes:
        voice: espeak's identifier, with ``+variant``.
        rate: Words per minute, `MIN_RATE` to `MAX_RATE`.
        pitch: 0 to 99.
        pitch_range: 0 to 99.
        volume: Percent.
        word_gap: Units of 10 ms at the default rate.
        punctuation: Whether punctuation is named.
    """

    voice: str
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50
    volume: int = 100
    word_gap: int = 0
    punctuation: bool = False


@dataclass(frozen=True, eq=False)
class Utterance:
    """The result of one call.

    Attributes:
        samples: float32 of shape (n,) in [-1, 1] at `SAMPLE_RATE`.
        words: Word events; indices into the text that was spoken.
        cancelled: The call was aborted; the rest is what came before.
    """

    samples: NDArray[np.float32]
    words: tuple[Onset, ...]
    cancelled: bool


def plain_text(text: str) -> str:
    """Return the text with spaces for the characters that espeak takes for commands; of the same length."""
    return _RESERVED.sub(" ", text)


def taken_out(text: str) -> list[tuple[int, int]]:
    """Return where `plain_text` puts spaces in place of characters that somebody may miss: all but controls."""
    return [match.span() for match in _RESERVED.finditer(text) if unicodedata.category(match[0]) != "Cc"]


def speak(
    text: str,
    manner: Manner,
    cancelled: Callable[[], bool],
    *,
    ssml: bool = False,
    phonemes: bool = False,
    end_pause: bool = False,
) -> Utterance:
    """Speak a text in one call, in a freshly loaded library.

    Args:
        text: What to say, free of reserved characters (`plain_text`).
        manner: Voice and parameters.
        cancelled: Read at every buffer of 100 ms; True aborts.
        ssml: Whether the text is SSML, of our own making.
        phonemes: Whether ``[[names]]`` in the text are phonemes.
        end_pause: Whether the pause after a sentence is wanted.

    Raises:
        BrokenProvider: The library cannot be loaded.
        PluginError: espeak refused the voice or the text.
    """
    flags = binding.CHARS_UTF8 | (binding.SSML if ssml else 0) | (binding.END_PAUSE if end_pause else 0)
    flags |= binding.PHONEMES if phonemes else 0
    if not names_punctuation(manner.voice):
        manner = replace(manner, punctuation=False)
    encoded = harmless(text, manner.voice).encode()
    collector = _Collector(cancelled, squeezed=manner.rate >= _SONIC_RATE)
    # Both must outlive the call: espeak holds nothing but their addresses.
    on_audio = binding.SynthCallback(collector)
    on_uri = binding.UriCallback(_refuse_uri)
    with fresh_library() as library:
        library.espeak_SetSynthCallback(on_audio)
        library.espeak_SetUriCallback(on_uri)
        _require(select_voice(library, manner.voice, ssml=ssml), f"the voice {manner.voice!r}")
        _set(library, manner)
        status = library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, flags, None, None)
    if collector.error is not None:
        raise collector.error
    if not collector.stopped:
        _require(status, "the text")
    return collector.utterance()


def _set(library: ctypes.CDLL, manner: Manner) -> None:
    for parameter, value in (
        (binding.RATE, manner.rate),
        (binding.VOLUME, manner.volume),
        (binding.PITCH, manner.pitch),
        (binding.PITCH_RANGE, manner.pitch_range),
        (binding.PUNCTUATION, binding.PUNCTUATION_SOME if manner.punctuation else 0),
        (binding.WORD_GAP, manner.word_gap),
    ):
        library.espeak_SetParameter(parameter, value, 0)
    library.espeak_SetPunctuationList(NAMED_PUNCTUATION)
    # espeak seeds the noise of breath and whisper with the clock.
    library.espeak_ng_SetRandSeed(0)
    if "+" in manner.voice:
        _seed_c_library()


def _seed_c_library() -> None:
    """Make the variants on "klatt 6" (caleb, Reed) repeatable: their breath comes from the C library's rand().

    On Windows that library cannot be told which one it is, and these variants vary.
    """
    if sys.platform != "win32":
        ctypes.CDLL(None).srand(1)


def _refuse_uri(_kind: int, _uri: bytes, _base: bytes) -> int:
    return 1  # never play a file; without a callback espeak would open the path itself


def _require(status: int, what: str) -> None:
    if status != 0:
        raise PluginError(
            f"espeak-ng refused {what} (status {status})",
            who="espeak",
            fix="load the provider anew; if it stays, report it with the voice and the text",
        )


@dataclass
class _Collector:
    """The callback of one call, which gathers audio and events. It must not raise: ctypes would only print that."""

    cancelled: Callable[[], bool]
    squeezed: bool
    parts: list[bytes] = field(default_factory=list)
    length: int = 0
    words: list[Onset] = field(default_factory=list)
    stopped: bool = False
    error: BaseException | None = None

    def __call__(self, wave: Any, count: int, events: Any) -> int:
        try:
            self.stopped = self.cancelled()
            if not self.stopped:
                self._events(events, count)
                if wave and count:
                    self.parts.append(ctypes.string_at(wave, 2 * count))
                    self.length += count
        except BaseException as error:
            self.error, self.stopped = error, True
        return int(self.stopped)

    def _events(self, events: Any, count: int) -> None:
        index = 0
        while kind := events[index].type:
            event = events[index]
            index += 1
            if kind == binding.EVENT_WORD:
                self.words.append(Onset(max(0, event.text_position - 1), self._sample(event.sample, count)))

    def _sample(self, sample: int, count: int) -> int:
        offset = max(0, sample - self.length)
        if self.squeezed:
            # sonic shortened this buffer after espeak had dated the event in it.
            offset = offset * count // _BUFFER_SAMPLES
        return self.length + min(offset, count)

    def utterance(self) -> Utterance:
        pcm = np.frombuffer(b"".join(self.parts), np.int16).astype(np.float32)
        return Utterance(pcm / np.float32(32768), tuple(self.words), cancelled=self.stopped)
