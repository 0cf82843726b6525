"""T3, the speech language model of Chatterbox, on the toolkit's decoder.

It reads the voice, the text and a start token, and draws 25 speech tokens for a second. With guidance there are two
rows per stream; the second one has no text. English and Multilingual are a `Llama`, Turbo is a GPT-2 (`Turbo`). Source:
``models/t3/t3.py`` of github.com/resemble-ai/chatterbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import DecodeLoop, Loops, Prompt, look_of
from realtts.accel.sampling import SamplingRecipe
from realtts_chatterbox.llama import Llama
from realtts_chatterbox.turbo import Turbo
from realtts_chatterbox.utterance import START, STOP, silent

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Block, Precision
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts_chatterbox.body import Body, Drawing
    from realtts_chatterbox.utterance import Utterance

__all__ = ["STREAMS", "T3"]

STREAMS = (1, 2, 4, 8)
"""Numbers of utterances that there is a loop for; a batch takes the next larger one."""


class T3:
    """Draws the speech tokens of up to eight utterances at once.

    Args:
        state: Upstream's tensors by name. One that reads them as they are asked for is never in memory as a whole.
        kind: ``"english"``, ``"multilingual"`` or ``"turbo"``.
        device: Where it runs.
        precision: Of the decoder.
        backend: Captures steps as graphs; None runs them eagerly.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        *,
        kind: str,
        device: torch.device | str = "cpu",
        precision: Precision | str = "fp32",
        backend: GraphBackend | None = None,
    ) -> None:
        self._device, self._backend = torch.device(device), backend
        self._body: Body = (
            Turbo(state, device=self._device, precision=precision)
            if kind == "turbo"
            else Llama(state, multilingual=kind == "multilingual", device=self._device, precision=precision)
        )
        self.decoder = self._body.decoder
        self._loops: Loops[tuple[int, bool], _Loop] = Loops(graphed=backend is not None)

    def cost(self, loop: DecodeLoop) -> tuple[int, int]:
        """Operations and bytes of the loop's next step."""
        return self.decoder.step_cost(self._body.head, loop.cache)

    def begin(self, utterances: Sequence[Utterance]) -> DecodeLoop:
        """Read the prompts and draw the first tokens; go on with `DecodeLoop.run`.

        With one utterance among them that has guidance, all take two rows; those without weigh the second one 0.
        """
        guided = any(self._guidance(u) != 0 for u in utterances)
        prompts = [self._body.prompt(u) for u in utterances]
        need = max(len(p) for p in prompts) + max(u.most for u in utterances)
        own = self._loop(len(utterances), guided=guided, slots=need)
        idle = own.loop.streams - len(utterances)
        rows = [*utterances, *[silent(utterances[0])] * idle]
        prompts += [prompts[0]] * idle
        if guided:
            prompts += [self._body.prompt(u, text=False) for u in rows]
        own.drawing.begin(rows)
        own.forced.copy_(torch.tensor([u.forced for u in rows]))
        own.loop.begin(
            Prompt.padded(prompts),
            [u.params for u in rows],
            [u.seed for u in rows],
            [u.most for u in rows],
            history=[own.drawing.history] * len(rows),
        )
        return own.loop

    def decode(self, utterances: Sequence[Utterance]) -> Generator[Block, None, None]:
        """Tokens of the utterances, some steps at a time, until all have ended; the end itself is not among them."""
        try:
            yield from self.begin(utterances).run()
        finally:
            self.release()

    def release(self) -> None:
        """Let go of the caches of batches, gigabytes that a single utterance has no use for; graphs keep theirs."""
        self._loops.release()

    @torch.inference_mode()
    def logits(self, utterance: Utterance, tokens: Sequence[int]) -> Tensor:
        """What each of these tokens was drawn from, guidance applied: float32 (n, vocabulary)."""
        spoken = torch.tensor(list(tokens[:-1]), dtype=torch.int64, device=self._device)
        weight = self._guidance(utterance)
        prompts = [self._body.prompt(utterance)] + ([self._body.prompt(utterance, text=False)] if weight else [])
        x = torch.stack([torch.cat([prompt, self._body.spoken(spoken, len(prompt))]) for prompt in prompts])
        cache = self.decoder.new_cache(len(x), x.shape[1])
        hidden = self.decoder.prefill(x, cache, every=True)[:, -len(tokens) :]
        found = self._body.head(hidden.flatten(0, 1)).float().view(len(x), len(tokens), -1)
        return found[0] + weight * (found[0] - found[1]) if weight else found[0]

    def warm_up(self, utterance: Utterance) -> None:
        """Capture every step of a single utterance, with guidance and without, and run a short one."""
        slots = len(self._body.prompt(utterance)) + utterance.most
        for guided in (True, False) if self._body.has_guidance else (False,):
            loop = self._loop(1, guided=guided, slots=slots).loop
            loop.warm_up(loop.cache.cap, utterance.params)
        for _ in self.decode([utterance]):
            pass

    def _guidance(self, utterance: Utterance) -> float:
        return utterance.params.guidance if self._body.has_guidance else 0.0

    # -- loops -------------------------------------------------------------------------------------------------------

    def _loop(self, utterances: int, *, guided: bool, slots: int) -> _Loop:
        """The loop for so many."""
        return self._loops.of((next(n for n in STREAMS if n >= utterances), guided), slots, self._new_loop)

    def _new_loop(self, key: tuple[int, bool], cap: int) -> _Loop:
        (streams, guided), head = key, self._body.head
        drawing = self._body.drawing(streams, guided=guided, cap=cap)
        forced = torch.zeros(streams, dtype=torch.bool, device=self._device)
        no_sound = torch.arange(head.out_features, device=self._device) >= START

        def sounds(scores: Tensor, _: Tensor) -> Tensor:
            return scores.masked_fill(forced[:, None] & no_sound, float("-inf"))

        recipe = SamplingRecipe(
            vocabulary=head.out_features,
            order=(*(("guidance",) if guided else ()), "sounds", *drawing.order),
            stop_tokens=(STOP,),
            max_top_k=drawing.max_top_k,
            own={"sounds": sounds, **drawing.own},
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
            check_every=look_of(self._device),
        )
        return _Loop(loop, drawing, forced)


@dataclass(frozen=True)
class _Loop:
    loop: DecodeLoop
    drawing: Drawing
    forced: Tensor
