"""T3, the speech language model of Chatterbox, on the toolkit's decoder.

It reads the voice, the text and a start token, and draws 25 speech tokens for a second. Utterances come and go as rows
of a loop; with guidance a row has two rows of the cache, the second one without text. English and Multilingual are a
`Llama`, Turbo is a GPT-2 (`Turbo`). Source: ``models/t3/t3.py`` of github.com/resemble-ai/chatterbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import Admission, RowLoop, affordable_places
from realtts.accel.decoder.prefixes import Prefixes
from realtts.accel.sampling import SamplingRecipe
from realtts.accel.weights.packed_cache import NO_CACHE
from realtts_chatterbox.flow import finished
from realtts_chatterbox.llama import Llama
from realtts_chatterbox.rows import SLOTS, Rows
from realtts_chatterbox.turbo import Turbo
from realtts_chatterbox.utterance import START, STOP

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Decoder, Precision, RowBlock
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.weights.packed_cache import PackedCache
    from realtts_chatterbox.body import Body
    from realtts_chatterbox.utterance import Utterance

__all__ = ["PLACES", "T3"]

PLACES = 8
"""Most utterances at once."""

_CHUNK = 64
"""Positions of a prompt that are read between two steps, those of both rows of guidance together."""

_PREFIX = 384
"""Positions of a voice that are read once: all of Turbo's 376. Of two such voices, or of 22 of the others, the keys and
values are kept, up to 190 MB in float32."""


class T3:
    """Draws the speech tokens of utterances that come and go.

    The constructor reads what stays float32 (embeddings, positions, the resampler of the voice's prompt); `pack` reads
    the rest, and only then can it draw.

    Args:
        state: Upstream's tensors by name. A mapping that reads a tensor when it is asked for keeps the peak low.
        kind: ``"english"``, ``"multilingual"`` or ``"turbo"``.
        device: Where it runs.
        places: Most utterances at once.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
    """

    def __init__(
        self, state: Mapping[str, Tensor], *, kind: str, device: torch.device | str = "cpu", places: int = PLACES
    ) -> None:
        self._device = torch.device(device)
        self._body: Body = (
            Turbo(state, device=self._device)
            if kind == "turbo"
            else Llama(state, multilingual=kind == "multilingual", device=self._device)
        )
        self._backend: GraphBackend | None = None
        self._places = places
        self._rows: Rows | None = None
        self._prefixes: Prefixes | None = None

    @classmethod
    def from_state_dict(
        cls,
        state: Mapping[str, Tensor],
        *,
        kind: str,
        device: torch.device | str = "cpu",
        precision: Precision | str = "fp32",
        backend: GraphBackend | None = None,
        places: int = PLACES,
    ) -> T3:
        """Read and pack everything at once; arguments as of the class and of `pack`."""
        t3 = cls(state, kind=kind, device=device, places=places)
        t3.pack(state, precision, backend)
        return t3

    def pack(
        self,
        state: Mapping[str, Tensor],
        precision: Precision | str = "fp32",
        backend: GraphBackend | None = None,
        cache: PackedCache = NO_CACHE,
    ) -> None:
        """Read the decoder and the head layer by layer, and pack them.

        Args:
            state: The same tensors as the constructor's.
            precision: Of weights, activations and cache.
            backend: Captures steps as graphs; None runs them eagerly.
            cache: Where packed weights are kept.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: Nothing of that precision works here.
        """
        self._body.pack(state, precision, cache)
        self._backend = backend
        guided = 1 if isinstance(self._body, Turbo) else 2
        self._places = affordable_places(self.decoder, self._places, slots=SLOTS, per_place=guided)
        self._prefixes = Prefixes(self.decoder, _CHUNK, longest=_PREFIX, most=2 * _PREFIX, padded=backend is not None)
        self._rows = Rows(
            self.decoder,
            self._new_loop,
            places=self._places,
            most_slots=self._body.most_positions,
            captures=backend is not None,
        )

    @property
    def decoder(self) -> Decoder:
        """The transformer; there after `pack`."""
        return self._body.decoder

    @property
    def rows(self) -> Rows:
        """The utterances that are drawn; there after `pack`."""
        assert self._rows is not None, "used before pack"
        return self._rows

    @property
    def prefixes(self) -> Prefixes:
        """What the prompts of voices begin with; there after `pack`."""
        assert self._prefixes is not None, "used before pack"
        return self._prefixes

    def cost(self, rows: int) -> tuple[int, int]:
        """Return the floating-point operations and the bytes, at least, of a step of so many utterances."""
        return self.rows.cost(self._body.head, rows)

    def reserve(self, number: int, utterance: Utterance) -> bool:
        """Make sure that an utterance's place is long enough, as `Rows.reserve`."""
        slots = self._body.positions(utterance) + utterance.most
        return self.rows.reserve(number, slots, guides=self._guides(utterance))

    def admission(self, utterance: Utterance) -> Admission:
        """Return what an utterance is admitted to `rows` with."""
        return finished(self.joining(utterance))

    @torch.inference_mode()
    def joining(self, utterance: Utterance) -> Generator[None, None, Admission]:
        """Do the same; what prompts with this voice begin with is read once, and others may step between two chunks."""
        prompts, shared = [self._body.prompt(utterance)], self._body.voice_positions(utterance)
        if self._guides(utterance):  # as the sampler pairs them
            prompts.append(self._body.prompt(utterance, text=False))
        while self.prefixes.read_on(prompts[0], shared):
            yield
        prefix = self.prefixes.of(prompts[0], shared)
        begin = 0 if prefix is None else prefix[1]
        return Admission(
            torch.stack(prompts)[:, begin:],  # rows of (n, hidden) -> (1 or 2, n - begin, hidden)
            utterance.params,
            seed=utterance.seed,
            most=utterance.most,
            history=self._body.history,
            prefix=prefix,
            state={"forced": torch.tensor(utterance.forced), **self._body.beginning(utterance)},
        )

    def decode(self, utterances: Sequence[Utterance]) -> Iterator[RowBlock]:
        """Draw the tokens of utterances that come at once, as many as there are places: for tests and warm-ups.

        Yields:
            What is new of each; its number is its index.
        """
        for number, utterance in enumerate(utterances):
            assert self.reserve(number, utterance), "longer than one before it"
            self.rows.admit(number, self.admission(utterance))
        try:
            while self.rows.busy:
                for block in self.rows.step():
                    if block.error is not None:
                        raise block.error
                    yield block
        finally:
            for number in range(len(utterances)):
                self.rows.release(number)
            self.rows.trim()

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
        """Capture steps and prompts as graphs, for this utterance's guidance.

        Returns:
            Whether there are graphs now; without a backend there is nothing to capture.
        """
        loop = self.rows.loop(guides=self._guides(utterance))
        loop.warm_up(utterance.params)
        self.prefixes.warm_up(self._body.prompt(utterance))
        return bool(loop.queue.graphs)

    def _guidance(self, utterance: Utterance) -> float:
        return utterance.params.guidance if self._body.has_guidance else 0.0

    def _guides(self, utterance: Utterance) -> bool:
        """Tell whether an utterance has a second row: with graphs all have, of no weight where they want no guidance.

        A loop of their own would be captured when the first of them comes.
        """
        if self._backend is not None:
            return self._body.has_guidance
        return self._guidance(utterance) != 0

    def _new_loop(self, guides: bool, cap: int) -> RowLoop:
        head, rows = self._body.head, self._places + 1
        drawing = self._body.drawing(rows, guided=guides, cap=cap)
        forced = torch.zeros(rows, dtype=torch.bool, device=self._device)
        no_sound = torch.arange(head.out_features, device=self._device) >= START

        def sounds(scores: Tensor, _: Tensor, at: Tensor) -> Tensor:
            return scores.masked_fill(forced[at, None] & no_sound, float("-inf"))

        recipe = SamplingRecipe(
            vocabulary=head.out_features,
            order=(*(("guidance",) if guides else ()), "sounds", *drawing.order),
            stop_tokens=(STOP,),
            max_top_k=drawing.max_top_k,
            own={"sounds": sounds, **drawing.processors},
        )
        return RowLoop(
            self.decoder,
            head,
            drawing.next_embedding,
            recipe,
            places=self._places,
            cap=cap,
            row_state={"forced": forced, **drawing.row_state},
            taps=drawing.taps,
            backend=self._backend,
            chunk=_CHUNK // 2 if guides else _CHUNK,
        )
