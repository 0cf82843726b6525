"""A reference recording into what the networks take of it, kept by its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from realtts.accel.voices.values import owned
from realtts.contract.types import VoiceInfo
from realtts.errors import VoiceUnsuitable
from realtts.kit.voices import voice_key
from realtts_qwen3.constants import RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.accel.voices.disk_cache import DiskVoiceCache
    from realtts.contract.context import Context
    from realtts.contract.types import Voice
    from realtts.contract.voice_cache import VoiceCache
    from realtts_qwen3.codec import CodecDecoder
    from realtts_qwen3.codec_state import CodecState
    from realtts_qwen3.sizes import Sizes

__all__ = ["Encoders", "VoicePrompt", "listed", "prompt_of", "state_of"]


@dataclass(frozen=True)
class VoicePrompt:
    """A voice as the networks take it; never changed in place, so that requests can share it.

    Attributes:
        embedding: float32 (width,), of the speaker encoder.
        codes: int64 (frames, 16), the recording's frames.
    """

    embedding: Tensor
    codes: Tensor


class Encoders(Protocol):
    """What makes a voice prompt of a recording."""

    def embedding(self, wave: NDArray[np.float32]) -> Tensor:
        """Of the speaker, (width,), of float32 samples at 24 kHz."""

    def codes(self, wave: NDArray[np.float32]) -> Tensor:
        """Of the codec, (frames, 16), of float32 samples at 24 kHz."""


def prompt_of(
    context: Context,
    voice: Voice,
    encoders: Encoders,
    *,
    weights: str,
    cache: VoiceCache | DiskVoiceCache | None = None,
) -> VoicePrompt:
    """The prompt of a recording, from a cache or made now.

    The words of the recording are no part of it, so that one recording is kept once, whatever is said of its words.

    Args:
        context: Of the stage.
        voice: The recording.
        encoders: Called when it is not in the cache.
        weights: Whose they are: ``Weights.identity``.
        cache: Default: the context's, in memory.

    Raises:
        VoiceUnsuitable: No voice is found in it.
    """
    kept = (cache or context.voice_cache).get_or_compute(
        voice_key(voice, "qwen3", weights), lambda: dict(vars(_made(voice, encoders)))
    )
    return VoicePrompt(**kept)


def state_of(
    voice: Voice, codes: Tensor, decoder: CodecDecoder, *, weights: str, cache: VoiceCache | DiskVoiceCache
) -> CodecState:
    """Where the codec's decoder stands behind a recording's frames, from the cache or computed now.

    Args:
        voice: The recording.
        codes: int64 (frames, 16), its frames.
        decoder: Of the codec.
        weights: Whose it is: ``Weights.identity``.
        cache: Where it is kept, for each form of the decoder's state apart.

    Returns:
        A state of one row for the caller to go on with.
    """

    def computed() -> dict[str, Any]:
        state = decoder.start()
        decoder.push(state, codes)
        return {"buffer": owned(state.buffer), "frames": len(codes)}

    kept = cache.get_or_compute(voice_key(voice, "qwen3", weights, decoder.form), computed)
    state = decoder.start()
    state.buffer.copy_(kept["buffer"])
    state.past.fill_(kept["frames"])
    return state


def _made(voice: Voice, encoders: Encoders) -> VoicePrompt:
    wave = voice.at(RATE)
    with torch.inference_mode():
        embedding, codes = encoders.embedding(wave), encoders.codes(wave)
    if not torch.isfinite(embedding).all() or not codes.numel():
        raise VoiceUnsuitable("no voice is found in it", who=f"voice {voice.name!r}", fix="give a clear recording")
    return VoicePrompt(owned(embedding.float()), owned(codes.long()))


def listed(sizes: Sizes) -> list[VoiceInfo]:
    """The speakers of a checkpoint, the default one first."""
    return [
        VoiceInfo(
            name,
            name=name.replace("_", " ").title(),
            description=f"speaks {sizes.dialects[name].replace('_', ' ')} in Chinese" if name in sizes.dialects else "",
        )
        for name in sizes.speakers
    ]
