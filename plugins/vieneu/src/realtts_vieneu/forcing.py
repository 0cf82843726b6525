"""Rows that are forced to a length draw codes alone."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from torch import Tensor

    from realtts.accel.sampling import SamplingRecipe
    from realtts_vieneu.head import Outputs

__all__ = ["Forcing"]


class Forcing:
    """A processor for `SamplingRecipe.own`: rows that are forced can draw codes alone.

    Args:
        rows: Number of rows.
        no_code: bool (outputs,): outputs that are no code.
    """

    def __init__(self, rows: int, no_code: Tensor) -> None:
        self._no_code = no_code
        self._forced: set[int] = set()
        with torch.inference_mode(mode=False):  # a tensor made inside could not be changed outside of it
            self._rows = torch.zeros(rows, 1, dtype=torch.bool, device=no_code.device)

    def put(self, number: int, place: int, *, forced: bool) -> None:
        """Note whether the row that has a place now is forced."""
        self._rows[place] = forced
        if forced:
            self._forced.add(number)

    def drop(self, number: int) -> None:
        """Forget a row."""
        self._forced.discard(number)

    @contextlib.contextmanager
    def as_if(self, *, forced: bool) -> Iterator[None]:
        """Behave, inside the block, as if there were a forced row."""
        if forced:
            self._forced.add(-1)
        try:
            yield
        finally:
            self._forced.discard(-1)

    def recipe(self, outputs: Outputs) -> SamplingRecipe:
        """Return a head's recipe with this processor first; a head of codes and end alone does without."""
        recipe = outputs.recipe
        if outputs.kind == "speech":
            return recipe
        return replace(recipe, order=("codes", *recipe.order), own={"codes": self})

    def structure(self) -> Hashable:
        """Return what a captured step depends on."""
        return bool(self._forced)

    def __call__(self, scores: Tensor, _step: Tensor, rows: Tensor) -> Tensor:
        """Return the scores with those of every other output at minus infinity, in the rows that are forced."""
        return scores.masked_fill(self._rows[rows] & self._no_code, float("-inf")) if self._forced else scores
