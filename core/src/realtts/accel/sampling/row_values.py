"""The sampling parameters of all rows as tensors on the device, and those of the rows that a step draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from realtts.accel.sampling.params import SamplingParams
from realtts.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts.accel.sampling.params import SamplingRecipe

__all__ = ["RowValues", "Shortcuts", "token_mask"]

_IDLE = {"repetition_penalty": 1.0, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
"""Values that do nothing."""

_INTEGERS = frozenset({"top_k", "min_new_tokens"})


class Shortcuts(NamedTuple):
    """What the host knows of all rows of a step, so that a step that is not captured computes less.

    Attributes:
        idle: Processors whose parameters do nothing for every row.
        only_greedy: Whether every row takes the likeliest token.
        some_greedy: Whether a row does.
        same_k: The ``top_k`` of all rows; None: they have several, or none.
    """

    idle: frozenset[str] = frozenset()
    only_greedy: bool = False
    some_greedy: bool = True
    same_k: int | None = None

    @classmethod
    def of(cls, params: Sequence[SamplingParams], vocabulary: int) -> Shortcuts:
        """Look at the parameters of the rows of a step."""
        limits = {p.top_k for p in params}
        return cls(
            idle=frozenset(name for name, off in _IDLE.items() if all(getattr(p, name) == off for p in params)),
            only_greedy=all(p.greedy for p in params),
            some_greedy=any(p.greedy for p in params),
            same_k=min(*limits, vocabulary) if len(limits) == 1 and limits != {0} else None,
        )


class RowValues:
    """Parameters by row, and by place in a step.

    A step reads those of the places. They are copied there when rows come, go or change their places, and lie in the
    same tensors for every step of so many rows, so that a graph may hold them.

    Args:
        recipe: What the model fixes.
        rows: Number of rows, and of places.
        device: Where everything lies.

    Attributes:
        params: Of each row, as they were set.
        placed: Numbers of the rows that a step draws; at first all, in order.
        index: The same on the device, int64 (n,).
    """

    def __init__(self, recipe: SamplingRecipe, rows: int, device: torch.device) -> None:
        self._recipe = recipe
        self._usual_stops = token_mask(recipe.stop_tokens, recipe.vocabulary, device)
        names = (*_IDLE, "guidance", "min_new_tokens")
        self._by_row = {
            name: torch.zeros(rows, 1, dtype=torch.int64 if name in _INTEGERS else None, device=device)
            for name in names
        }
        self._by_row["greedy"] = torch.zeros(rows, 1, dtype=torch.bool, device=device)
        self._by_row["stops"] = torch.zeros(rows, recipe.vocabulary, dtype=torch.bool, device=device)
        self._by_place: dict[str, Tensor] = {}
        self.params = [SamplingParams()] * rows
        self.placed: list[int] = list(range(rows))
        self.index = torch.arange(rows, device=device)
        self._values = self._by_row
        for row in range(rows):
            self.set(row, SamplingParams())

    def __getitem__(self, name: str) -> Tensor:
        """Return a parameter of the rows that a step draws, (n, 1); of ``stops`` a mask (n, vocabulary)."""
        return self._values[name]

    def check(self, params: SamplingParams) -> None:
        """Raise InvalidOption if a stop token is not in the vocabulary."""
        if any(not 0 <= token < self._recipe.vocabulary for token in params.stop_tokens or ()):
            raise InvalidOption(
                f"stop_tokens is {params.stop_tokens!r}",
                who="sampling",
                fix=f"give ids below {self._recipe.vocabulary}",
            )

    def set(self, row: int, params: SamplingParams) -> None:
        """Write the parameters of one row, in its place too where it has one."""
        self.params[row] = params
        self._write(self._by_row, row, params)
        if self._values is not self._by_row and row in self.placed:
            self._write(self._values, self.placed.index(row), params)

    def place(self, rows: Sequence[int], index: Tensor) -> None:
        """Draw these rows from now on, in this order; arguments as of `Sampler.place`."""
        if not self._by_place:
            with torch.inference_mode(mode=False):  # or they could not be changed outside of it
                self._by_place = {name: torch.zeros_like(tensor) for name, tensor in self._by_row.items()}
        self.placed, self.index = list(rows), index
        self._values = {name: tensor[: len(rows)] for name, tensor in self._by_place.items()}
        for name, tensor in self._values.items():
            torch.index_select(self._by_row[name], 0, index, out=tensor)

    def _write(self, values: dict[str, Tensor], at: int, params: SamplingParams) -> None:
        for name, tensor in values.items():
            if name == "stops":
                continue
            value = getattr(params, name)
            tensor[at] = 1 - value if name == "top_p" else value
        stops = values["stops"][at]
        if params.stop_tokens is None:
            stops.copy_(self._usual_stops)
            return
        stops.zero_()
        for token in params.stop_tokens:
            stops[token] = True


def token_mask(ids: Sequence[int], width: int, device: torch.device) -> Tensor:
    """Return a mask of some tokens, bool (width,)."""
    mask = torch.zeros(width, dtype=torch.bool, device=device)
    mask[list(ids)] = True
    return mask
