"""The optimized variant: the same weights in the toolkit's decoder, and the toolkit's loop around it.

Not run on a GPU yet: the rungs with CUDA graphs are tested with `realtts.testing.recording` on the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence

from realtts.accel.decoder import Block, DecodeLoop, Decoder, Prompt, RowLoop
from realtts.accel.decoder.rungs import decoder_details, decoder_rungs, graphs_of, precision_of, why_no_graphs
from realtts.accel.sampling import SamplingParams
from realtts.contract import timing
from realtts.contract.events import Event
from realtts.contract.hooks import hookimpl
from realtts_toylm.frontend import POSITIONS, RECIPE, START, Ask, prepare
from realtts_toylm.model import Model, speak

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.contract.context import Context, Rung
    from realtts.contract.types import Chunk, Request
    from realtts_toylm.network import Network

__all__ = ["LoopEngine", "Optimized"]

_STREAMS = (1, 2, 4, 8)
"""Numbers of requests that there is a loop for; a batch takes the next larger one."""

_IDLE = Ask(ids=(0,), params=SamplingParams(greedy=True), most=1, seed=0)
"""What a stream does that no request is left for."""


class Optimized:
    """The hooks that differ from `Plain`'s: `load`, `generate` and `unload` are taken from there."""

    @hookimpl
    def rungs(self, context: Context) -> Sequence[Rung]:
        """Propose the usual rungs: fewer bytes first, and on CUDA each with graphs before the same without."""
        return decoder_rungs(context)

    @hookimpl
    def probe(self, context: Context) -> str | None:
        """Refuse graphs without CUDA."""
        return why_no_graphs(context)

    @hookimpl
    def compile(self, context: Context, model: Model) -> None:
        """Pack the weights, forget those that were read, and capture a step of every length."""
        assert model.network is not None
        engine = LoopEngine(model.network, precision_of(context), backend=graphs_of(context))
        model.network, model.engine = None, engine
        engine.capture()
        context.report(Event("optimization.details", data=engine.details))

    @hookimpl
    def warmup(self, context: Context, model: Model) -> None:
        """Speak two tokens."""
        assert isinstance(model.engine, LoopEngine)
        model.engine.warm_up()

    @hookimpl
    def generate_batch(
        self, context: Context, model: Model, requests: Sequence[Request]
    ) -> Iterator[tuple[int, Chunk]]:
        """Speak requests as streams of one loop."""
        return speak(context, model, requests)


