"""T3, the speech language model of Chatterbox, on the toolkit's decoder.

It reads the voice, the text and a start token, and draws 25 speech tokens for a second. With guidance there are two
rows per stream; the second one has no text. English and Multilingual are a `Llama`, Turbo is a GPT-2 (`Turbo`). Source:
``models/t3/t3.py`` of github.com/resemble-ai/chatterbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import DecodeLoop, LoopPool, Prompt, sync_interval
from realtts.accel.sampling import SamplingRecipe
from realtts_chatterbox.llama import Llama
from realtts_chatterbox.turbo import Turbo
from realtts_chatterbox.utterance import START, STOP, silent

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Block, Decoder, Precision
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts_chatterbox.body import Body, Drawing
    from realtts_chatterbox.utterance import Utterance

__all__ = ["STREAMS", "T3"]

STREAMS = (1, 2, 4, 8)
"""Numbers of utterances that there is a loop for; a batch takes the next larger one."""

_GRAPHED_SLOTS = 1024
"""Least cache slots of a single stream's loop with graphs: what a sentence of 150 characters may take. A longer request
needs a longer loop, and the graphs of the shorter one go with it. In bfloat16 252 MB for the two rows of guidance."""


class T3:
    """Draws the speech tokens of up to eight utterances at once.

    The constructor reads what stays float32 (embeddings, positions, the resampler of the voice's prompt); `pack` reads
    the rest, and only then can it draw.

    Args:
        state: Upstream's tensors by name. A mapping that reads a tensor when it is asked for keeps the peak low.
        kind: ``"english"``, ``"multilingual"`` or ``"turbo"``.
        device: Where it runs.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
    """

    def __init__(self, state: Mapping[str, Tensor], *, kind: str, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._body: Body = (
            Turbo(state, device=self._device)
            if kind == "turbo"
            else Llama(state, multilingual=kind == "multilingual", device=self._device)
        )
        self._backend: GraphBackend | None = None
        self._loops: LoopPool[tuple[int, bool], _Loop] = LoopPool()

    @classmethod
    def from_state_dict(
        cls,
        state: Mapping[str, Tensor],
        *,
        kind: str,
        device: torch.device | str = "cpu",
        precision: Precision | str = "fp32",
        backend: GraphBackend | None = None,
    ) -> T3:
        """Read and pack everything at once; arguments as of the class and of `pack`."""
        t3 = cls(state, kind=kind, device=device)
        t3.pack(state, precision, backend)
        return t3

    def pack(
        self, state: Mapping[str, Tensor], precision: Precision | str = "fp32", backend: GraphBackend | None = None
    ) -> None:
        """Read the decoder and the head layer by layer, and pack them.

        Args:
            state: The same tensors as the constructor's.
            precision: Of weights, activations and cache.
            backend: Captures steps as graphs; None runs them eagerly.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: Nothing of that precision works here.
        """
        self._body.pack(state, precision)
        self._backend, self._loops = backend, LoopPool(graphed=backend is not None)

    @property
    def decoder(self) -> Decoder:
        """The transformer; there after `pack`."""
        return self._body.decoder

    def cost(self, loop: DecodeLoop) -> tuple[int, int]:
        """Return the floating-point operations and bytes of the loop's next step."""
        return self.decoder.step_cost(self._body.head, loop.cache)

    def begin(self, utterances: Sequence[Utterance]) -> DecodeLoop:
        """Read the prompts and draw the first tokens; go on with `DecodeLoop.run`.

        If one of the utterances has guidance, all take two rows; those without weigh the second row by 0.
        """
        guided = any(self._guidance(u) != 0 for u in utterances)
        prompts = [self._body.prompt(u) for u in utterances]
        slots = max(len(p) for p in prompts) + max(u.most for u in utterances)
        entry = self._loop(len(utterances), guided=guided, slots=slots)
        # A loop has a fixed number of streams; those that no utterance is left for stop after one token.
        idle = entry.loop.streams - len(utterances)
        rows = [*utterances, *[silent(utterances[0])] * idle]
        prompts += [prompts[0]] * idle
        if guided:  # all first rows, then all second rows, as the sampler pairs them
            prompts += [self._body.prompt(u, text=False) for u in rows]
        entry.drawing.begin(rows)
        entry.forced.copy_(torch.tensor([u.forced for u in rows]))
        entry.loop.begin(
            Prompt.padded(prompts),
            [u.params for u in rows],
            [u.seed for u in rows],
            [u.most for u in rows],
            history=[entry.drawing.history] * len(rows),
        )
        return entry.loop

    def decode(self, utterances: Sequence[Utterance]) -> Generator[Block, None, None]:
        """Draw the tokens of the utterances, some steps at a time, until all have ended; the end token is left out."""
        try:
            yield from self.begin(utterances).run()
        finally:
            self.release()

    def release(self) -> None:
        """Free the caches of batches, which a single utterance has no use for; loops with graphs keep theirs."""
        self._loops.release()

    @torch.inference_mode()
    def logits(self, utterance: Utterance, tokens: Sequence[int]) -> Tensor:
        """Return what each of these tokens was drawn from, guidance applied: float32 (n, vocabulary)."""
        spoken = torch.tensor(list(tokens[:-1]), dtype=torch.int64, device=self._device)
        weight = self._guidance(utterance)
        prompts = [self._body.prompt(utterance)] + ([self._body.prompt(utterance, text=False)] if weight else [])
        x = torch.stack([torch.cat([prompt, self._body.spoken(spoken, len(prompt))]) for prompt in prompts])
        cache = self.decoder.new_cache(len(x), x.shape[1])
        hidden = self.decoder.prefill(x, cache, every=True)[:, -len(tokens) :]  # (rows, n, hidden)
        # The head takes a matrix: (rows, n, hidden) -> (rows * n, hidden), and back.
        rows = self._body.head(hidden.flatten(0, 1)).float().view(len(x), len(tokens), -1)
        return rows[0] + weight * (rows[0] - rows[1]) if weight else rows[0]

    def capture(self, utterance: Utterance) -> bool:
        """Capture the steps of a single stream as graphs, for this utterance's guidance and for texts of a sentence.

        Returns:
            Whether there are graphs now; without a backend there is nothing to capture.
        """
        slots = len(self._body.prompt(utterance)) + utterance.most
        loop = self._loop(1, guided=self._guidance(utterance) != 0, slots=slots).loop
        loop.warm_up(loop.cache.cap, utterance.params)
        return bool(loop.graphs)

    def _guidance(self, utterance: Utterance) -> float:
        return utterance.params.guidance if self._body.has_guidance else 0.0

    # -- loops -------------------------------------------------------------------------------------------------------

    def _loop(self, utterances: int, *, guided: bool, slots: int) -> _Loop:
        """Return the loop for so many utterances and cache slots, made when it is first needed."""
        streams = next(n for n in STREAMS if n >= utterances)
        if self._backend is not None and streams == 1:
            slots = max(slots, _GRAPHED_SLOTS)
        return self._loops.of((streams, guided), slots, self._new_loop)

    def _new_loop(self, key: tuple[int, bool], cap: int) -> _Loop:
        (streams, guided), head = key, self._body.head
        drawing = self._body.drawing(streams, guided=guided, cap=cap)
        forced = torch.zeros(streams, dtype=torch.bool, device=self._device)
        no_sound = torch.arange(head.out_features, device=self._device) >= START

        def sounds(scores: Tensor, _: Tensor, rows: Tensor) -> Tensor:
            return scores.masked_fill(forced[rows, None] & no_sound, float("-inf"))

        recipe = SamplingRecipe(
            vocabulary=head.out_features,
            order=(*(("guidance",) if guided else ()), "sounds", *drawing.order),
            stop_tokens=(STOP,),
            max_top_k=drawing.max_top_k,
            own={"sounds": sounds, **drawing.processors},
        )
        loop = DecodeLoop(
            self.decoder,
            head,
            drawing.next_embedding,
            recipe,
            streams=streams,
            cap=cap,
            row_state=drawing.row_state,
            taps=drawing.taps,
            backend=self._backend,
            check_every=sync_interval(self._device),
        )
        return _Loop(loop, drawing, forced)


@dataclass(frozen=True)
class _Loop:
    """A decode loop with the tensors that a request fills before it begins."""

    loop: DecodeLoop
    drawing: Drawing
    forced: Tensor
