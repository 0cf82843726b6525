"""espeak-ng's phonemes in Kokoro's alphabet, as misaki's ``EspeakG2P`` and ``EspeakFallback`` write them.

espeak-ng keeps its voice in static variables, so that one text at a time is read in a process. Its data and library are
those of the package espeakng-loader.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
import re
import threading
from pathlib import Path
from typing import Any

from realtts.errors import BrokenProvider, MissingExtra
from realtts.exception_text import describe_error

__all__ = ["espeak_phonemes"]

_WHO = "provider 'kokoro'"
_FIX = "pip install 'realtts-kokoro[espeak]'"
_DATA = ("phontab", "phonindex", "phondata", "intonations")
_SYNCHRONOUS, _DO_NOT_EXIT, _UTF_8 = 2, 0x8000, 1
_IPA_WITH_TIES = 0x02 | 0x80 | ord("^") << 8
_NAMES = {"en-gb": "en", "fr-fr": "fr"}
"""What espeak-ng calls languages, where it is not their tag."""

_LANGUAGE_SWITCH = re.compile(r"\([a-z^-]{2,}\)")
"""What espeak-ng writes where it reads a word in another language."""

_TIED = (
    ("a^ɪ", "I"), ("a^ʊ", "W"), ("d^z", "ʣ"), ("d^ʒ", "ʤ"), ("e^ɪ", "A"), ("o^ʊ", "O"), ("s^s", "S"), ("t^s", "ʦ"),
    ("t^ʃ", "ʧ"), ("ɔ^ɪ", "Y"), ("ə^ʊ", "Q"),
)  # fmt: skip
_ENGLISH = (
    ("ʔˌn\u0329", "ʔn"), ("ʔn\u0329", "ʔn"), ("a^ɪ", "I"), ("a^ʊ", "W"), ("d^ʒ", "ʤ"), ("e^ɪ", "A"), ("t^ʃ", "ʧ"),
    ("ɔ^ɪ", "Y"), ("ə^l", "ᵊl"), ("ʲo", "jo"), ("ʲə", "jə"), ("e^ə", "ɛː"), ("ə^ʊ", "Q"), ("o^ʊ", "O"), ("e", "A"),
    ("ʲ", ""), ("r", "ɹ"), ("x", "k"), ("ç", "k"), ("ɐ", "ə"), ("ɬ", "l"), ("\u0303", ""),
)  # fmt: skip
_AMERICAN = (("ɚ", "əɹ"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ː", ""))
_BRITISH = (("ɚ", "əɹ"), ("iə", "ɪə"))
_SYLLABIC = re.compile("(\\S)\u0329")

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    # No fork in the middle of a call: the child would inherit a lock that nobody opens.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def espeak_phonemes(text: str, language: str) -> str:
    """Return the phonemes of words in Kokoro's alphabet, with spaces between those of espeak-ng's words.

    Args:
        text: Words without punctuation.
        language: Its tag, such as ``"fr-fr"``.

    Raises:
        MissingExtra: The package espeakng-loader is not installed.
        BrokenProvider: Its files are missing or damaged.
    """
    said = _LANGUAGE_SWITCH.sub("", _ipa(text, language))
    if language.startswith("en"):
        for pairs in (_ENGLISH, _BRITISH if language == "en-gb" else _AMERICAN):
            for old, new in pairs:
                said = said.replace(old, new)
        said = _SYLLABIC.sub(r"ᵊ\1", said).replace("\u0329", "").replace("o", "ɔ")
        said = said.replace("ɾ", "T").replace("ʔ", "t")
    else:
        for old, new in _TIED:
            said = said.replace(old, new)
    return " ".join(said.replace("^", "").replace("-", "").split())


def _ipa(text: str, language: str) -> str:
    with _lock:
        library = _library()
        status = library.espeak_SetVoiceByName(_NAMES.get(language, language).encode())
        if status != 0:
            raise _broken(f"espeak-ng has no voice {language!r}")
        rest = ctypes.c_void_p(ctypes.cast(ctypes.c_char_p(data := text.encode()), ctypes.c_void_p).value)
        clauses = []
        while rest.value:
            clause = library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF_8, _IPA_WITH_TIES)
            clauses.append((clause or b"").decode("utf-8", "replace"))
        del data
        return " ".join(clauses)


@functools.cache
def _library() -> Any:
    try:
        loader = importlib.import_module("espeakng_loader")
    except ImportError as error:
        raise MissingExtra(
            f"espeak-ng, which reads this language, is not installed: {describe_error(error)}", who=_WHO, fix=_FIX
        ) from error
    folder = Path(loader.get_data_path())
    # espeak-ng would look elsewhere, without a word.
    missing = [name for name in _DATA if not (folder / name).is_file()]
    if missing:
        raise _broken(f"the data of espeak-ng is incomplete, {', '.join(missing)} missing in {folder}")
    try:
        library = ctypes.CDLL(loader.get_library_path())
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        library.espeak_TextToPhonemes.argtypes = (ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int)
        started = library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(folder.parent), _DO_NOT_EXIT)
    except (OSError, AttributeError) as error:
        raise _broken(f"the library of espeak-ng cannot be loaded ({error})") from error
    if started <= 0:
        raise _broken(f"espeak-ng does not start with the data in {folder}")
    return library


def _broken(what: str) -> BrokenProvider:
    return BrokenProvider(what, who=_WHO, fix=f"{_FIX} --force-reinstall, or let another provider speak")
