"""Rows of the language model that come and go: each reads a prompt and then draws a token at each step."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Admission, RowLoop
from realtts.accel.sampling import GeneratorNoise, HashedNoise, SamplingParams
from realtts_vieneu.forcing import Forcing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Decoder, RowBlock
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.kernels import PackedLinear
    from realtts.contract.stages import Work
    from realtts.errors import NotFinite
    from realtts_vieneu.embedding import TokenEmbedding
    from realtts_vieneu.head import Outputs
    from realtts_vieneu.prefixes import Prefixes
    from realtts_vieneu.utterance import Utterance

__all__ = ["Drawn", "Network", "TokenRows", "params_of"]


@dataclass(frozen=True)
class Drawn:
    """What a row has drawn since the host last synchronised with the device.

    Attributes:
        number: Of the row.
        tokens: New tokens of the checkpoint's vocabulary, without the end.
        codes: The codes among them, int64 (n,) on the host.
        ended: Whether no more come.
        stopped: Whether the model ended it; False with ``ended``: it reached its limit.
        error: Why it cannot go on.
    """

    number: int
    tokens: tuple[int, ...]
    codes: Tensor
    ended: bool
    stopped: bool
    error: NotFinite | None = None


@dataclass(frozen=True)
class Network:
    """The parts that all rows share.

    Attributes:
        decoder: The layers.
        head: From hidden states to logits.
        outputs: Tokens that the logits stand for.
        embedding: Of tokens.
        prefixes: Keys and values of what prompts begin with.
        chunk: Tokens of a prompt that are read between two steps.
    """

    decoder: Decoder
    head: PackedLinear
    outputs: Outputs
    embedding: TokenEmbedding
    prefixes: Prefixes
    chunk: int

    def noise(self, rows: int) -> GeneratorNoise | HashedNoise:
        """Return torch's own noise in float32, for upstream's tokens, and a hash's below it, which costs nothing.

        torch's generator takes 3.5 ms for a row and token of a vocabulary of 217,216.
        """
        if self.decoder.precision.weights == "fp32":
            return GeneratorNoise(rows, self.decoder.device)
        return HashedNoise(rows, self.decoder.device)


class TokenRows:
    """Draws the tokens of rows that come and go. What it captures has not run on a GPU yet.

    Args:
        network: Draws.
        places: Most rows at once.
        cap: Slots of a row: prompt and tokens together.
        backend: Captures chunks of prompts and steps as graphs; None runs them eagerly.
        check_every: Tokens between two synchronisations with the device; None: every token where that costs nothing
            (CPU), else every eight.

    Attributes:
        loop: The toolkit's loop.
    """

    def __init__(
        self,
        network: Network,
        *,
        places: int,
        cap: int,
        backend: GraphBackend | None = None,
        check_every: int | None = None,
    ) -> None:
        self._network, self._captures = network, backend is not None
        self._place_of: dict[int, int] = {}
        self._forcing = Forcing(places + 1, (network.outputs.codes < 0).to(network.decoder.device))
        self.loop = RowLoop(
            network.decoder,
            network.head,
            lambda outputs, _step, _state: network.embedding(outputs),
            self._forcing.recipe(network.outputs),
            places=places,
            cap=cap,
            backend=backend,
            check_every=check_every,
            chunk=network.chunk,
            noise=network.noise(places + 1),
            structure=self._forcing.structure,
        )

    @torch.inference_mode()
    def begin(self, number: int, utterance: Utterance, work: Work | None = None) -> bool:
        """Give an utterance a place, once its prefix is read.

        Args:
            number: Of the row, unlike that of any other that has a place.
            utterance: What it speaks.
            work: Counts what is read.

        Returns:
            False: a chunk of its prefix was read, and it has no place yet.

        Raises:
            DecoderError: There is no place, or prompt and tokens do not fit.
        """
        network = self._network
        if count := network.prefixes.read_on(utterance):
            self._count(work, reads=1, positions=count)
            return False
        prefix = network.prefixes.of(utterance)
        rest = utterance.ids[0 if prefix is None else prefix[1] :]
        admission = Admission(
            network.embedding.prompt(rest)[None],  # (n, hidden) -> (1, n, hidden)
            self._params(utterance),
            seed=utterance.seed,
            most=utterance.most,
            history=network.outputs.of_tokens(utterance.ids) if network.outputs.penalized else (),
            prefix=prefix,
        )
        place = self.loop.admit(number, admission)
        self._place_of[number] = place
        self._forcing.put(number, place, forced=utterance.forced)
        self._count(work, reads=-(-len(rest) // network.chunk), positions=len(rest))
        return True

    def again(self, number: int, utterance: Utterance) -> None:
        """Draw a row anew behind its prompt, with the seed of this utterance, its second try."""
        self.loop.redraw(number, seed=utterance.seed)

    def end(self, number: int) -> None:
        """Take a row's place away, whether it has ended or not."""
        self.loop.release(number)
        del self._place_of[number]
        self._forcing.drop(number)

    def clear(self) -> None:
        """Take all places away."""
        for number in self.loop.numbers:
            self.end(number)

    def step(self, work: Work | None = None, *, ahead: bool = True) -> list[Drawn]:
        """Read the next chunk of a prompt, draw a token of each row that has read its own, and return what is new.

        A row whose logits were not finite has ended with an error; the others go on.

        Args:
            work: Counts the steps.
            ahead: Whether steps may be queued before the last ones are read, as of `RowLoop.step`.
        """
        steps, rows = self.loop.queue.steps, self.loop.queue.row_steps
        blocks = self.loop.step(ahead=ahead)
        if (steps := self.loop.queue.steps - steps) and work is not None:
            rows, cache = self.loop.queue.row_steps - rows, self.loop.cache
            seen = sum(cache.used[self._place_of[block.number]] for block in blocks)
            self._count(work, steps=steps, reads=steps, positions=rows, drawing=rows)
            work.add(bytes=steps * cache.bytes_read(seen) // cache.rows)
        return [self._named(block) for block in blocks]

    def run(self, utterances: Sequence[Utterance]) -> Iterator[Drawn]:
        """Yield what utterances draw, by their number in the list, until all have ended; more than fit wait.

        No other row may have a place.

        Raises:
            NotFinite: The logits of one were not finite.
            DecoderError: One does not fit.
        """
        waiting = deque(enumerate(utterances))
        try:
            while waiting or self.loop.busy:
                while waiting and self.loop.free and self.begin(*waiting[0]):
                    waiting.popleft()
                for drawn in self.step():
                    if drawn.error is not None:
                        raise drawn.error
                    if drawn.ended:
                        self.end(drawn.number)
                    yield drawn
        finally:
            self.clear()

    def warm_up(self, utterance: Utterance) -> None:
        """Capture all that rows like this one need; leaves no row behind, and does nothing without graphs."""
        with self._forcing.as_if(forced=utterance.forced):
            self.loop.warm_up(self._params(utterance))

    def _params(self, utterance: Utterance) -> SamplingParams:
        """Return how a row is drawn; greedy ones, with graphs, among the likeliest, so that one graph serves all."""
        params = params_of(utterance)
        return replace(params, top_k=utterance.params.top_k) if self._captures and params.greedy else params

    def _count(self, work: Work | None, *, steps: int = 0, reads: int, positions: int, drawing: int = 0) -> None:
        """Count some positions, for which the weights were read so many times, and the head's products of some."""
        if work is None:
            return
        decoder, head = self._network.decoder, self._network.head
        work.add(
            steps=steps,
            flops=2 * (decoder.config.parameters * positions + head.in_features * head.out_features * drawing),
            bytes=reads * (decoder.bytes_read(self.loop.cache, 0) + (head.bytes_read if drawing else 0)),
        )

    def _named(self, block: RowBlock) -> Drawn:
        """Translate outputs of the head to tokens and codes."""
        outputs = self._network.outputs
        codes = outputs.codes[torch.tensor(block.tokens, dtype=torch.int64)]
        return Drawn(
            block.number,
            tuple(outputs.ids[output] for output in block.tokens),
            codes[codes >= 0],
            ended=block.end is not None,
            stopped=block.end == "stop",
            error=block.error,
        )


def params_of(utterance: Utterance) -> SamplingParams:
    """Return how an utterance is drawn; greedy, without the parameters that do not change the most probable token."""
    least, params = utterance.most if utterance.forced else utterance.least, utterance.params
    if params.greedy:
        params = SamplingParams(greedy=True, repetition_penalty=params.repetition_penalty)
    return replace(params, min_new_tokens=least)
