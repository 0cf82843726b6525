"""Tokens drawn in one call of realtts-native, by the rules of `realtts.accel.sampling.Sampler`.

On the same logits they are the same tokens, but where two candidates tie within the rounding of a softmax.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.kernels import native
from realtts.errors import AccelError

if TYPE_CHECKING:
    from torch import Tensor

    from realtts.accel.sampling.params import SamplingRecipe
    from realtts.accel.sampling.row_values import RowValues

__all__ = ["NativeDraws"]

_PARAMETERS = (
    "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "guidance", "min_new_tokens", "greedy", "stops",
)  # fmt: skip


class NativeDraws:
    """Draws the rows of a sampler.

    Args:
        recipe: Of the sampler. What stands before the last of the model's own processors, and that one, stays torch's.
        values: Parameters of the rows.
        seen: The penalty's history, bool (rows, vocabulary + 1).
        broken: bool (rows,), as `Sampler.broken`; written to.

    Attributes:
        begin: Number of processors that are torch's.
        handle: The library's sampler.
    """

    def __init__(self, recipe: SamplingRecipe, values: RowValues, seen: Tensor, broken: Tensor) -> None:
        library = native.library()
        own = [at for at, name in enumerate(recipe.order) if name in recipe.own]
        self.begin = own[-1] + 1 if own else 0
        order = recipe.order[self.begin :]
        self.handle = library.Sampler(
            recipe.vocabulary,
            order,
            conditional=recipe.guidance == "conditional",
            suppressed=recipe.suppressed if "suppress" in order else (),
            noise_ids=recipe.noise_ids,
            noise_width=recipe.noise_width,
        )
        self._values, self._bound = values, dict[tuple[int, int], Any]()
        self._seen = library.Buffer(seen) if "repetition_penalty" in order else None
        self._broken = library.Buffer(broken)

    @property
    def rows(self) -> list[int]:
        """Numbers of the rows that are drawn."""
        return self._values.placed

    @property
    def broken(self) -> Any:
        """The library's handle on what it was made with."""
        return self._broken

    @property
    def values(self) -> Any:
        """The library's handle on the parameters of these rows."""
        key = len(self.rows), self._values["greedy"].data_ptr()  # they lie in the same memory for so many rows
        bound = self._bound.get(key)
        if bound is None:
            tensors = {name: self._values[name] for name in _PARAMETERS}
            if self.begin:  # early stops were held back before the model's own processors
                tensors["min_new_tokens"] = torch.zeros_like(tensors["min_new_tokens"])
            bound = self._bound[key] = native.library().SamplingValues(**tensors)
        return bound

    def __call__(self, scores: Tensor, step: Tensor, *, noise: Tensor | None, seeds: Tensor | None) -> Tensor:
        """Draw a token of each row.

        Args:
            scores: float32 (n, vocabulary), behind the first `begin` processors; with guidance among the others (2 n,
                vocabulary).
            step: int64 (n,).
            noise: float32 (n, width); None: hashed from the seeds.
            seeds: int64 (rows, 1).

        Returns:
            int64 (n,).

        Raises:
            AccelError: The library refuses or fails.
        """
        tokens = torch.empty_like(step)
        try:
            self.handle.run(
                scores, self.values, step, tokens,
                noise=noise, seeds=seeds, seen=self._seen, broken=self._broken, rows=self.rows,
            )  # fmt: skip
        except (ValueError, RuntimeError) as error:
            raise AccelError(f"realtts-native failed: {error}", who="sampler", fix=native.SWITCH) from error
        return tokens
