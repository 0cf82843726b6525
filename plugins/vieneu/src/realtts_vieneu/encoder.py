"""From a recording to codes: transformers' own ``NeuCodecModel``, for cloning only.

The outputs of two encoders, one of sound and one of words (w2v-bert 2.0, its first 16 layers), are concatenated and
quantized: 580 M weights in float32, which are in memory only while a recording is encoded.

Source: transformers' ``NeuCodecModel.encode``. It is called and not rewritten, because a recording is encoded once, and
another rounding might choose another code.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.upstream.calls import quiet
from realtts.accel.upstream.networks import Unfilled, fill
from realtts_vieneu.codec_names import Lazy, named
from realtts_vieneu.codec_sizes import read_codec_sizes
from realtts_vieneu.constants import ENCODER_RATE
from realtts_vieneu.features import features_of, padded
from realtts_vieneu.upstream import module

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts_vieneu.codec_sizes import CodecSizes

__all__ = ["Encoder", "codec_network"]

_LAYERS = "semantic_encoder.encoder.layers."
_SHORTEST = 2
"""Frames of the shortest recording, the last of which is cut off."""


class Encoder:
    """Encodes recordings; keeps no network between two of them.

    Args:
        config: ``config.json`` of the codec; empty for upstream's own repository, which has none.
        state: Its tensors, by the names of transformers' ``NeuCodecModel`` or of the neucodec package, read when a
            recording is encoded.
        device: Where to compute.
        semantic: Tensors of w2v-bert-2.0 by the names of transformers' ``Wav2Vec2BertModel``, for a state without them:
            the package's.

    Attributes:
        rate: Hz of recordings, 16000.

    Raises:
        CheckpointMismatch: The configuration is of another codec, or a tensor of none.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        state: Mapping[str, Tensor],
        *,
        device: torch.device | str = "cpu",
        semantic: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.rate = ENCODER_RATE
        self._sizes = read_codec_sizes(config)
        self._state = named(state, semantic)
        self._device = torch.device(device)

    @torch.inference_mode()
    def codes(self, samples: Tensor | NDArray[np.float32]) -> Tensor:
        """Encode a recording: the networks are read, used and released.

        Args:
            samples: float32 (n,), 16 kHz, in [-1, 1].

        Returns:
            int64 (n // 320,), 50 codes a second, on the CPU; none where n is less than 320.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen; names it.
            CheckpointCorrupt: A tensor cannot be read.
            MissingExtra: transformers is not installed, or too old.
        """
        wave = padded(torch.as_tensor(samples).to(self._device, torch.float32), self._sizes.frame)
        if len(wave) < _SHORTEST * self._sizes.frame:
            return torch.zeros(0, dtype=torch.int64)
        network = codec_network(self._sizes, self._state, self._device, decode=False)
        with quiet():
            encoded = network.encode(wave[None, None], features_of(wave)[None], return_dict=True)
        codes: Tensor = encoded.audio_codes[0, 0].long().cpu()  # (1, 1, frames) -> (frames,)
        return codes


def codec_network(
    sizes: CodecSizes,
    state: Mapping[str, Tensor],
    device: torch.device | str,
    *,
    encode: bool = True,
    decode: bool = True,
) -> Any:
    """Build transformers' ``NeuCodecModel``, float32, in evaluation mode, without a second copy of its weights.

    Args:
        sizes: Of the codec.
        state: Tensors by transformers' names; those of a half that is left out may be missing.
        device: Where it computes.
        encode: With the encoders.
        decode: With the decoder.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen; names it.
        CheckpointCorrupt: A tensor cannot be read.
        MissingExtra: transformers is not installed, or too old.
    """
    upstream = module("transformers.models.neucodec")
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        network = upstream.NeuCodecModel(upstream.NeuCodecConfig(**dict(sizes.config)))
    if not decode:
        del network.acoustic_decoder
    if not encode:
        del network.semantic_encoder, network.semantic_adapter, network.acoustic_encoder, network.fc_encoder
        del network.quantizer.project_in
    parts = {name for name, _ in network.named_children()}
    used = [name for name in state if name.partition(".")[0] in parts and _is_used(name, sizes, encode=encode)]
    fill(network, Lazy({name: partial(state.__getitem__, name) for name in used}), str(device), "codec")
    return network


def _is_used(name: str, sizes: CodecSizes, *, encode: bool) -> bool:
    """Return whether a tensor is used: not those of w2v-bert's upper layers, nor the quantizer's other half."""
    if name.startswith(_LAYERS):
        number = name.removeprefix(_LAYERS).partition(".")[0]
        return not number.isdigit() or int(number) < sizes.semantic_layers
    return encode or not name.startswith("quantizer.project_in.")
