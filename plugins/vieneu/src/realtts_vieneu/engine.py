"""The networks that speak: the language model, and the codec's decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from realtts.accel.decoder.rungs import decoder_details
from realtts.accel.precision import name_of
from realtts.accel.weights.packed_cache import NO_CACHE
from realtts.contract import timing
from realtts.errors import InvalidOption
from realtts_vieneu.codec import CodecDecoder
from realtts_vieneu.network import SpeechLM

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.offload.sharing import DeviceSharing
    from realtts.accel.weights.packed_cache import PackedCache
    from realtts.contract.context import Context
    from realtts_vieneu.embedding import TokenEmbedding
    from realtts_vieneu.head import HeadKind
    from realtts_vieneu.loading import Weights
    from realtts_vieneu.utterance import Utterance

__all__ = ["Engine"]

_SOUNDS = 8
"""Sentences or windows that are decoded at once on a device that takes them together."""


class Engine:
    """Language model and the codec's decoder, made in the stages of a rung.

    The constructor reads the embedding, `convert` the codec, and `pack` the language model, which is quantized as it is
    read; no tensor is read twice, and no weights but those that are being packed are in memory twice.

    Args:
        weights: The checkpoint.
        device: Where they compute.
        precision: Of the language model.
        dtype: Of the codec's products.
        backend: Captures steps and windows as graphs; None runs them eagerly.
        turns: Decides whether ``"lm"`` or ``"codec"`` has the device.
        head: Which tokens can be drawn at first; `choose` changes it.
        places: Most sentences that are drawn at once.
        cache: Where packed weights are kept.

    Attributes:
        device: As given.
        turns: As given.
        embedding: Of the language model, until `pack` takes it.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        device: str,
        precision: Precision,
        dtype: torch.dtype,
        backend: GraphBackend | None,
        turns: DeviceSharing,
        head: HeadKind,
        places: int,
        cache: PackedCache = NO_CACHE,
    ) -> None:
        self.device, self.turns, self._places, self._cache = device, turns, places, cache
        self._weights, self._precision, self._dtype, self._backend = weights, precision, dtype, backend
        # Either is None before its stage, or where reading another one has failed; then the next request reads it.
        self._lm: SpeechLM | None = None
        self._codec: CodecDecoder | None = None
        self._place = device
        self.embedding: TokenEmbedding | None = self._embed(head)

    def convert(self) -> None:
        """Read the codec's decoder and cast it."""
        self._codec = self._read_codec(self.device)

    def pack(self) -> None:
        """Pack the codec; read and pack the language model."""
        assert self.embedding is not None, "packed already"
        # One after the other leaves the device, where it is offloaded, before the next is read.
        self.codec.pack()
        self.turns.add("codec", self.codec)
        embedding, self.embedding = self.embedding, None
        self._lm = self._pack_lm(embedding)
        self.turns.add("lm", self._lm)

    def capture(self, utterance: Utterance) -> None:
        """Capture the graphs that utterances like this one need; nothing without graphs."""
        if self._backend is not None:
            self.lm.capture(utterance)
            self.codec.capture()

    @property
    def details(self) -> dict[str, object]:
        """Facts for the status, of the parts as they are now."""
        return {
            **decoder_details(self.lm.decoder, graphs=self.lm.graphed),
            "head": self.lm.outputs.kind,
            "codec_device": self._place,
            "codec_dtype": name_of(self.codec.dtype),
        }

    def choose(self, head: HeadKind, codec_device: str | None) -> bool:
        """Read language model or codec again where a request needs another one; returns whether that was so.

        Args:
            head: Which tokens can be drawn.
            codec_device: Where sound is made; None: where the language model is.
        """
        place, changed = codec_device or self.device, False
        if self._lm is None or head != self._lm.outputs.kind:
            self.turns.clear()
            self._lm = None  # or both would be in memory while the other is read
            self._lm, changed = self._pack_lm(self._embed(head)), True
            self.turns.add("lm", self._lm)
        if self._codec is None or place != self._place:
            self.turns.clear()
            self._codec = None
            codec = self._read_codec(place)
            codec.pack()
            self._codec, self._place, changed = codec, place, True
            self.turns.add("codec", self._codec)
        return changed

    def release(self) -> None:
        """Release what is only needed while something is spoken."""
        if self._lm is not None:
            self._lm.release()

    @property
    def lm(self) -> SpeechLM:
        """Draws tokens."""
        assert self._lm is not None, "not packed yet, or it could not be read for the request before"
        return self._lm

    @property
    def codec(self) -> CodecDecoder:
        """Decodes codes to sound."""
        assert self._codec is not None, "not converted yet, or it could not be read for the request before"
        return self._codec

    def warm_up(self, utterance: Utterance) -> Tensor:
        """Draw a few tokens of an utterance and decode a few codes; returns samples, to be checked for NaN."""
        with self.turns.use("lm"):
            self.lm.warm_up(utterance)
        with self.turns.use("codec"):
            return self.codec.samples(torch.zeros(4, dtype=torch.int64))

    # -- sound -------------------------------------------------------------------------------------------------------

    @property
    def sounds_at_once(self) -> int:
        """Sentences or windows that one call of `sounds` should be given: one where they would be decoded in turn."""
        return 1 if self._place == "cpu" else _SOUNDS

    def sounds(self, context: Context, codes: Sequence[Tensor], rows: Collection[int]) -> list[NDArray[np.float32]]:
        """Decode sentences or windows, each as if it were alone, to float32 (480 * frames,).

        Args:
            context: Of the stage.
            codes: int64 (frames,) each, perhaps none.
            rows: Numbers of the requests that they are of.
        """
        frames, codec = [len(row) for row in codes], self.codec
        if not any(frames):
            return [np.zeros(0, np.float32) for _ in codes]
        flops = sum(codec.flops(count) for count in frames)
        with self.turns.use("codec"), timing.timed(
            context, "codec", steps=sum(frames), flops=flops, bytes=codec.bytes_read, dtype=name_of(codec.dtype),
            rows=rows,
        ):  # fmt: skip
            return [samples.float().cpu().numpy() for samples in codec.batch(codes)]

    # -- weights -----------------------------------------------------------------------------------------------------

    def _embed(self, head: HeadKind) -> TokenEmbedding:
        weights = self._weights
        return SpeechLM.embed(
            weights.sizes, weights.reader.speech, weights.model_state,
            device=self.device, head=head, drawing=weights.drawing,
        )  # fmt: skip

    def _pack_lm(self, embedding: TokenEmbedding) -> SpeechLM:
        weights = self._weights
        return SpeechLM.pack(
            weights.sizes, weights.model_state, embedding,
            device=self.device, precision=self._precision, places=self._places, backend=self._backend,
            cache=self._cache,
        )  # fmt: skip

    def _read_codec(self, device: str) -> CodecDecoder:
        weights, on_model = self._weights, device == self.device
        try:
            return CodecDecoder.read(
                weights.codec, weights.codec_state, device=device,
                dtype=self._dtype if on_model else torch.float32, backend=self._backend if on_model else None,
            )  # fmt: skip
        except torch.OutOfMemoryError as error:
            if on_model:
                raise
            # A request's wish is no reason to give up the rung.
            raise InvalidOption(
                f"there is no room for the codec on {device}", who="codec_device", fix="choose another device"
            ) from error
