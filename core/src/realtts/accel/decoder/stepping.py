"""One decode step of some rows: embed, decode, sample, and freeze rows that have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.buckets import Buckets
from realtts.accel.decoder.progress import Progress
from realtts.accel.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.attend import Taps
    from realtts.accel.decoder.network import Decoder
    from realtts.accel.decoder.places import Places, Run
    from realtts.accel.decoder.progress import Snapshot
    from realtts.accel.sampling import HashedNoise, NoiseSource, SamplingRecipe

    NextEmbedding = Callable[[Tensor, Tensor, Mapping[str, Tensor]], Tensor]

__all__ = ["NextEmbedding", "Stepping"]


class Stepping:
    """A decoder, its cache and its sampler, and what they know of each row.

    Args:
        decoder: The network.
        head: As `realtts.accel.decoder.RowLoop` takes it, like all that follows.
        next_embedding: Makes the next input.
        recipe: How logits become tokens.
        streams: Number of streams.
        cap: Slots of the cache.
        skip_idle: Leave out processors that do nothing; not where steps are captured.
        row_state: The model's own tensors.
        taps: Attention to hand out.
        buckets: Attended lengths.
        noise: Source of noise.
        outputs: What the model's own step writes.
        samplers: Others that ``next_embedding`` draws the same rows with.

    Attributes:
        per_stream: Rows of a stream: two with guidance.
        cache: Keys and values.
        sampler: Draws the tokens.
        progress: Tokens so far.
        buckets: Attended lengths.
    """

    def __init__(
        self,
        decoder: Decoder,
        head: Callable[[Tensor], Tensor],
        next_embedding: NextEmbedding,
        recipe: SamplingRecipe,
        *,
        streams: int,
        cap: int,
        skip_idle: bool,
        row_state: Mapping[str, Tensor] | None,
        taps: Taps | None,
        buckets: Buckets | None,
        noise: NoiseSource | HashedNoise | None,
        outputs: Tensor | None,
        samplers: Sequence[Sampler] = (),
    ) -> None:
        self.decoder, self.taps, self.outputs = decoder, taps, outputs
        self._head, self._next_embedding = head, next_embedding
        self.per_stream = 2 if "guidance" in recipe.order else 1
        self.cache = decoder.new_cache(streams * self.per_stream, cap)
        fused, native = decoder.fused is not None, decoder.native is not None
        self.sampler = Sampler(
            recipe, streams, decoder.device, noise=noise, skip_idle=skip_idle, fused=fused, native=native
        )
        self._samplers = (self.sampler, *samplers)
        self.buckets = buckets or Buckets(cap)
        self.progress = Progress(streams, cap, decoder.device)
        self.hidden = torch.zeros(
            self.cache.rows, decoder.config.hidden_size, dtype=decoder.precision.activations, device=decoder.device
        )
        self._placed: tuple[int, ...] = ()
        self._own = dict(row_state or {})
        if taps is not None:
            taps.check(decoder.config, self.cache)

    @property
    def state(self) -> list[Tensor]:
        """Tensors that a step changes and that the next one builds on."""
        taps = [] if self.taps is None else [self.taps.step]
        own = [*self._own.values(), self.hidden]
        drawing = [tensor for sampler in self._samplers for tensor in sampler.state]
        return [*self.cache.state, *drawing, *self.progress.state, *own, *taps]

    def rows_of(self, stream: int) -> list[int]:
        """Return the cache's rows of a stream: two with guidance."""
        return [stream + part * len(self.progress.live) for part in range(self.per_stream)]

    def place(self, places: Places) -> None:
        """Draw these rows from now on."""
        if places.streams == self._placed:
            return
        self._placed = places.streams
        for sampler in self._samplers:
            sampler.place(places.streams, places.index, counted=places.counted)

    def advance(self, attended: int | Sequence[Run], places: Places) -> None:
        """Run one step, all of it on the device; this is what a graph captures.

        Args:
            attended: From `KVCache.advance`.
            places: The rows, which the sampler draws.
        """
        progress, index = self.progress, places.index
        state = {
            **self._own,
            "hidden": self.hidden.index_select(0, places.rows),
            "position": self.cache.positions.index_select(0, places.rows),
            "live": progress.live.index_select(0, index),
            "rows": index,
        }
        x = self._next_embedding(progress.latest.index_select(0, index), progress.count.index_select(0, index), state)
        self.draw(self.decoder.step(x, self.cache, attended=attended, places=places, taps=self.taps), places)

    def draw(self, hidden: Tensor, places: Places) -> None:
        """Draw a token of each row from hidden states (n rows, hidden)."""
        progress, index = self.progress, places.index
        self.hidden.index_copy_(0, places.rows, hidden)
        tokens = self.sampler(self._head(hidden), progress.count.index_select(0, index))
        self.sampler.observe(tokens, progress.live.index_select(0, index))
        live = progress.add(tokens, self.sampler.is_stop(tokens), index)
        # (n,) -> (n rows,): with guidance twice
        self.cache.active.index_copy_(0, places.rows, live.repeat(self.per_stream))

    def snapshot(self, width: int, wrote: int, places: Places) -> Snapshot:
        """Start copying what is new to the host; arguments as of `Progress.snapshot`."""
        return self.progress.snapshot(places.index, width, self.sampler.broken, self.outputs, wrote)