class LoopEngine:
    """The tokens of up to eight requests at once, drawn by the toolkit's loop.

    Args:
        network: The model; its decoder's weights are packed and not kept.
        precision: Of the decoder.
        backend: Captures steps as graphs; None runs them eagerly.
    """

    def __init__(self, network: Network, precision: Precision | str, *, backend: GraphBackend | None = None) -> None:
        self._decoder = Decoder.from_state_dict(
            network.config,
            network.state_dict(),
            device=network.device,
            precision=precision,
            rows=_STREAMS,
            max_positions=POSITIONS,
        )
        self._head = self._decoder.pack(network.lm_head.weight, network.lm_head.bias)
        self._text = network.text_embedding.weight.detach()
        self._speech = network.model.embed_tokens.weight.detach()
        self._weights = sum(weight.numel() for weight in network.model.layers.parameters()) + self._head_size
        self._backend = backend
        self._loops: dict[int, DecodeLoop] = {}

    @property
    def details(self) -> dict[str, object]:
        """Facts for the status."""
        return {"attention": "sdpa", **decoder_details(self._decoder, graphs=self._backend is not None)}

    def decode(self, context: Context, requests: Sequence[Request]) -> Generator[Block, None, None]:
        """Yield tokens of the requests, eight steps at a time."""
        loop = self._loop(len(requests))
        asks = [prepare(context, request) for request in requests]
        rows = asks + [_IDLE] * (loop.streams - len(asks))
        prompt = self._prompt(rows)
        dtype = self._decoder.precision.products
        with timing.timed(context, "prefill", steps=1, dtype=dtype) as work:
            loop.begin(prompt, [r.params for r in rows], [r.seed for r in rows], [r.most for r in rows])
            work.add(bytes=self._bytes(loop), flops=2 * self._weights * prompt.embeddings.shape[1] * len(asks))
        with timing.timed(context, "decode", dtype=dtype) as work:
            filled, going = loop.cache.filled, len(asks)
            for block in loop.run():
                steps = loop.cache.filled - filled
                filled += steps
                work.add(steps=steps, bytes=steps * self._bytes(loop), flops=steps * going * 2 * self._weights)
                going = block.finished[: len(asks)].count(False)
                yield block

    def rows(self, places: int) -> RowLoop:
        """Make a loop for requests that come and go, up to so many at once; see `admit`."""
        return RowLoop(
            self._decoder, self._head, self._next, RECIPE, places=places, cap=POSITIONS, backend=self._backend
        )

    def admit(self, rows: RowLoop, number: int, ask: Ask) -> None:
        """Give a request a place in a loop from `rows`."""
        with torch.inference_mode():
            prompt = Prompt(self._embedded(ask.ids)[None])  # (n, hidden) -> (1, n, hidden)
        rows.admit(number, prompt, ask.params, seed=ask.seed, most=ask.most)

    def logits(self, text: str, tokens: Sequence[int]) -> Tensor:
        """Return the logits that each of these tokens was drawn from, (n, vocabulary)."""
        with torch.inference_mode():
            x = torch.cat([self._embedded(text.encode()), self._speech[list(tokens[:-1])]])  # (prompt + n - 1, hidden)
            cache = self._decoder.new_cache(1, len(x))
            hidden = self._decoder.prefill(x[None], cache, every=True)
            return self._head(hidden[0, -len(tokens) :]).float()

    def capture(self) -> None:
        """Capture every step of a single request; without a backend nothing is captured."""
        self._loop(1).warm_up(POSITIONS)

    def warm_up(self) -> None:
        """Run a short request."""
        loop = self._loop(1)
        loop.begin(self._prompt([_IDLE]), [SamplingParams()], [0], [2])
        for _ in loop.run():
            pass

    def _loop(self, requests: int) -> DecodeLoop:
        """Return the loop for a number of requests, made when it is first needed and kept."""
        streams = next(n for n in _STREAMS if n >= requests)
        if streams not in self._loops:
            self._loops[streams] = DecodeLoop(
                self._decoder, self._head, self._next, RECIPE, streams=streams, cap=POSITIONS, backend=self._backend
            )
        return self._loops[streams]

    def _next(self, tokens: Tensor, step: Tensor, row_state: Mapping[str, Tensor]) -> Tensor:
        """Return the next input: part of the captured step, so nothing here may wait for the device."""
        return self._speech[tokens]

    def _prompt(self, rows: Sequence[Ask]) -> Prompt:
        """Put texts of different lengths side by side, padded behind."""
        embedded = [self._embedded(row.ids) for row in rows]
        lengths = torch.tensor([len(x) for x in embedded], device=self._text.device)
        places = torch.arange(int(lengths.max()), device=self._text.device)
        return Prompt(pad_sequence(embedded, batch_first=True), places < lengths[:, None])

    def _embedded(self, ids: Sequence[int]) -> Tensor:
        """Embed a text and the start of speech, (n + 1, hidden)."""
        return torch.cat([self._text[list(ids)], self._speech[[START]]])

    def _bytes(self, loop: DecodeLoop) -> int:
        """Return the bytes that a step has to read at least."""
        return self._decoder.bytes_read(loop.cache, loop.cache.filled) + self._head.bytes_read

    @property
    def _head_size(self) -> int:
        return self._head.out_features * self._head.in_features
