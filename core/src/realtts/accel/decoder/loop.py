"""The decode loop: embed, decode, sample and freeze ended rows, without a wait for the device."""

from __future__ import annotations

import functools
from collections import deque
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.buckets import Buckets
from realtts.accel.decoder.loop_graphs import LoopGraphs
from realtts.accel.decoder.padding import PaddedPrompts
from realtts.accel.decoder.placement import count_prompt
from realtts.accel.decoder.progress import Block, Progress, Snapshot, check_finite, read
from realtts.accel.decoder.prompt import Prompt, check_kept, check_room, check_streams
from realtts.accel.sampling import Sampler, SamplingParams
from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.attend import Taps
    from realtts.accel.decoder.network import Decoder
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
        self._head, self._next_embedding, self._taps = head, next_embedding, taps
        self._per_stream = 2 if "guidance" in recipe.order else 1
        self.cache = decoder.new_cache(streams * self._per_stream, cap)
        self.sampler = Sampler(recipe, streams, decoder.device, noise=noise, skip_idle=backend is None)
        self._buckets = buckets or Buckets(cap)
        hidden = torch.zeros(
            self.cache.rows, decoder.config.hidden_size, dtype=decoder.precision.activations, device=decoder.device
        )
        self._progress = Progress(streams, cap, decoder.device)
        self.row_state: dict[str, Tensor] = {
            **(row_state or {}), "hidden": hidden, "position": self.cache.positions, "live": self._progress.live
        }  # fmt: skip
        self._outputs = outputs
        self._fixed = bool(backend or taps or row_state) or outputs is not None
        taps_state = [] if taps is None else [taps.step]
        state = [*self.cache.state, *self.sampler.state, *self._progress.state, *self.row_state.values(), *taps_state]
        self._graphs = LoopGraphs(backend, state, self.sampler, structure, self._buckets)
        self._padded = None
        if prompt_buckets is not None and backend is not None and taps is None:
            self._padded = PaddedPrompts(prompt_buckets, like=hidden)
        self._waiting: deque[Snapshot] = deque()
        self._drawn = self._most = self._read_to = 0
        if check_every < 1:
            raise DecoderError(f"check_every is {check_every}", who="decode loop", fix="give at least 1")
        if taps is not None:
            taps.check(decoder.config, self.cache)

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
        check_streams(self.streams, params, seeds, max_new_tokens, history, vocabulary=vocabulary)
        check_room(self.decoder, self.cache, prompt, max(max_new_tokens), after_prefix=after_prefix)
        with torch.inference_mode():
            if not after_prefix:
                self.cache.reset()
            for stream in range(self.streams):
                self.sampler.set(stream, params[stream], seeds[stream], history[stream] if history else ())
            self._progress.begin(max_new_tokens)
            self._most, self._drawn, self._read_to = max(max_new_tokens), 1, 0
            self._waiting.clear()
            if self._taps is not None:
                self._taps.step.zero_()
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
        with torch.inference_mode():
            self._progress.live[stream] = False
            self.cache.active[stream :: self.streams] = False

    def keep(self, streams: Sequence[int]) -> None:
        """Keep some streams, in this order, and drop the others, which have ended. The next blocks are of these alone.

        For work that grows with the rows, as on the CPU, where nothing is queued behind the host.

        Args:
            streams: At least one, each once.

        Raises:
            DecoderError: There is no such stream; or the loop captures graphs, has taps, ``row_state`` or ``outputs``
                of its own, or runs on a device that computes behind the host.
        """
        check_kept(streams, self.streams)
        if self._fixed or self.decoder.device.type == "cuda":
            raise DecoderError("the number of streams is fixed", who="decode loop", fix="let streams that ended stand")
        with torch.inference_mode():
            rows = [stream + part * self.streams for part in range(self._per_stream) for stream in streams]
            self.cache.keep(rows)
            self.sampler.keep(streams)
            self._progress.keep(streams)
            self.streams = len(streams)
            hidden = self.row_state["hidden"][rows]
            self.row_state |= {"hidden": hidden, "position": self.cache.positions, "live": self._progress.live}

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
                self._graphs.run(attended, functools.partial(self._advance, attended))
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
            return self._progress.snapshot(self._drawn, self.sampler.broken, self._outputs)

    def step(self) -> None:
        """Queue one step of all streams without reading its tokens, which `run` does.

        For callers that interleave decoding with other work, under `torch.inference_mode`.

        Raises:
            DecoderError: The cache is full.
            CaptureFailed: The step cannot be captured.
        """
        attended = self.decoder.advance(self.cache, self._buckets)
        self._graphs.run(attended, lambda: self._advance(attended))
        self._drawn += 1

    def _advance(self, attended: int) -> None:
        """Run one step, all of it on the device; this is what a graph captures."""
        x = self._next_embedding(self._progress.latest, self._progress.count, self.row_state)
        self._draw(self.decoder.step(x, self.cache, attended=attended, taps=self._taps))

    def _draw(self, hidden: Tensor) -> None:
        self.row_state["hidden"].copy_(hidden)
        tokens = self.sampler(self._head(hidden), self._progress.count)
        self.sampler.observe(tokens, self._progress.live)
        live = self._progress.add(tokens, self.sampler.is_stop(tokens))
        self.cache.active.copy_(live.repeat(self._per_stream))  # (streams,) -> (rows,): with guidance twice

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
            valid=prompt.valid, positions=prompt.positions, attended=attended, taps=self._taps,
        )  # fmt: skip
        self._draw(hidden)

    def _read_padded(self, x: Tensor, valid: Tensor, before: int) -> None:
        length = x.shape[1]
        attended = self._buckets.holding(min(before + length, self.cache.cap)) if before else length
        self.cache.reach(attended)
        work = functools.partial(self.decoder.prefill, x, self.cache, valid=valid, attended=attended)
        self._graphs.run(("prompt", length, attended), lambda: self._draw(work()))
