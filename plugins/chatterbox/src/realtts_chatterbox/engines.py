"""Who draws the speech tokens of the optimized variant: the toolkit's T3, or upstream's for Turbo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from realtts import stages
from realtts.accel.sampling import SamplingParams
from realtts_chatterbox.conditioning import to_upstream
from realtts_chatterbox.flow import Cancelled
from realtts_chatterbox.network import STOP, T3, Utterance
from realtts_chatterbox.reference import draw
from realtts_chatterbox.replay import logits_along

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from torch import Tensor, nn

    from realtts.accel.cuda_graph import GraphBackend
    from realtts.accel.decoder import DecodeLoop, Precision
    from realtts.context import Context
    from realtts.speech import FinishReason
    from realtts.stages import Work
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.frontend import Ask
    from realtts_chatterbox.tensorfile import State

    Spoken = tuple[int, list[int], FinishReason | None]
    """Whose they are, new tokens, and why they are the last."""

__all__ = ["Engine", "LoopEngine", "UpstreamEngine"]


class Engine(Protocol):
    """Draws the tokens of some requests."""

    def decode(
        self,
        context: Context,
        asks: Sequence[Ask],
        voices: Sequence[Conditionals],
        cancelled: Sequence[Callable[[], bool]],
    ) -> Generator[Spoken, None, None]:
        """New tokens as they are drawn, the end not among them; nothing more of a request that was cancelled."""

    def logits(self, ask: Ask, voice: Conditionals, tokens: Sequence[int]) -> Tensor:
        """What each of these tokens was drawn from, guidance applied: float32 (n, vocabulary)."""

    @property
    def details(self) -> dict[str, object]:
        """For the status."""


class LoopEngine:
    """T3 of English and Multilingual on the toolkit's decoder.

    Args:
        state: Upstream's tensors, read as they are asked for.
        kind: Of the model.
        device: Where it runs.
        precision: Of the decoder.
        backend: Captures steps as graphs; None runs them eagerly.
    """

    def __init__(
        self, state: State, *, kind: str, device: str, precision: Precision, backend: GraphBackend | None
    ) -> None:
        # On the CPU a look at the tokens costs nothing; on CUDA it would stall the device.
        look = 1 if device == "cpu" else 8
        self.t3 = T3(
            state,
            multilingual=kind == "multilingual",
            device=device,
            precision=precision,
            backend=backend,
            check_every=look,
        )
        self._graphs = backend is not None

    @property
    def details(self) -> dict[str, object]:
        """For the status."""
        decoder = self.t3.decoder
        return {
            "weights": decoder.precision.weights,
            "kernel": decoder.kernel.name,
            "kv_dtype": str(decoder.kv_dtype).removeprefix("torch."),
            "cuda_graphs": self._graphs,
        }

    def decode(
        self,
        context: Context,
        asks: Sequence[Ask],
        voices: Sequence[Conditionals],
        cancelled: Sequence[Callable[[], bool]],
    ) -> Generator[Spoken, None, None]:
        """As `Engine.decode`, all requests at once."""
        utterances = [utterance_of(ask, voice) for ask, voice in zip(asks, voices, strict=True)]
        try:
            with stages.timed(context, "t3") as work:
                yield from self._drawn(utterances, cancelled, work)
        finally:
            self.t3.release()

    def _drawn(
        self, utterances: Sequence[Utterance], cancelled: Sequence[Callable[[], bool]], work: Work
    ) -> Iterator[Spoken]:
        loop = self.t3.begin(utterances)
        filled = loop.cache.filled
        work.add(steps=1, bytes=self._bytes(loop), flops=2 * self.t3.weights * filled * loop.cache.rows)
        going = set(range(len(utterances)))
        for block in loop.run():
            steps, filled = loop.cache.filled - filled, loop.cache.filled
            flops = steps * 2 * self.t3.weights * loop.cache.rows
            work.add(steps=steps, bytes=steps * self._bytes(loop), flops=flops)
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
        """As `Engine.logits`."""
        return self.t3.logits(utterance_of(ask, voice), tokens)

    def _bytes(self, loop: DecodeLoop) -> int:
        return self.t3.bytes_read(loop)


class UpstreamEngine:
    """Upstream's loop, one request after the other: Turbo's T3 is a GPT-2, which the toolkit's decoder is not.

    Args:
        t3: Upstream's network.
    """

    def __init__(self, t3: nn.Module) -> None:
        self._t3 = t3

    @property
    def details(self) -> dict[str, object]:
        """For the status."""
        return {"weights": "fp32", "cuda_graphs": False, "t3": "upstream's loop"}

    def decode(
        self,
        context: Context,
        asks: Sequence[Ask],
        voices: Sequence[Conditionals],
        cancelled: Sequence[Callable[[], bool]],
    ) -> Generator[Spoken, None, None]:
        """As `Engine.decode`; each request's tokens come all at once."""
        for row, (ask, voice, stopped) in enumerate(zip(asks, voices, cancelled, strict=True)):
            condition, _ = to_upstream(voice, ask.exaggeration, context.device)
            try:
                with stages.timed(context, "t3", dtype="float32") as work:
                    drawn = draw(self._t3, condition, ask, stopped)
                    work.add(steps=len(drawn))
            except Cancelled:
                continue
            ended = STOP in drawn or len(drawn) < ask.most
            yield row, [t for t in drawn if t != STOP], "stop" if ended else "length"

    def logits(self, ask: Ask, voice: Conditionals, tokens: Sequence[int]) -> Tensor:
        """As `Engine.logits`."""
        return logits_along(self._t3, ask, voice, tokens)


def utterance_of(ask: Ask, voice: Conditionals) -> Utterance:
    """A request as T3 takes it."""
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
            min_new_tokens=ask.least,
        ),
        seed=ask.seed,
        most=ask.most,
        forced=ask.forced,
    )
