"""The code predictor: draws fifteen of a frame's sixteen codes, each from those before it, in fixed shapes.

It reads the talker's hidden state and the first code, and then its own codes one by one, each with a head and an
embedding of its own. Its cache is emptied with every frame. Source: ``core/models/modeling_qwen3_tts.py`` of
github.com/QwenLM/Qwen3-TTS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from realtts.accel.decoder.native_codes import NativeCodes
from realtts.accel.sampling import Sampler, SamplingRecipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts.accel.decoder import Decoder, KVCache
    from realtts.accel.kernels import PackedLinear
    from realtts.accel.sampling import NoiseSource
    from realtts_qwen3.embedding import CodeEmbedding

__all__ = ["CodePredictor", "Drawing", "Drawn"]


class CodePredictor:
    """The network.

    Args:
        decoder: Its layers.
        heads: One for each code that it draws.
        embedding: Embedding of the codes, in the talker's width.
        projection: Layer from the talker's width to the decoder's; None where they are the same.

    Attributes:
        heads: As given, like `embedding` and `projection`.
        recipe: How its logits become codes.
    """

    def __init__(
        self,
        decoder: Decoder,
        heads: Sequence[PackedLinear],
        embedding: CodeEmbedding,
        projection: PackedLinear | None,
    ) -> None:
        self.decoder, self.heads, self.embedding = decoder, tuple(heads), embedding
        self.projection = projection
        self.recipe = SamplingRecipe(vocabulary=embedding.others.shape[1], order=("temperature", "top_k", "top_p"))

    def projected(self, x: Tensor) -> Tensor:
        """Project from the talker's width to the decoder's: (n, width) to (n, hidden)."""
        return x if self.projection is None else self.projection(x)

    def logits(self, hidden: Tensor, codes: Tensor) -> Tensor:
        """Compute the logits that each code would be drawn from, given those before it.

        Args:
            hidden: The talker's hidden states, (frames, width).
            codes: int64 (frames, groups).

        Returns:
            float32 (frames, groups - 1, codes).
        """
        first = self.embedding.first[codes[:, :1]].to(hidden.dtype)
        groups = torch.arange(len(self.heads) - 1, device=codes.device)
        others = self.embedding.others[groups, codes[:, 1:-1]].to(hidden.dtype)
        x = torch.cat([hidden[:, None], first, others], 1)  # (frames, groups, width)
        x = self.projected(x.flatten(0, 1)).view(len(hidden), x.shape[1], -1)  # -> (frames, groups, hidden)
        cache = self.decoder.new_cache(len(x), x.shape[1])
        # Frames are the rows here; position 0 is the talker's state, which no code is drawn from.
        states = self.decoder.prefill(x, cache, every=True)[:, 1:]
        return torch.stack([head(states[:, at]).float() for at, head in enumerate(self.heads)], 1)

    @property
    def weights(self) -> int:
        """Multiplications by parameters for a frame: the layers count once for each code."""
        head = self.heads[0]
        return len(self.heads) * (self.decoder.config.parameters + head.in_features * head.out_features)

    @property
    def bytes_read(self) -> int:
        """Bytes of weights that a frame has to read at least: every code reads the layers once, and a head."""
        projection = 0 if self.projection is None else self.projection.bytes_read
        layers = self.decoder.bytes_read(None) + projection
        return len(self.heads) * layers + sum(head.bytes_read for head in self.heads)


class Drawn(NamedTuple):
    """A frame of every row of a step.

    Attributes:
        codes: int64 (n, groups).
        embedded: (n, groups, width): their embeddings, which the talker reads next.
    """

    codes: Tensor
    embedded: Tensor


class Drawing:
    """Draws frames of some of a fixed number of rows. A call may be captured: it does not synchronize with the host.

    Nothing of a frame is kept for the next one but the rows' noise, so it does not matter which rows a step has: for
    each number of them there is one small cache. Over realtts-native a frame is one call.

    Args:
        predictor: The network.
        rows: Number of rows.
        noise: Noise of the draws.
        skip_idle: As for `Sampler`.

    Attributes:
        sampler: Draws the codes; it is placed with the rows of each step.
    """

    def __init__(self, predictor: CodePredictor, rows: int, *, noise: NoiseSource, skip_idle: bool) -> None:
        self._predictor, decoder = predictor, predictor.decoder
        self.sampler = Sampler(
            predictor.recipe, rows, decoder.device, noise=noise, skip_idle=skip_idle,
            fused=decoder.fused is not None, native=decoder.native is not None,
        )  # fmt: skip
        self._native = NativeCodes.of(
            decoder, predictor.heads, self.sampler, first=predictor.embedding.first, others=predictor.embedding.others,
            projection=predictor.projection,
        )  # fmt: skip
        self._caches: dict[int, KVCache] = {}

    def _cache(self, rows: int) -> KVCache:
        """Return the cache of steps of so many rows, made when the first of them is run, before it is captured."""
        if rows not in self._caches:
            cache = self._predictor.decoder.new_cache(rows, len(self._predictor.heads) + 1)
            cache.reach(cache.cap)
            self._caches[rows] = cache
        return self._caches[rows]

    def __call__(self, hidden: Tensor, first: Tensor, step: Tensor) -> Drawn:
        """Draw the codes of a frame behind the first.

        Args:
            hidden: The talker's hidden states that the first codes were drawn from, (n, width).
            first: The first codes, int64 (n,).
            step: int64 (n,): frames before this one.
        """
        net, cache = self._predictor, self._cache(len(first))
        if self._native is not None:
            return Drawn(*self._native(hidden, first, step, cache))
        cache.reset()
        codes, embedded = [first], [net.embedding.first[first].to(hidden.dtype)]
        x = torch.stack([hidden, embedded[0]], 1)  # (n, 2, width)
        x = net.projected(x.flatten(0, 1)).view(len(hidden), 2, -1)  # -> (n, 2, hidden)
        state = net.decoder.prefill(x, cache, attended=2)
        for group, head in enumerate(net.heads):
            codes.append(self.sampler(head(state), step))
            embedded.append(net.embedding.others[group][codes[-1]].to(hidden.dtype))
            if group + 1 < len(net.heads):
                # The number of slots is given, because counting them would ask the host inside a graph.
                state = net.decoder.step(net.projected(embedded[-1]), cache, attended=group + 3)
        return Drawn(torch.stack(codes, 1), torch.stack(embedded, 1))
