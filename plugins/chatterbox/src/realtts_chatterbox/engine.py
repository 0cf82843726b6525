"""T3 with its precision and its graphs, and a request as T3 takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.accel.decoder.rungs import decoder_details
from realtts.accel.sampling import SamplingParams
from realtts.accel.weights.packed_cache import NO_CACHE
from realtts_chatterbox.network import T3
from realtts_chatterbox.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.weights.packed_cache import PackedCache
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.frontend import Ask
    from realtts_chatterbox.weights import Weights

__all__ = ["Engine", "utterance_of"]


class Engine:
    """T3, and what the status shows of it.

    The constructor reads T3's float32 part; `pack` makes it ready to draw.

    Args:
        weights: The checkpoint.
        device: Where it runs.
        places: Most requests at once.

    Attributes:
        t3: The speech language model.
    """

    def __init__(self, weights: Weights, *, device: str, places: int) -> None:
        self.t3 = T3(weights.t3_state, kind=weights.configuration.name, device=device, places=places)
        self._graphs = False

    def pack(
        self, weights: Weights, precision: Precision, backend: GraphBackend | None, cache: PackedCache = NO_CACHE
    ) -> None:
        """Read and pack the language model's layers; arguments as of `T3.pack`."""
        self.t3.pack(weights.t3_state, precision, backend, cache)

    def capture(self, ask: Ask, voice: Conditionals) -> None:
        """Capture the steps of requests like this one, where there is a backend; see `T3.capture`."""
        self._graphs = self.t3.capture(utterance_of(ask, voice))

    @property
    def details(self) -> dict[str, object]:
        """What the status shows of the packed decoder."""
        return decoder_details(self.t3.decoder, graphs=self._graphs)

    def logits(self, ask: Ask, voice: Conditionals, tokens: Sequence[int]) -> Tensor:
        """Return what each of these tokens was drawn from, guidance applied: float32 (n, vocabulary)."""
        return self.t3.logits(utterance_of(ask, voice), tokens)


def utterance_of(ask: Ask, voice: Conditionals) -> Utterance:
    """Return a request as T3 takes it."""
    return Utterance(
        ids=ask.ids,
        voice=voice,
        exaggeration=ask.exaggeration,
        params=SamplingParams(
            temperature=ask.temperature,
            guidance=ask.cfg_weight,
            repetition_penalty=ask.repetition_penalty,
            min_p=ask.min_p,
            top_p=ask.top_p,
            top_k=ask.top_k,
            min_new_tokens=ask.least,
        ),
        seed=ask.seed,
        most=ask.most,
        forced=ask.forced,
    )
