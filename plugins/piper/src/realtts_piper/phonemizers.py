"""Texts as phonemes, by the phonemizers of the package piper-tts: those that the voices were trained with.

espeak-ng keeps its voice in static variables, so that one text at a time is read in a process.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import threading
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.errors import BrokenProvider, CheckpointMismatch, MissingExtra
from realtts.exception_text import describe_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts_piper.voice import PiperVoice

__all__ = ["Phonemizer", "phonemizer_of"]

_WHO = "provider 'piper'"
_REQUIREMENT = "piper-tts==1.8.0"
_DATA = ("phontab", "phonindex", "phondata", "intonations")
_CLASSES = {
    "pinyin": ("phonemize_chinese", "ChinesePhonemizer", "zh"),
    "hebrew": ("phonemize_hebrew", "HebrewPhonemizer", ""),
    "japanese": ("phonemize_japanese", "JapanesePhonemizer", "ja"),
    "thai": ("phonemize_thai", "ThaiPhonemizer", "th"),
}
"""Modules and classes of piper-tts by the type of phonemes, and its extra that brings what they need."""

_REMEMBERED = 8192
_lock = threading.RLock()


class Phonemizer:
    """Reads texts as one voice does; any number of threads may call it.

    Args:
        read: Returns phonemes of the sentences of a text.
        vowelled: Returns a text with vowels that its script leaves out, word by word.
    """

    def __init__(self, read: Callable[[str], list[list[str]]], vowelled: Callable[[str], str] | None = None) -> None:
        self._read, self._vowelled = read, vowelled
        self.word = functools.lru_cache(_REMEMBERED)(self._word)

    def sentences(self, text: str) -> list[list[str]]:
        """Return the phonemes of a text, sentence by sentence, as piper-tts does; those without any are left out."""
        with _lock:
            return [sentence for sentence in self._read(text) if sentence]

    def vowelled(self, text: str) -> str:
        """Return the text as it is read, with vowels that its script leaves out."""
        if self._vowelled is None:
            return text
        with _lock:
            return self._vowelled(text)

    def _word(self, text: str) -> tuple[str, ...]:
        """Return the phonemes of a word or sign alone."""
        return tuple(phoneme for sentence in self.sentences(text) for phoneme in sentence)


def phonemizer_of(voice: PiperVoice) -> Phonemizer:
    """Return what reads texts for a voice.

    Raises:
        BrokenProvider: piper-tts, or a file of it, is missing or damaged.
        MissingExtra: What the voice's language needs beyond it is not installed.
        CheckpointMismatch: espeak-ng does not have the voice's language.
    """
    if voice.phoneme_type == "text":
        return Phonemizer(lambda text: [list(unicodedata.normalize("NFD", text))])
    clusters = frozenset(map(tuple, voice.vowel_clusters))
    return _made(voice.phoneme_type, voice.espeak.voice, clusters)


@functools.lru_cache(16)
def _made(kind: str, espeak: str, clusters: frozenset[tuple[str, ...]]) -> Phonemizer:
    if kind != "espeak":
        return Phonemizer(_other(kind).phonemize)
    with _lock:
        own = _espeak()

        def read(text: str) -> list[list[str]]:
            sentences: list[list[str]] = own.phonemize(espeak, text, vowel_clusters=set(clusters) or None)
            return sentences

        try:
            read("a")
        except RuntimeError as error:
            raise CheckpointMismatch(
                f"espeak-ng has no voice {espeak!r}, which the voice's configuration names", who=_WHO,
                fix="set espeak.voice in its file NAME.onnx.json to one that espeak-ng has, such as 'en-us'",
            ) from error  # fmt: skip
        return Phonemizer(read, _arabic() if espeak == "ar" else None)


@functools.cache
def _espeak() -> Any:
    module = _module("phonemize_espeak")
    data = Path(module.ESPEAK_DATA_DIR)
    # espeak-ng ends the process where its data are missing.
    missing = [name for name in _DATA if not (data / name).is_file()]
    if missing:
        raise _broken(f"the data of espeak-ng is incomplete, {', '.join(missing)} missing in {data}")
    return module.EspeakPhonemizer(data)


def _arabic() -> Callable[[str], str]:
    """Return upstream's network that writes the vowels of Arabic."""
    diacritizer = _module("tashkeel").TashkeelDiacritizer()

    def vowelled(text: str) -> str:
        written: str = diacritizer(text, taskeen_threshold=0.8)
        return written

    return vowelled


def _other(kind: str) -> Any:
    name, kept, extra = _CLASSES[kind]
    try:
        made = getattr(_module(name), kept)
        return made(_downloads()) if kind == "pinyin" else made()
    except ImportError as error:
        raise MissingExtra(
            f"a voice of this language needs more of piper-tts: {describe_error(error)}", who=_WHO,
            fix=f"pip install '{_REQUIREMENT.replace('==', f'[{extra}]==')}'",
        ) from error  # fmt: skip


def _downloads() -> Path:
    from realtts.settings_sources import cache_dir

    return cache_dir() / "piper" / "g2pW"


def _module(name: str) -> Any:
    try:
        found = importlib.util.find_spec("piper")
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise _broken("its package piper-tts is not installed any more")
    try:
        return importlib.import_module(f"piper.{name}")
    except ImportError as error:
        if name != "phonemize_espeak":
            raise
        raise _broken(f"piper-tts cannot be imported: {describe_error(error)}") from error


def _broken(what: str) -> BrokenProvider:
    return BrokenProvider(
        what, who=_WHO,
        fix=f"pip install --force-reinstall --no-deps {_REQUIREMENT}, or let another provider speak",
    )  # fmt: skip
