"""Voice prompts of reference recordings, cached by the recording's content, and the built-in speakers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from realtts.accel.voices.values import owned
from realtts.errors import VoiceUnsuitable
from realtts.kit.voices import voice_key
from realtts_qwen3.constants import RATE
from realtts_qwen3.presets import infos

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.accel.voices.disk_cache import DiskVoiceCache
    from realtts.contract.context import Context
    from realtts.contract.types import Voice, VoiceInfo
    from realtts.contract.voice_cache import VoiceCache
    from realtts_qwen3.codec import CodecDecoder
    from realtts_qwen3.codec_state import CodecState
    from realtts_qwen3.sizes import Sizes

__all__ = ["Encoders", "VoicePrompt", "listed", "prompt_of", "state_of"]


@dataclass(frozen=True)
class VoicePrompt:
    """A voice as the networks take it; never changed in place, so that requests can share it.

    Attributes:
        embedding: Speaker embedding, float32 (width,).
        codes: The recording's frames, int64 (frames, 16).
    """

    embedding: Tensor
    codes: Tensor


class Encoders(Protocol):
    """Encoders that make a voice prompt of a recording."""

    def embedding(self, wave: NDArray[np.float32]) -> Tensor:
        """Compute the speaker embedding, (width,), of float32 samples at 24 kHz."""

    def codes(self, wave: NDArray[np.float32]) -> Tensor:
        """Encode float32 samples at 24 kHz as codes, (frames, 16)."""


def prompt_of(
    context: Context,
    voice: Voice,
    encoders: Encoders,
    *,
    weights: str,
    cache: VoiceCache | DiskVoiceCache | None = None,
) -> VoicePrompt:
    """Return the prompt of a recording, from the cache or encoded now.

    The words of the recording are no part of it, so that a recording is cached once, whatever text it is given with.

    Args:
        context: Context of the stage.
        voice: The recording.
        encoders: Called when it is not in the cache.
        weights: Identity of the encoders' weights: ``Weights.identity``.
        cache: Cache to use; default: the context's, in memory.

    Raises:
        VoiceUnsuitable: The recording gives no codes or an embedding that is not finite.
    """
    fields = (cache or context.voice_cache).get_or_compute(
        voice_key(voice, "qwen3", weights), lambda: dict(vars(_encoded(voice, encoders)))
    )
    return VoicePrompt(**fields)


def state_of(
    voice: Voice, codes: Tensor, decoder: CodecDecoder, *, weights: str, cache: VoiceCache | DiskVoiceCache
) -> CodecState:
    """Return the state of the codec's decoder behind a recording's frames, from the cache or computed now.

    Args:
        voice: The recording.
        codes: Its frames, int64 (frames, 16).
        decoder: The codec's decoder.
        weights: Identity of its weights: ``Weights.identity``.
        cache: Cache to use; each form of the decoder's state has an entry of its own.

    Returns:
        A state of one row for the caller to go on with.
    """

    def computed() -> dict[str, Any]:
        state = decoder.start()
        decoder.push(state, codes)
        return {"buffer": owned(state.buffer), "frames": len(codes)}

    cached = cache.get_or_compute(voice_key(voice, "qwen3", weights, decoder.form), computed)
    state = decoder.start()
    state.buffer.copy_(cached["buffer"])
    state.past.fill_(cached["frames"])
    return state


def _encoded(voice: Voice, encoders: Encoders) -> VoicePrompt:
    wave = voice.at(RATE)
    with torch.inference_mode():
        embedding, codes = encoders.embedding(wave), encoders.codes(wave)
    if not torch.isfinite(embedding).all() or not codes.numel():
        raise VoiceUnsuitable("no voice is found in it", who=f"voice {voice.name!r}", fix="give a clear recording")
    return VoicePrompt(owned(embedding.float()), owned(codes.long()))


def listed(sizes: Sizes) -> list[VoiceInfo]:
    """List the speakers of a checkpoint, the default one first."""
    return infos(sizes.speakers, sizes.dialects)
