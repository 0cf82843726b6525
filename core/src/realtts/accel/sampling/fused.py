"""Drawing by the fused operations: guidance and suppression in one launch, filters and the draw in another.

It draws what `realtts.accel.sampling.Sampler` draws, up to the rounding of sums; of tokens that tie at the border of
``top_p`` it keeps all or none. A model's own processors run between the launches, as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.fused.drawing import KINDS, MOST_TOKENS, Filters, draw, filtered, guide, order_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from realtts.accel.sampling.params import SamplingRecipe
    from realtts.accel.sampling.row_values import RowValues

__all__ = ["Drawing", "why_not_fused"]

_FILTERS = frozenset({"top_k", "top_p", "min_p"})
_PARAMETERS = {
    "repetition_penalty": "penalty", "temperature": "temperature", "top_k": "top_k", "top_p": "rest", "min_p": "min_p",
}  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """A recipe as launches.

    Args:
        recipe: What the model fixes.
        values: Parameters of the rows.
        suppressed: bool (vocabulary,).
        seen: bool (rows, vocabulary + 1): the penalty's history.
    """

    recipe: SamplingRecipe
    values: RowValues
    suppressed: Tensor
    seen: Tensor

    def __call__(
        self, logits: Tensor, step: Tensor, noise: Tensor | None, *, idle: Collection[str], may_stop: bool
    ) -> tuple[Tensor, Tensor]:
        """Draw a token from each row.

        Args:
            logits: (rows, vocabulary), or (2 * rows, vocabulary) with guidance.
            step: int64 (rows,): tokens drawn so far.
            noise: float32 (rows, vocabulary), or None where all rows are greedy.
            idle: Names of processors that are left out.
            may_stop: Whether a row has tokens that end it.

        Returns:
            Tokens, int64 (rows,), and which rows' scores were not finite, bool (rows,).
        """
        values, names = self.values, self.recipe.order
        scores = guide(
            logits,
            step,
            weight=values["guidance"] if "guidance" in names else None,
            unconditional=self.recipe.guidance == "unconditional",
            least=values["min_new_tokens"] if may_stop else None,
            stops=values["stops"] if may_stop else None,
            suppressed=self.suppressed if "suppress" in names else None,
        )
        kinds: list[str] = []
        for name in names:
            if name in KINDS and name not in idle:
                kinds.append(name)
            elif name in self.recipe.own:
                if kinds:
                    scores = filtered(scores, self._filters(kinds))
                    kinds = []
                scores = self.recipe.own[name](scores, step, values.index)
        if noise is None:
            noise = torch.ones_like(scores)
        return draw(scores, noise, values["greedy"], self._filters(kinds))

    def _filters(self, kinds: list[str]) -> Filters:
        given = {_PARAMETERS[kind]: self.values[kind] for kind in kinds}
        if "penalty" in given:
            given |= {"seen": self.seen, "rows": self.values.index}
        return Filters(order=order_of(kinds), **given)


def why_not_fused(recipe: SamplingRecipe, *, hashed: bool) -> str | None:
    """Return why the launches cannot draw by a recipe; None: they can.

    Args:
        recipe: What the model fixes.
        hashed: Whether noise is computed for candidates alone.
    """
    checks: list[tuple[bool, str]] = [
        (recipe.vocabulary > MOST_TOKENS, f"a vocabulary of more than {MOST_TOKENS} tokens"),
        (recipe.narrow or hashed, "candidates are few"),
        (recipe.noise_ids is not None, "noise of another width"),
        (_suppresses_late(recipe), "tokens are suppressed behind a filter"),
    ]
    return next((reason for wrong, reason in checks if wrong), None)


def _suppresses_late(recipe: SamplingRecipe) -> bool:
    """Whether suppression, which comes first here, would change what a filter before it sees."""
    if "suppress" not in recipe.order:
        return False
    before = recipe.order[: recipe.order.index("suppress")]
    return any(name in _FILTERS or name in recipe.own for name in before)
