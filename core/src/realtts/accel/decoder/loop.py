"""The decode loop: embed, decode, sample and freeze ended rows, without a wait for the device."""

from __future__ import annotations

import functools
from collections import deque
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.loop_graphs import LoopGraphs
from realtts.accel.decoder.padding import PaddedPrompts
from realtts.accel.decoder.placement import count_prompt
from realtts.accel.decoder.places import PlaceTable
from realtts.accel.decoder.progress import Block, check_finite, read
from realtts.accel.decoder.prompt import Prompt, check_kept, check_room, check_streams
from realtts.accel.decoder.stepping import Stepping
from realtts.accel.sampling import SamplingParams
from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.attend import Taps
    from realtts.accel.decoder.buckets import Buckets
    from realtts.accel.decoder.network import Decoder
    from realtts.accel.decoder.places import Places
    from realtts.accel.decoder.progress import Snapshot
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.sampling import HashedNoise, NoiseSource, SamplingRecipe

__all__ = ["Block", "DecodeLoop", "Prompt"]


class DecodeLoop:
    """Decodes several streams of tokens at once over one static cache.

    A stream is one row of the decoder, or two with guidance. Streams that have ended are frozen until all have: their
    rows write nothing that counts. Each has noise of its own, so that its tokens do not depend on its neighbours.

    Args:
        decoder: The network.
        head: Hidden states (rows, hidden) to logits (rows, vocabulary).
        next_embedding: Makes the next input: ``next_embedding(tokens, step, row_state)`` with the latest tokens int64
            (streams,), how many tokens each stream has so far, int64 (streams,), and `row_state`; returns (rows,
            hidden). It runs inside the captured step: fixed shapes, no host values; it may change `row_state` in place.
        recipe: How logits become tokens.
        streams: Number of streams.
        cap: Slots of the cache: prompt and new tokens together.
        row_state: The model's own tensors per row, given to ``next_embedding``. The loop adds ``"hidden"``: the hidden
            states that the latest tokens were drawn from, (rows, hidden), and ``"position"``: where the next input will
            stand, int64 (rows,), for learned positions; of a row that has ended it may be one beyond the cap's last;
            and ``"live"``, bool (streams,): streams that go on.
        taps: Attention to hand out at every step.
        backend: Capture each step as a graph of this backend; None runs eagerly.
        buckets: Attended lengths; default: steps of 64 slots.
        check_every: Steps between two synchronisations with the device.
        noise: Source of noise; default: one generator per stream.
        outputs: A tensor (streams, cap or more, ...) that ``next_embedding`` fills on its way, column ``step - 1`` for
            the live streams; what is new comes with each `Block`, and the host does not wait for it.
        structure: Returns what else a captured step depends on: a graph is not replayed under another value.
        prompt_buckets: With graphs: prompts are padded to these lengths, and reading one is captured, too, also after a
            prefix. Prompts with positions of their own are read eagerly, as all are with taps.
    """

    def __init__(
        self,
        decoder: Decoder,
        head: Callable[[Tensor], Tensor],
        next_embedding: Callable[[Tensor, Tensor, Mapping[str, Tensor]], Tensor],
        recipe: SamplingRecipe,
        *,
        streams: int = 1,
        cap: int = 1024,
        row_state: Mapping[str, Tensor] | None = None,
        taps: Taps | None = None,
        backend: GraphBackend | None = None,
        buckets: Buckets | None = None,
        check_every: int = 8,
        noise: NoiseSource | HashedNoise | None = None,
        outputs: Tensor | None = None,
        structure: Callable[[], Hashable] = lambda: None,
        prompt_buckets: Buckets | None = None,
    ) -> None:
        self.decoder, self.streams, self.check_every = decoder, streams, check_every
        self._steps = Stepping(
            decoder, head, next_embedding, recipe, streams=streams, cap=cap, skip_idle=backend is None,
            row_state=row_state, taps=taps, buckets=buckets, noise=noise, outputs=outputs,
        )  # fmt: skip
        self.cache, self.sampler, self.row_state = self._steps.cache, self._steps.sampler, self._steps.row_state
        self._progress, self._buckets = self._steps.progress, self._steps.buckets
        # Every bucket in two structures of the sampler, steps and prompts, of which those after a prefix have two more;
        # with fewer, a long request would evict its own graphs.
        limit = max(64, 4 * len(self._buckets.all()))
        self._graphs = LoopGraphs(backend, self._steps.state, self.sampler, structure, limit=limit)
        self._padded = None
        if prompt_buckets is not None and backend is not None and taps is None:
            self._padded = PaddedPrompts(prompt_buckets, like=self._steps.hidden)
        self._table = PlaceTable(decoder.device, streams, guided=self._steps.per_stream == 2)
        self._places: Places | None = None
        self._waiting: deque[Snapshot] = deque()
        self._drawn = self._most = self._read_to = self._handed = 0
        if check_every < 1:
            raise DecoderError(f"check_every is {check_every}", who="decode loop", fix="give at least 1")

    def begin(
        self,
        prompt: Prompt,
        params: Sequence[SamplingParams],
        seeds: Sequence[int],
        max_new_tokens: Sequence[int],
        *,
        history: Sequence[Sequence[int]] | None = None,
        after_prefix: bool = False,
    ) -> None:
        """Start a request: read the prompts and draw the first tokens.

        Args:
            prompt: The prompts of all rows.
            params: Sampling of each stream.
            seeds: Seed of each stream.
            max_new_tokens: Most tokens of each stream.
            history: Tokens of each stream that the repetition penalty counts from the start.
            after_prefix: Keep what the cache holds (`KVCache.copy_prefix`) and continue from there.

        Raises:
            DecoderError: An argument does not fit; nothing was changed.
        """
        vocabulary = self.sampler.recipe.vocabulary
        if self._places is not None:
            raise DecoderError("some streams were left out", who="decode loop", fix="make another loop")
        check_streams(self.streams, params, seeds, max_new_tokens, history, vocabulary=vocabulary)
        check_room(self.decoder, self.cache, prompt, max(max_new_tokens), after_prefix=after_prefix)
        with torch.inference_mode():
            if not after_prefix:
                self.cache.reset()
            for stream in range(self.streams):
                self.sampler.set(stream, params[stream], seeds[stream], history[stream] if history else ())
            self._progress.begin(max_new_tokens)
            self._most, self._drawn, self._read_to, self._handed = max(max_new_tokens), 1, 0, 0
            self._waiting.clear()
            if self._steps.taps is not None:
                self._steps.taps.step.zero_()
            self._read(prompt, after_prefix=after_prefix)

    def run(self) -> Iterator[Block]:
        """Decode until every stream has ended, and yield the new tokens after every ``check_every`` steps.

        Decoding stops when the caller stops reading. On CUDA the next steps are queued before the last ones are read,
        so that the device never waits for the host, at the price of up to ``check_every`` steps of frozen rows at the
        end.

        Raises:
            NotFinite: The logits of a stream were not finite, or its processors allow no token at all.
        """
        waiting = self._waiting
        lag = 1 if self.decoder.device.type == "cuda" else 0
        while True:
            if self._drawn < self._most or not waiting:
                waiting.append(self._several_steps())
                if len(waiting) <= lag and self._drawn < self._most:
                    continue
            block = read(waiting.popleft())
            check_finite(block, exact=self.decoder.precision.is_exact)
            yield block
            if all(block.finished):
                return

    def stop(self, stream: int) -> None:
        """End one stream now, as its limit would; the others continue. Tokens of queued steps still come."""
        if self._places is not None:
            stream = self._places.streams[stream]
        with torch.inference_mode():
            self._progress.live[stream] = False
            self.cache.active[stream :: len(self._progress.live)] = False

    def keep(self, streams: Sequence[int]) -> None:
        """Go on with some streams, in this order, without the others, which have ended.

        The next blocks are of these alone. For work that grows with the rows, as on the CPU, where nothing is queued
        behind the host. The model's own code must then take what it holds of each stream by ``row_state["rows"]``. The
        loop cannot be begun again.

        Args:
            streams: At least one, each once.

        Raises:
            DecoderError: There is no such stream; or the loop captures graphs, or runs on a device that computes behind
                the host.
        """
        check_kept(streams, self.streams)
        if self._graphs.enabled or self.decoder.device.type == "cuda":
            raise DecoderError("the number of streams is fixed", who="decode loop", fix="let streams that ended stand")
        numbers = range(self.streams) if self._places is None else self._places.streams
        with torch.inference_mode():
            self._places = self._table.of([numbers[stream] for stream in streams])
            self._steps.place(self._places)
        self.streams = len(streams)

    def warm_up(
        self, up_to: int, params: SamplingParams | None = None, *, prompt: int = 0, after_prefix: int = 0
    ) -> None:
        """Capture the steps of every bucket that a request of so many slots passes; does nothing without graphs.

        A request that was begun is lost.

        Args:
            up_to: Prompt and new tokens of the longest request to be prepared for.
            params: Sampling of the requests to come: a recipe with ``narrow`` has a graph of its own for ``top_k``.
            prompt: The longest prompt to be prepared for, with ``prompt_buckets``; a copied prefix does not count.
            after_prefix: Slots that are copied before it.
        """
        if not self._graphs.enabled:
            return
        with torch.inference_mode():
            saved = [(tensor, tensor.clone()) for tensor in self.row_state.values()]
            for stream in range(self.streams):
                self.sampler.set(stream, params or SamplingParams(), 0)
            if self._padded is not None and prompt > 0:
                for length in self._padded.buckets.up_to(prompt):
                    self.cache.reset()
                    self._read_padded(*self._padded.at(length), after_prefix)
            self.cache.reset()
            for attended in self._buckets.up_to(up_to):
                self.cache.reach(attended)
                self._graphs.run(attended, functools.partial(self._steps.advance, attended))
            for tensor, value in saved:
                tensor.copy_(value)
            self.cache.reset()

    @property
    def drawn(self) -> int:
        """Draws since `begin`, the first one included."""
        return self._drawn

    @property
    def graphs(self) -> list[object]:
        """Keys of the graphs that are captured."""
        return self._graphs.keys

    def invalidate(self) -> None:
        """Drop captured graphs, after a change that their keys do not hold."""
        self._graphs.invalidate()

    def _several_steps(self) -> Snapshot:
        with torch.inference_mode():
            self._read_to = min(self._most, self._read_to + self.check_every)
            while self._drawn < self._read_to:  # `begin` drew the first
                self.step()
            before, self._handed = self._handed, self._drawn
            # The streams draw in step: what is new is as wide in all that go on.
            return self._steps.snapshot(self._drawn - before, self._drawn - 1 - max(0, before - 1), self._places)

    def step(self) -> None:
        """Queue one step of all streams without reading its tokens, which `run` does.

        For callers that interleave decoding with other work, under `torch.inference_mode`.

        Raises:
            DecoderError: The cache is full.
            CaptureFailed: The step cannot be captured.
        """
        attended = self.cache.advance(self._buckets, self._places)
        key = attended if isinstance(attended, int) else None  # never captured
        self._graphs.run(key, lambda: self._steps.advance(attended, self._places))
        self._drawn += 1

    def _read(self, prompt: Prompt, *, after_prefix: bool) -> None:
        """Read the prompts, which `begin` has checked, and draw the first tokens."""
        before = self.cache.filled if after_prefix else 0
        attended = count_prompt(self.cache, prompt.embeddings.shape[1], None)
        if self._padded is not None and prompt.positions is None:
            self._read_padded(*self._padded.put(prompt.embeddings, prompt.valid), before)
            return
        # With `attended` the decoder does not check the prompt again.
        hidden = self.decoder.prefill(
            prompt.embeddings, self.cache,
            valid=prompt.valid, positions=prompt.positions, attended=attended, taps=self._steps.taps,
        )  # fmt: skip
        self._steps.draw(hidden)

    def _read_padded(self, x: Tensor, valid: Tensor, before: int) -> None:
        length = x.shape[1]
        attended = self._buckets.holding(min(before + length, self.cache.cap)) if before else length
        self.cache.reach(attended)
        work = functools.partial(self.decoder.prefill, x, self.cache, valid=valid, attended=attended)
        self._graphs.run(("prompt", length, attended), lambda: self._steps.draw(work()))
