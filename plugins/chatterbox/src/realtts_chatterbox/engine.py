"""Draws the speech tokens of the optimized variant's requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.accel.decoder import counted
from realtts.accel.decoder.rungs import decoder_details
from realtts.accel.sampling import SamplingParams
from realtts.contract import timing
from realtts_chatterbox.network import T3
from realtts_chatterbox.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.contract.context import Context
    from realtts.contract.stages import Work
    from realtts.contract.types import FinishReason
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.frontend import Ask
    from realtts_chatterbox.weights import Weights

    Spoken = tuple[int, list[int], FinishReason | None]
    """Index of the request, its new tokens, and why they are the last; None: more will come."""

__all__ = ["Engine", "utterance_of"]


class Engine:
    """T3, and the work of its steps counted for the metrics.

    The constructor reads T3's float32 part; `pack` makes it ready to draw.

    Args:
        weights: The checkpoint.
        device: Where it runs.

    Attributes:
        t3: The speech language model.
    """

    def __init__(self, weights: Weights, *, device: str) -> None:
        self.t3 = T3(weights.t3_state, kind=weights.configuration.name, device=device)
        self._graphs = False

    def pack(self, weights: Weights, precision: Precision, backend: GraphBackend | None) -> None:
        """Read and pack the language model's layers; arguments as of `T3.pack`."""
        self.t3.pack(weights.t3_state, precision, backend)

    def capture(self, ask: Ask, voice: Conditionals) -> None:
        """Capture the steps of a single request like this one, where there is a backend; see `T3.capture`."""
        self._graphs = self.t3.capture(utterance_of(ask, voice))

    @property
    def details(self) -> dict[str, object]:
        """What the status shows of the packed decoder."""
        return decoder_details(self.t3.decoder, graphs=self._graphs)

    def decode(
        self,
        context: Context,
        asks: Sequence[Ask],
        voices: Sequence[Conditionals],
        cancelled: Sequence[Callable[[], bool]],
    ) -> Generator[Spoken, None, None]:
        """Draw tokens and yield new ones, without the end token; nothing more of a request that was cancelled."""
        utterances = [utterance_of(ask, voice) for ask, voice in zip(asks, voices, strict=True)]
        try:
            with timing.timed(context, "t3", dtype=self.t3.decoder.precision.products) as work:
                yield from self._drawn(utterances, cancelled, work)
        finally:
            self.t3.release()

    def _drawn(
        self, utterances: Sequence[Utterance], cancelled: Sequence[Callable[[], bool]], work: Work
    ) -> Iterator[Spoken]:
        loop = self.t3.begin(utterances)
        flops, read = self.t3.cost(loop)
        work.add(steps=1, bytes=read, flops=flops * loop.cache.filled)
        going = set(range(len(utterances)))
        for block in counted(loop.run(), loop, work, lambda: self.t3.cost(loop)):
            for row in sorted(going):
                if cancelled[row]():
                    loop.stop(row)
                    going.discard(row)
                    continue
                reason: FinishReason | None = None
                if block.finished[row]:
                    reason = "stop" if block.stopped[row] else "length"
                    going.discard(row)
                yield row, list(block.tokens[row]), reason
            if not going:
                return

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
