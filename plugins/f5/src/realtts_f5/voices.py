"""The recording of a speaker, prepared as upstream prepares it, to the sample.

Source: ``preprocess_ref_audio_text`` and the first lines of ``infer_batch_process`` in
``f5_tts/infer/utils_infer.py``. It works on 16 bits, in which pydub decides what is silent; a recording of more bits is
rounded to them here.
"""

from __future__ import annotations

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

_MOST_MS = 12_000
_ENOUGH_MS = 6_000
_LEAST_S = 0.3
_BEHIND_MS = 50
_SILENT_DBFS = -42
_SILENT = 10 ** (_SILENT_DBFS / 20)


@dataclass(frozen=True, eq=False)
class Reference:
    """What the networks take of a recording.

    Attributes:
        samples: float32 of shape (n,) at 24 kHz, raised to the wanted loudness if it was below.
        text: Its words, as upstream ends them.
        seconds: Length of the recording after clipping and trimming; upstream derives the length of chunks from it.
        gain: Factor of the speech, so that a quiet speaker stays quiet; 1 for one that was loud enough.
    """

    samples: NDArray[np.float32]
    text: str
    seconds: float
    gain: float

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

    # As dictionaries of arrays, which a cache on disk can keep.
    def clip() -> tuple[NDArray[np.float32], int]:
        recording = cache.get_or_compute(voice_key(voice, "f5/clipped"), lambda: _clip_voice(voice))
        return recording["samples"], int(recording["rate"])

    text = voice.text or ""
    if not text.strip():
        text = cache.get_or_compute(
            voice_key(voice, "f5/words", options.asr_model, request.language),
            lambda: transcribed(*clip(), voice.name, options.asr_model, request.language),
        )
    conditioned = cache.get_or_compute(
        voice_key(voice, "f5/prepared", options.target_rms), lambda: prepared(*clip(), options.target_rms)
    )
    seconds, gain = float(conditioned["seconds"]), float(conditioned["gain"])
    return Reference(conditioned["samples"], ended(text), seconds, gain)


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


def clipped(samples: NDArray[np.float32], rate: int) -> tuple[NDArray[np.float32], int]:
    """Keep at most about 12 s of a recording, cut where it is silent, its silent edges trimmed and 50 ms put behind it.

    Args:
        samples: float32 of shape (n,) in [-1, 1].
        rate: Hz.

    Returns:
        float32 of shape (m,) and its rate, which is at least 11025: as pydub, which brings slower ones to that.
    """
    pydub = module("pydub")
    narrow = np.clip(np.rint(np.asarray(samples, np.float64) * 32768), -32768, 32767).astype(np.int16)
    whole = pydub.AudioSegment(narrow.tobytes(), sample_width=2, frame_rate=rate, channels=1)
    segment = _without_long_silence(pydub, whole, shortest_ms=1000, threshold=-50)
    if len(segment) > _MOST_MS:
        segment = _without_long_silence(pydub, whole, shortest_ms=100, threshold=-40)
    segment = segment[:_MOST_MS] if len(segment) > _MOST_MS else segment
    segment = _trimmed(pydub, segment) + pydub.AudioSegment.silent(duration=_BEHIND_MS)
    values = np.frombuffer(segment.raw_data, np.int16).astype(np.float32) / np.float32(32768)
    return values, int(segment.frame_rate)


def _clip_voice(voice: Voice) -> dict[str, Any]:
    """Clip a voice's recording, and refuse one of which too little is left."""
    samples, rate = clipped(voice.samples, voice.sample_rate)
    sound = samples[: len(samples) - round(_BEHIND_MS / 1000 * rate)]
    # A constant is loud by its square, and nobody hears it.
    silent = not sound.size or float(np.abs(sound - sound.mean()).max()) < _SILENT
    if len(samples) / rate < _LEAST_S or silent:
        raise VoiceUnsuitable(
            "nothing is left of it once silence at its edges is trimmed", who=f"voice {voice.name!r}",
            fix="give a louder recording: what stays below -42 dBFS counts as silence",
        )  # fmt: skip
    return {"samples": samples, "rate": rate}


def _without_long_silence(pydub: Any, whole: Any, *, shortest_ms: int, threshold: int) -> Any:
    """Put stretches of speech together until there are 6 s, and the next would make more than 12."""
    stretches = pydub.silence.split_on_silence(
        whole, min_silence_len=shortest_ms, silence_thresh=threshold, keep_silence=1000, seek_step=10
    )
    joined = pydub.AudioSegment.silent(duration=0)
    for stretch in stretches:
        if len(joined) > _ENOUGH_MS and len(joined + stretch) > _MOST_MS:
            break
        joined += stretch
    return joined


def _trimmed(pydub: Any, segment: Any) -> Any:
    """Cut silent edges off."""
    begin = pydub.silence.detect_leading_silence(segment, silence_threshold=_SILENT_DBFS)
    segment = segment[begin:]
    end = pydub.silence.detect_leading_silence(segment.reverse(), silence_threshold=_SILENT_DBFS)
    return segment[: len(segment) - end] if end > 0 else segment


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
