"""The networks of `realtts_qwen3.reference` where qwen-tts is not installed: ours in float32, for one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.contract.stages import Cancelled
from realtts_qwen3.codec import CodecDecoder
from realtts_qwen3.encoder import CodecEncoder
from realtts_qwen3.frames import frames_of
from realtts_qwen3.network import Talker
from realtts_qwen3.speaker import SpeakerEncoder

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts_qwen3.loading import Weights
    from realtts_qwen3.utterance import Utterance

__all__ = ["PortedEncoders", "PortedNetworks"]


class PortedEncoders:
    """The encoders that make a voice prompt of a recording, in float32.

    Args:
        weights: The checkpoint, of a model that clones.
        device: Device to compute on.
    """

    def __init__(self, weights: Weights, device: str) -> None:
        sizes, states = weights.sizes.speaker_encoder, weights.states
        assert sizes is not None, "only a model that clones has a speaker encoder"
        assert states.speaker_encoder is not None
        self._speaker = SpeakerEncoder.from_state_dict(sizes, states.speaker_encoder, device=device)
        self._codec = CodecEncoder.from_state_dict(weights.codec.encoder, states.encoder, device=device)

    def embedding(self, wave: NDArray[np.float32]) -> Tensor:
        """Compute the speaker embedding, float32 (width,), of samples at 24 kHz."""
        return self._speaker.embedding(torch.from_numpy(wave))

    def codes(self, wave: NDArray[np.float32]) -> Tensor:
        """Encode samples at 24 kHz as codes, int64 (frames, 16)."""
        return self._codec.codes(torch.from_numpy(wave))


class PortedNetworks:
    """A checkpoint in our networks, with the methods of `realtts_qwen3.reference.Upstream`.

    Args:
        weights: The checkpoint.
        device: Device to compute on.

    Attributes:
        talker: Draws the frames.
        attention: ``"sdpa"``: torch's, by the kernel that torch chooses.
    """

    attention = "sdpa"

    def __init__(self, weights: Weights, device: str) -> None:
        self.talker = Talker.from_state_dict(weights.sizes, weights.states.talker, device=device)
        self._decoder = CodecDecoder.read(weights.codec.decoder, weights.states.decoder, device=device).compile()
        self._encoders = PortedEncoders(weights, device) if weights.sizes.speaker_encoder is not None else None

    def embedding(self, wave: NDArray[np.float32]) -> Tensor:
        """Compute what `PortedEncoders.embedding` does."""
        assert self._encoders is not None
        return self._encoders.embedding(wave)

    def codes(self, wave: NDArray[np.float32]) -> Tensor:
        """Compute what `PortedEncoders.codes` does."""
        assert self._encoders is not None
        return self._encoders.codes(wave)

    def draw(self, utterance: Utterance, cancelled: Callable[[], bool]) -> tuple[Tensor, bool]:
        """Draw frames as `Upstream.draw` does."""
        codes, ended = [torch.zeros(0, self._decoder.quantizers, dtype=torch.int64)], False
        for block in self.talker.decode([utterance]):
            if cancelled():
                raise Cancelled
            codes.append(frames_of(block))
            ended = block.end == "stop"
        return torch.cat(codes), ended

    def samples(self, codes: Tensor, before: Tensor | None) -> NDArray[np.float32]:
        """Decode frames as `Upstream.samples` does."""
        state = self._decoder.start()
        if before is not None:
            self._decoder.push(state, before)
        samples: NDArray[np.float32] = self._decoder.push(state, codes).cpu().numpy()
        return samples
