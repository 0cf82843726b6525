"""Whisper models by faster-whisper: CTranslate2, no torch."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from realtts.errors import CheckpointCorrupt
from realtts.exception_text import describe_error
from realtts.listening.heard import Heard, HeardWord
from realtts.listening.normal import WITHOUT_SPACES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["WhisperRecognizer"]

_RATE = 16_000
_EARLY_S = 0.04
"""How much too early Whisper's attention places words: in the middle of 391 words whose times espeak has told, the
beginnings came 29 ms too early and the ends 52 ms."""

_SHORTEST_S = 0.1
"""Of shorter audio nothing is heard."""


class _Part(NamedTuple):
    """A word as the library gives it, with a space before it where one was written."""

    word: str
    start: float
    end: float


class WhisperRecognizer:
    """A Whisper model on the CPU, in int8.

    Args:
        folder: In CTranslate2's form.
        name: For records.
        threads: Compute threads; None: as the library has it.

    Raises:
        CheckpointCorrupt: The files cannot be read.
    """

    def __init__(self, folder: Path, name: str, threads: int | None = None) -> None:
        from faster_whisper import WhisperModel

        self.name = name
        self._lock = threading.Lock()  # one after the other: two would take twice the memory and be no faster
        try:
            self._model: Any = WhisperModel(
                str(folder), device="cpu", compute_type="int8", cpu_threads=threads or 0, local_files_only=True
            )
        except Exception as error:
            raise CheckpointCorrupt(
                f"it cannot be read: {describe_error(error)}", who=str(folder),
                fix="get it again, or name another recognizer",
            ) from error  # fmt: skip

    def hear(
        self, samples: NDArray[np.float32], sample_rate: int, language: str | None, *, careful: bool = False
    ) -> Heard:
        """Write down what was said, see `realtts.listening.Recognizer`."""
        from realtts.resample import resample

        if len(samples) < _SHORTEST_S * sample_rate:
            return Heard(())
        if sample_rate != _RATE:
            samples = resample(samples, sample_rate, _RATE)
        caution: dict[str, Any] = {"temperature": 0.0}
        if careful:
            caution = {"temperature": (0.0, 0.2, 0.4, 0.6), "no_repeat_ngram_size": 3, "repetition_penalty": 1.1}
        with self._lock:
            segments, about = self._model.transcribe(
                samples, language=self._language(language), beam_size=5, condition_on_previous_text=False,
                word_timestamps=True, **caution,
            )  # fmt: skip
            apart = about.language in WITHOUT_SPACES
            heard = [segment.words or () for segment in segments]
        seconds = len(samples) / _RATE
        words = [word for part in heard for word in (part if apart else _joined(part))]
        return Heard(tuple(_timed(word.word.strip(), word.start, word.end, seconds) for word in words))

    def _language(self, tag: str | None) -> str | None:
        if not self._model.model.is_multilingual:
            return "en"
        primary = tag.partition("-")[0].lower() if tag else None
        return primary if primary in self._model.supported_languages else None


def _joined(words: Iterable[Any]) -> Iterator[_Part]:
    """Yield words whole: the library divides one before its punctuation, such as ``$14`` and ``.50``."""
    whole: _Part | None = None
    for word in words:
        if whole is not None and not word.word.startswith(" "):
            whole = _Part(whole.word + word.word, whole.start, word.end)
            continue
        if whole is not None:
            yield whole
        whole = _Part(word.word, word.start, word.end)
    if whole is not None:
        yield whole


def _timed(text: str, start: float, end: float, seconds: float) -> HeardWord:
    """Return a word in its true place; one that begins with the audio stays there."""
    return HeardWord(text, min(start + _EARLY_S, seconds) if start else 0.0, min(end + _EARLY_S, seconds))
