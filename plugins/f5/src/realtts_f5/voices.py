"""The recording of a speaker, prepared as upstream prepares it, to the sample.

Source: ``preprocess_ref_audio_text`` and the first lines of ``infer_batch_process`` in
``f5_tts/infer/utils_infer.py``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from realtts import audio
from realtts.accel.upstream.calls import quiet
from realtts.contract.types import Voice, VoiceInfo
from realtts.errors import VoiceUnsuitable
from realtts.kit.voices import no_voice, voice_key
from realtts_f5.clips import BEHIND_MS, SILENT_DBFS, clipped, excerpt_of, used
from realtts_f5.constants import HOP, RATE
from realtts_f5.presets import BUILTIN, EXAMPLES, voices_of
from realtts_f5.transcribe import transcribed
from realtts_f5.upstream import module

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realtts.accel.voices.disk_cache import DiskVoiceCache
    from realtts.contract.types import Request
    from realtts.voices import VoiceCache
    from realtts_f5.options import F5Options

    Voices = VoiceCache | DiskVoiceCache

__all__ = ["Reference", "ended", "listed", "prepared", "reference_of"]

_LEAST_S = 0.3
_SILENT = 10 ** (SILENT_DBFS / 20)


@dataclass(frozen=True, eq=False)
class Reference:
    """What the networks take of a recording.

    Attributes:
        samples: float32 of shape (n,) at 24 kHz, raised to the wanted loudness if it was below.
        text: Its words, as upstream ends them.
        seconds: Length of the recording after clipping and trimming; upstream derives the length of chunks from it.
        gain: Factor of the speech, so that a quiet speaker stays quiet; 1 for one that was loud enough.
        warnings: For the user, where not all of the recording is used.
    """

    samples: NDArray[np.float32]
    text: str
    seconds: float
    gain: float
    warnings: tuple[str, ...] = ()

    @property
    def hops(self) -> int:
        """Frames as upstream counts them; the speech begins behind them."""
        return len(self.samples) // HOP

    @property
    def frames(self) -> int:
        """Frames of its mel spectrogram: one more, because its frames are centred."""
        return self.hops + 1


def listed() -> list[VoiceInfo]:
    """List the voices that f5-tts brings as examples."""
    return voices_of()


def reference_of(cache: Voices, request: Request, options: F5Options) -> Reference:
    """Prepare the request's voice; the cache keeps it by its content and what else it depends on.

    Args:
        cache: Where it is kept.
        request: Checked by the facade.
        options: Of the request.

    Raises:
        VoiceNotFound: There is no built-in voice of that name.
        VoiceUnsuitable: Nothing is left of the recording but silence, or its words are not known.
    """
    voice = request.voice if isinstance(request.voice, Voice) else _example(request.voice)

    # As dictionaries of arrays and plain data, which a cache on disk can keep.
    clip = cache.get_or_compute(voice_key(voice, "f5/clip"), lambda: _clip_voice(voice))
    text, part = voice.text or "", ""
    if not text.strip():
        text = cache.get_or_compute(
            voice_key(voice, "f5/words", options.asr_model, request.language),
            lambda: transcribed(clip["samples"], int(clip["rate"]), voice.name, options.asr_model, request.language),
        )
    elif not clip["whole"]:
        part = hashlib.sha256(text.encode()).hexdigest()
        clip = cache.get_or_compute(voice_key(voice, "f5/excerpt", part), lambda: excerpt_of(voice, text))
        text = clip["words"]
    conditioned = cache.get_or_compute(
        voice_key(voice, "f5/prepared", options.target_rms, part),
        lambda: prepared(clip["samples"], int(clip["rate"]), options.target_rms),
    )
    seconds, gain = float(conditioned["seconds"]), float(conditioned["gain"])
    return Reference(conditioned["samples"], ended(text), seconds, gain, used(voice, clip))


def prepared(samples: NDArray[np.float32], rate: int, target_rms: float) -> dict[str, Any]:
    """Bring a clipped recording to the networks' rate and loudness.

    Args:
        samples: float32 of shape (n,), not silent.
        rate: Hz.
        target_rms: Root mean square that a quieter one is raised to.

    Returns:
        ``samples``, ``seconds`` and ``gain`` of a `Reference`.
    """
    wave = torch.from_numpy(np.ascontiguousarray(samples))[None]
    rms = torch.sqrt(torch.mean(torch.square(wave)))
    gain = 1.0
    if rms < target_rms:
        wave = wave * target_rms / rms
        gain = float(rms) / target_rms
    if rate != RATE:
        with quiet():
            wave = module("torchaudio.transforms").Resample(rate, RATE)(wave)
    return {"samples": wave[0].numpy(), "seconds": len(samples) / rate, "gain": gain}


def _clip_voice(voice: Voice) -> dict[str, Any]:
    """Clip a voice's recording, and refuse one of which too little is left."""
    clip = clipped(voice.samples, voice.sample_rate)
    samples, rate = clip.samples, clip.rate
    sound = samples[: len(samples) - round(BEHIND_MS / 1000 * rate)]
    # A constant is loud by its square, and nobody hears it.
    silent = not sound.size or float(np.abs(sound - sound.mean()).max()) < _SILENT
    if len(samples) / rate < _LEAST_S or silent:
        raise VoiceUnsuitable(
            "nothing is left of it once silence at its edges is trimmed", who=f"voice {voice.name!r}",
            fix="give a louder recording: what stays below -42 dBFS counts as silence",
        )  # fmt: skip
    return {"samples": samples, "rate": rate, "whole": clip.is_whole}


def ended(text: str) -> str:
    """End a text with a full stop and a space, and upstream's second space, which counts in the length too."""
    if not text.endswith((". ", "。")):
        text += " " if text.endswith(".") else ". "
    return text + " " if text[-1].isascii() else text


def _example(name: str | None) -> Voice:
    """Read a recording that f5-tts brings."""
    example = EXAMPLES.get(name or BUILTIN)
    if example is None:
        raise no_voice(name, EXAMPLES, "f5", instead="give voice= a recording")
    file, text, _ = example
    with resources.as_file(resources.files("f5_tts").joinpath(f"infer/examples/basic/{file}")) as path:
        samples, rate = audio.read(path, max_seconds=60.0)
    return Voice(samples, rate, text, name or BUILTIN)
