"""The networks of the optimized variant, packed: talker, code predictor and the codec's decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.rungs import decoder_details
from realtts.accel.precision import name_of
from realtts.accel.weights.packed_cache import NO_CACHE
from realtts_qwen3.codec_graphs import LARGEST
from realtts_qwen3.network import Talker

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.decoder import Admission, Precision
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.offload.sharing import DeviceSharing
    from realtts.accel.weights.packed_cache import PackedCache
    from realtts_qwen3.codec import CodecDecoder
    from realtts_qwen3.loading import Weights
    from realtts_qwen3.prompt import Prompts
    from realtts_qwen3.utterance import Utterance

__all__ = ["Engine"]


class Engine:
    """Talker, code predictor and the codec's decoder, packed.

    Args:
        weights: The checkpoint.
        prompts: The talker's embeddings, read.
        codec: The codec's decoder, read and not packed yet.
        precision: Precision of talker and code predictor.
        backend: Captures frames and windows as graphs; None runs them eagerly.
        turns: Moves ``"talker"`` and ``"codec"`` to the device in turn.
        places: Most requests at once.
        cache: Where packed weights are kept.

    Attributes:
        talker: Draws frames.
        codec: Decodes frames to samples.
        turns: As given.
    """

    def __init__(
        self,
        weights: Weights,
        prompts: Prompts,
        codec: CodecDecoder,
        *,
        precision: Precision,
        backend: GraphBackend | None,
        turns: DeviceSharing,
        places: int = 1,
        cache: PackedCache = NO_CACHE,
    ) -> None:
        self.turns, self.codec = turns, codec.compile(backend)
        # With offloading the codec leaves the device before the talker comes: the talker is the largest part.
        turns.add("codec", codec)
        self.talker = Talker.pack(
            weights.sizes, weights.states.talker, prompts,
            precision=precision, places=places, backend=backend, cache=cache,
        )  # fmt: skip
        turns.add("talker", self.talker)
        self._backend = backend
        self._has_graphs = False

    @property
    def details(self) -> dict[str, object]:
        """What runs, for the status."""
        decoder = self.talker.decoder
        return {
            **decoder_details(decoder, graphs=self._has_graphs),
            "codec_dtype": name_of(self.codec.dtype),
            **self.turns.details,
        }

    def prepare(self, utterance: Utterance, *, slots: int | None = None) -> None:
        """Make the rows of such an utterance, and capture all graphs of up to so many slots, if any."""
        with self.turns.use("talker"):
            self._has_graphs = bool(self.talker.prepare(utterance, slots=slots).loop.queue.graphs)
        if self._backend is not None:
            with self.turns.use("codec"):
                self.codec.capture(LARGEST, rows=self.talker.places)

    def warm_up(self, utterance: Utterance) -> Tensor:
        """Draw an utterance and decode windows of all sizes that have graphs; returns the samples, to be checked."""
        with self.turns.use("talker"):
            for _ in self.talker.decode([utterance]):
                pass
        with self.turns.use("codec"):
            # 1, 2, 4 and so on: a window of each graph.
            windows = [1 << power for power in range((LARGEST if self._has_graphs else 2).bit_length())]
            codes = torch.zeros(max(windows), self.codec.quantizers, dtype=torch.int64)
            return torch.cat([self.codec.samples(codes[:frames]) for frames in windows])

    def admission(self, utterance: Utterance) -> Admission:
        """Return what an utterance's place among the talker's rows is given for."""
        return self.talker.admission(self.talker.laid_out(utterance), utterance)
