"""The codes of a frame, drawn one by one by a small decoder, in one call of realtts-native."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.kernels import native
from realtts.errors import AccelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.network import Decoder
    from realtts.accel.kernels import PackedLinear
    from realtts.accel.sampling import Sampler

__all__ = ["NativeCodes"]


class NativeCodes:
    """Draws all codes of a frame behind the first, with the bits of the decoder's steps, the heads and the sampler.

    Made by `of`.

    Args:
        decoder: Of realtts-native.
        heads: One for each code, packed beside it.
        sampler: Draws by realtts-native.
        first: Table of the first code, (any, width).
        others: Tables of the others, (codes behind the first, vocabulary, width).
        projection: From that width to the decoder's; None: they are equal.
    """

    def __init__(
        self,
        decoder: Decoder,
        heads: Sequence[PackedLinear],
        sampler: Sampler,
        *,
        first: Tensor,
        others: Tensor,
        projection: PackedLinear | None,
    ) -> None:
        assert decoder.native is not None
        assert sampler.native is not None
        self._step, self._sampler, self._draws = decoder.native, sampler, sampler.native
        self._pool, self._width = native.pool(), first.shape[1]
        self._predictor = native.library().CodePredictor(
            decoder.native.handle,
            [head.packed for head in heads],
            sampler.native.handle,
            first=first,
            others=others,
            projection=None if projection is None else projection.packed,
        )
        with torch.inference_mode(mode=False):  # or it could not be changed outside of it
            self._noise = torch.empty(len(heads), sampler.rows, sampler.recipe.vocabulary)

    @classmethod
    def of(
        cls,
        decoder: Decoder,
        heads: Sequence[PackedLinear],
        sampler: Sampler,
        *,
        first: Tensor,
        others: Tensor,
        projection: PackedLinear | None,
    ) -> NativeCodes | None:
        """Return what draws frames, or None where torch's operators must; arguments as of the class."""
        beside = [*heads, *([] if projection is None else [projection])]
        if decoder.native is None or sampler.native is None or sampler.native.begin:
            return None
        if any(linear.kernel.library != "native" for linear in beside):
            return None
        return cls(decoder, heads, sampler, first=first, others=others, projection=projection)

    def __call__(self, hidden: Tensor, first: Tensor, step: Tensor, cache: KVCache) -> tuple[Tensor, Tensor]:
        """Draw a frame of the rows that the sampler is placed with.

        Args:
            hidden: The states that the first codes were drawn from, (n, width).
            first: The first codes, int64 (n,).
            step: int64 (n,): frames before this one.
            cache: Of the decoder, n rows with a slot for each code; it is emptied.

        Returns:
            All codes, int64 (n, codes), and their embeddings, float32 (n, codes, width).

        Raises:
            AccelError: The library refuses or fails.
        """
        n, groups = len(first), len(self._noise) + 1
        noise = self._noise[:, :n]
        for drawn in noise.unbind():  # one by one, as torch draws them: its generators do not add up
            self._sampler.fill_noise(drawn)
        codes = torch.empty(n, groups, dtype=torch.int64)
        codes[:, 0] = first
        embedded = torch.empty(n, groups, self._width)
        try:
            self._predictor.run(
                hidden.float().contiguous(), self._step.bound(cache), codes, embedded, self._draws.values, step,
                noise=noise, broken=self._draws.broken, rows=self._draws.rows, pool=self._pool,
            )  # fmt: skip
        except (ValueError, RuntimeError) as error:
            raise AccelError(f"realtts-native failed: {error}", who="decoder", fix=native.SWITCH) from error
        return codes, embedded
