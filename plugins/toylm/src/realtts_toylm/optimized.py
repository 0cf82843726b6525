"""The optimized variant: the same weights in the toolkit's decoder, and the toolkit's loop around it.

Not run on a GPU yet: the rungs with CUDA graphs are tested with `realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Admission, Decoder, RowLoop, serve_rows
from realtts.accel.decoder.rungs import (
    decoder_details,
    decoder_rungs,
    graphs_of,
    precision_of,
    why_no_graphs,
    why_no_native,
)
from realtts.accel.sampling import SamplingParams
from realtts.contract.events import Event
from realtts.contract.hooks import hookimpl
from realtts_toylm.frontend import POSITIONS, RECIPE, START, Ask, prepare
from realtts_toylm.speaking import RowSpeaker

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Precision, RowBlock
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.contract.context import Context, Rung
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.types import Request
    from realtts_toylm.model import Model
    from realtts_toylm.network import Network

__all__ = ["LoopEngine", "Optimized"]

_WARM_UP = Ask(ids=(0,), params=SamplingParams(greedy=True), most=2, seed=0)


class Optimized:
    """The hooks that differ from `Plain`'s: `load`, `generate` and `unload` are taken from there."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """Propose the usual rungs: fewer bytes first, and on CUDA each with graphs before the same without."""
        return decoder_rungs(context)

    @hookimpl
    def probe(self, context: Context) -> str | None:
        """Refuse graphs without CUDA, and kernels that are not here."""
        return why_no_graphs(context) or why_no_native(context)

    @hookimpl
    def compile(self, context: Context, model: Model) -> None:
        """Pack the weights, forget those that were read, and capture a step of every length."""
        assert model.network is not None
        size, limit = context.spec.batch_size, context.settings.max_batch
        places = size if limit is None else min(size, limit)
        engine = LoopEngine(model.network, precision_of(context), backend=graphs_of(context), places=places)
        model.network, model.engine = None, engine
        engine.capture()
        context.report(Event("optimization.details", data=engine.details))

    @hookimpl
    def warmup(self, context: Context, model: Model) -> None:
        """Speak two tokens."""
        assert isinstance(model.engine, LoopEngine)
        model.engine.warm_up()

    @hookimpl
    def generate_continuous(
        self, context: Context, model: Model, arrivals: Arrivals
    ) -> Generator[RowItem | None, None, None]:
        """Speak requests as rows of one loop, which join and leave while others are spoken."""
        engine = model.engine
        assert isinstance(engine, LoopEngine), "used after unload"
        return serve_rows(
            context, arrivals, engine.loop, lambda row: RowSpeaker(context, engine, row), cost=engine.cost
        )


class LoopEngine:
    """The tokens of some requests at once, drawn by the toolkit's loop.

    Args:
        network: The model; its decoder's weights are packed and not kept.
        precision: Of the decoder.
        backend: Captures steps as graphs; None runs them eagerly.
        places: Most requests at once.

    Attributes:
        loop: Has a place for each of them.
    """

    def __init__(
        self,
        network: Network,
        precision: Precision | str,
        *,
        backend: GraphBackend | None = None,
        places: int = 8,
    ) -> None:
        self._decoder = Decoder.from_state_dict(
            network.config,
            network.state_dict(),
            device=network.device,
            precision=precision,
            rows=(1, 2, 4, 8),
            max_positions=POSITIONS,
        )
        self._head = self._decoder.pack(network.lm_head.weight, network.lm_head.bias)
        self._text = network.text_embedding.weight.detach()
        self._speech = network.model.embed_tokens.weight.detach()
        self._backend = backend
        self.loop = RowLoop(
            self._decoder, self._head, self._next, RECIPE, places=places, cap=POSITIONS, backend=backend
        )

    @property
    def details(self) -> dict[str, object]:
        """Facts for the status."""
        return {"attention": "sdpa", **decoder_details(self._decoder, graphs=self._backend is not None)}

    @torch.inference_mode()
    def admission(self, ask: Ask) -> Admission:
        """Return what a place in the loop is given for."""
        prompt = self._embedded(ask.ids)[None]  # (n, hidden) -> (1, n, hidden)
        return Admission(prompt, ask.params, ask.seed, ask.most)

    def decode(self, context: Context, request: Request) -> Iterator[RowBlock]:
        """Yield the tokens of one request; the loop has no other row."""
        return self._decode(prepare(context, request))

    def _decode(self, ask: Ask) -> Iterator[RowBlock]:
        self.loop.admit(0, self.admission(ask))
        try:
            while self.loop.busy:
                yield from self.loop.step()
        finally:
            self.loop.release(0)

    @torch.inference_mode()
    def logits(self, text: str, tokens: Sequence[int]) -> Tensor:
        """Return the logits that each of these tokens was drawn from, (n, vocabulary)."""
        x = torch.cat([self._embedded(text.encode()), self._speech[list(tokens[:-1])]])  # (prompt + n - 1, hidden)
        cache = self._decoder.new_cache(1, len(x))
        hidden = self._decoder.prefill(x[None], cache, every=True)
        return self._head(hidden[0, -len(tokens) :]).float()

    def capture(self) -> None:
        """Capture the steps of all numbers of requests and all lengths; without a backend nothing is captured."""
        self.loop.warm_up()

    def warm_up(self) -> None:
        """Run a short request."""
        for _ in self._decode(_WARM_UP):
            pass

    def cost(self, rows: int) -> tuple[int, int]:
        """Return operations and bytes of a step of so many requests."""
        return self._decoder.step_cost(self._head, self.loop.cache, rows)

    def _next(self, tokens: Tensor, step: Tensor, row_state: Mapping[str, Tensor]) -> Tensor:
        """Return the next input: part of the captured step, so nothing here may wait for the device."""
        return self._speech[tokens]

    def _embedded(self, ids: Sequence[int]) -> Tensor:
        """Embed a text and the start of speech, (n + 1, hidden)."""
        return torch.cat([self._text[list(ids)], self._speech[[START]]])
