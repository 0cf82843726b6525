"""The words of a recording that came without them, by Whisper in a folder of the user's.

Radford et al., 2022, arXiv:2212.04356. Nothing is downloaded: the folder is given, and used with what is installed:
faster-whisper for a model of CTranslate2 (``model.bin``), transformers for any other.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts import audio
from realtts.errors import VoiceUnsuitable
from realtts.kit.languages import language_tag

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["transcribed"]

_RATE = 16_000
_INSTALL = "pip install 'realtts-f5[asr]'"


def transcribed(
    samples: NDArray[np.float32], rate: int, name: str, folder: str | None, language: str | None = None
) -> str:
    """Write down what is said in a recording.

    Args:
        samples: float32 of shape (n,).
        rate: Hz.
        name: Of the recording, for messages.
        folder: Of the Whisper model; None: not given.
        language: BCP 47 tag; None: the model finds out.

    Raises:
        VoiceUnsuitable: No folder was given, it cannot be used, nothing that reads it is installed, or no words were
            found.
    """
    who = f"voice {name!r}"
    if folder is None:
        raise VoiceUnsuitable(
            "its words are not known, and the model needs them", who=who,
            fix=f"give reference_text=; or {_INSTALL} and give asr_model= a folder with a Whisper model",
        )  # fmt: skip
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise VoiceUnsuitable(
            f"asr_model is {folder!r}, and there is no such folder", who=who,
            fix="give asr_model= a folder with a Whisper model, or give reference_text=",
        )  # fmt: skip
    wave = audio.resample(samples, rate, _RATE)
    code = None if language is None else language_tag(language).partition("-")[0]
    is_fast = (place / "model.bin").is_file()
    package = _package("faster_whisper" if is_fast else "transformers", folder, who)
    try:
        words = (_by_faster_whisper if is_fast else _by_transformers)(package, place, wave, code)
    except Exception as error:
        raise VoiceUnsuitable(
            f"{package.__name__} cannot write it down: {type(error).__name__}: {error}", who=who,
            fix="give reference_text=, or asr_model= another folder",
        ) from error  # fmt: skip
    if not words.strip():
        raise VoiceUnsuitable("no words are found in it", who=who, fix="give reference_text=, or another recording")
    return words.strip()


def _package(name: str, folder: str, who: str) -> Any:
    """Import the package that reads the model, and say how to install it where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        fix = _INSTALL if name == "faster_whisper" else "pip install transformers"
        raise VoiceUnsuitable(
            f"its words are not known, and {name} is not installed, which reads the model in {folder!r}", who=who,
            fix=f"{fix}; or give reference_text=",
        ) from error  # fmt: skip


def _by_faster_whisper(package: Any, place: Path, wave: NDArray[np.float32], language: str | None) -> str:
    """Transcribe by faster-whisper."""
    model = package.WhisperModel(str(place), device="cpu", compute_type="int8", local_files_only=True)
    segments, _ = model.transcribe(wave, language=language, task="transcribe")
    return "".join(segment.text for segment in segments)


def _by_transformers(package: Any, place: Path, wave: NDArray[np.float32], language: str | None) -> str:
    """Transcribe by transformers."""
    recognize = package.pipeline("automatic-speech-recognition", model=str(place), device="cpu")
    options = {"task": "transcribe", **({} if language is None else {"language": language})}
    transcript = recognize({"raw": wave, "sampling_rate": _RATE}, generate_kwargs=options, return_timestamps=False)
    return str(transcript["text"])
