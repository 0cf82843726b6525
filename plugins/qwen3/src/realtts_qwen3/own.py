"""What `realtts_qwen3.reference` has, where qwen-tts is not installed: our networks in float32, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.contract.stages import Cancelled
from realtts_qwen3.codec import CodecDecoder
from realtts_qwen3.encoder import CodecEncoder
from realtts_qwen3.network import Talker
from realtts_qwen3.speaker import SpeakerEncoder

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts_qwen3.loading import Weights
    from realtts_qwen3.utterance import Utterance

__all__ = ["Own", "OwnEncoders"]


class OwnEncoders:
    """What makes a voice prompt of a recording.

    Args:
        weights: The checkpoint, of a model that clones.
        device: Where they lie.
    """

    def __init__(self, weights: Weights, device: str) -> None:
        sizes, states = weights.sizes.speaker_encoder, weights.states
        assert sizes is not None, "only a model that clones has a speaker encoder"
        assert states.speaker_encoder is not None
        self._speaker = SpeakerEncoder.from_state_dict(sizes, states.speaker_encoder, device=device)
        self._codec = CodecEncoder.from_state_dict(weights.codec.encoder, states.encoder, device=device)

    def embedding(self, wave: NDArray[np.float32]) -> Tensor:
        """Of the speaker, float32 (width,), of samples at 24 kHz."""
        return self._speaker.embedding(torch.from_numpy(wave))

    def codes(self, wave: NDArray[np.float32]) -> Tensor:
        """Of the codec, int64 (frames, 16), of samples at 24 kHz."""
        return self._codec.codes(torch.from_numpy(wave))


class Own:
    """A checkpoint in our networks, with the methods of `realtts_qwen3.reference.Upstream`.

    Args:
        weights: The checkpoint.
        device: Where they lie.

    Attributes:
        talker: Draws the frames.
    """

    def __init__(self, weights: Weights, device: str) -> None:
        self.talker = Talker.from_state_dict(weights.sizes, weights.states.talker, device=device)
        self._decoder = CodecDecoder.from_state_dict(weights.codec.decoder, weights.states.decoder, device=device)
        self._encoders = OwnEncoders(weights, device) if weights.sizes.speaker_encoder is not None else None

    def embedding(self, wave: NDArray[np.float32]) -> Tensor:
        """As `OwnEncoders.embedding`."""
        assert self._encoders is not None
        return self._encoders.embedding(wave)

    def codes(self, wave: NDArray[np.float32]) -> Tensor:
        """As `OwnEncoders.codes`."""
        assert self._encoders is not None
        return self._encoders.codes(wave)

    def draw(self, utterance: Utterance, cancelled: Callable[[], bool]) -> tuple[Tensor, bool]:
        """As `Upstream.draw`."""
        codes, ended = [torch.zeros(0, self._decoder.quantizers, dtype=torch.int64)], False
        for found in self.talker.decode([utterance]):
            if cancelled():
                raise Cancelled
            codes.append(found.codes[0])
            ended = found.stopped[0]
        return torch.cat(codes), ended

    def samples(self, codes: Tensor, before: Tensor | None) -> NDArray[np.float32]:
        """As `Upstream.samples`."""
        state = self._decoder.start()
        if before is not None:
            self._decoder.push(state, before)
        found: NDArray[np.float32] = self._decoder.push(state, codes).cpu().numpy()
        return found
