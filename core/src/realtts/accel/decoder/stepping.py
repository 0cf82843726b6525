"""One decode step of all rows or of some: embed, decode, sample, and freeze rows that have ended.

Both loops are built on it: `realtts.accel.decoder.DecodeLoop`, whose streams begin together, and
`realtts.accel.decoder.RowLoop`, whose rows come and go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.buckets import Buckets
from realtts.accel.decoder.progress import Progress
from realtts.accel.indexed import select, store
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
        head: As `realtts.accel.decoder.DecodeLoop` takes it, like all that follows.
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
        row_state: What ``next_embedding`` is given in a step of all rows.
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
        self.sampler = Sampler(recipe, streams, decoder.device, noise=noise, skip_idle=skip_idle)
        self._samplers = (self.sampler, *samplers)
        self.buckets = buckets or Buckets(cap)
        self.progress = Progress(streams, cap, decoder.device)
        self.hidden = torch.zeros(
            self.cache.rows, decoder.config.hidden_size, dtype=decoder.precision.activations, device=decoder.device
        )
        self._placed: tuple[int, ...] = ()
        self._own = dict(row_state or {})
        self.row_state: dict[str, Tensor] = {
            **self._own,
            "hidden": self.hidden,
            "position": self.cache.positions,
            "live": self.progress.live,
            "rows": torch.arange(streams, device=decoder.device),
        }
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

    def advance(self, attended: int | Sequence[Run], places: Places | None = None) -> None:
        """Run one step, all of it on the device; this is what a graph captures.

        Args:
            attended: From `KVCache.advance`.
            places: The rows, which the sampler draws; None: all.
        """
        index = None if places is None else places.index
        latest, count = select(self.progress.latest, index), select(self.progress.count, index)
        x = self._next_embedding(latest, count, self._state_of(places))
        self.draw(self.decoder.step(x, self.cache, attended=attended, places=places, taps=self.taps), places)

    def draw(self, hidden: Tensor, places: Places | None = None) -> None:
        """Draw a token of each row from hidden states (n rows, hidden)."""
        rows, index = (None, None) if places is None else (places.rows, places.index)
        store(self.hidden, rows, hidden)
        tokens = self.sampler(self._head(hidden), select(self.progress.count, index))
        self.sampler.observe(tokens, select(self.progress.live, index))
        live = self.progress.add(tokens, self.sampler.is_stop(tokens), index)
        store(self.cache.active, rows, live.repeat(self.per_stream))  # (n,) -> (n rows,): with guidance twice

    def snapshot(self, width: int, wrote: int, places: Places | None = None) -> Snapshot:
        """Start copying what is new to the host; arguments as of `Progress.snapshot`."""
        index = None if places is None else places.index
        return self.progress.snapshot(width, self.sampler.broken, self.outputs, rows=index, wrote=wrote)

    def _state_of(self, places: Places | None) -> Mapping[str, Tensor]:
        if places is None:
            return self.row_state
        return {
            **self._own,
            "hidden": select(self.hidden, places.rows),
            "position": select(self.cache.positions, places.rows),
            "live": select(self.progress.live, places.index),
            "rows": places.index,
        }
