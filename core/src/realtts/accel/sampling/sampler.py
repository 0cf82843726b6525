"""The sampler: parameters, history and noise as tensors, and the processors in the recipe's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.sampling import processors
from realtts.accel.sampling.noise import GeneratorNoise, HashedNoise
from realtts.accel.sampling.params import SamplingParams
from realtts.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor

    from realtts.accel.sampling.noise import NoiseSource
    from realtts.accel.sampling.params import SamplingRecipe

__all__ = ["Sampler"]

_IDLE = {"repetition_penalty": 1.0, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
"""Values that do nothing."""

_TIES = 8
"""Candidates kept beyond ``top_k`` when the vocabulary is narrowed, for tokens that tie with the last one."""


class Sampler:
    """Draws one token per row from logits.

    Args:
        recipe: What the model fixes.
        rows: Rows that are drawn at once, without the second rows of guidance.
        device: Where everything lies.
        noise: Source of noise; default: one generator per row, as torch draws.
        skip_idle: Leave out processors whose parameters do nothing for every row. For eager decoding; a captured step
            holds them all, so that changing a parameter needs no new graph.
    """

    def __init__(
        self,
        recipe: SamplingRecipe,
        rows: int,
        device: torch.device | str = "cpu",
        *,
        noise: NoiseSource | HashedNoise | None = None,
        skip_idle: bool = True,
    ) -> None:
        device = torch.device(device)
        self.recipe = recipe
        self.rows = rows
        self.skip_idle = skip_idle
        self.noise: NoiseSource | HashedNoise = noise if noise is not None else GeneratorNoise(rows, device)
        self._host = [SamplingParams()] * rows
        self._values = {
            name: torch.zeros(
                rows, 1, dtype=torch.int64 if name in {"top_k", "min_new_tokens"} else None, device=device
            )
            for name in (*_IDLE, "guidance", "min_new_tokens")
        }
        self._greedy = torch.zeros(rows, dtype=torch.bool, device=device)
        self._history = processors.History(rows, recipe.vocabulary, recipe.penalty_window, device)
        width = 0 if isinstance(self.noise, HashedNoise) else recipe.noise_width or recipe.vocabulary
        self._buffer = torch.empty(rows, width, device=device)
        ids = recipe.noise_ids
        self._noise_ids = (
            torch.arange(recipe.vocabulary, device=device) if ids is None else torch.tensor(ids).to(device)
        )
        self._suppressed = _mask(recipe.suppressed, recipe.vocabulary, device)
        self._stops = _mask(recipe.stop_tokens, recipe.vocabulary, device)
        self.broken = torch.zeros(rows, dtype=torch.bool, device=device)
        """True for rows whose logits were not finite at some step since `set`."""
        self._ties = _TIES if recipe.narrow else 0
        self._bound = recipe.max_top_k + self._ties
        for row in range(rows):
            self._write(row, SamplingParams())

    # -- between steps, on the host ------------------------------------------------------------------------------

    def set(self, row: int, params: SamplingParams, seed: int, history: Iterable[int] = ()) -> None:
        """Begin a request in a row; the other rows are not touched.

        Args:
            row: Which one.
            params: Its parameters.
            seed: Seed of its noise.
            history: Tokens that the repetition penalty knows from the start, oldest first.

        Raises:
            InvalidOption: The history holds an id that is no token; nothing was changed.
        """
        known = list(history)
        if any(not 0 <= token < self.recipe.vocabulary for token in known):
            raise InvalidOption(
                "the history holds ids that are no tokens",
                who="sampler",
                fix=f"give ids below {self.recipe.vocabulary}",
            )
        self._host[row] = params
        self._write(row, params)
        self._history.begin(row, known)
        self.broken[row] = False
        self.noise.reseed(row, seed)
        wanted = max(p.top_k for p in self._host) + self._ties
        while self._bound < min(wanted, self.recipe.vocabulary):
            self._bound *= 2

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some rows, in this order, and forget the others. Not for captured steps."""
        kept = list(rows)
        self.rows, self._host = len(kept), [self._host[row] for row in kept]
        self._values = {name: tensor[kept] for name, tensor in self._values.items()}
        self._greedy, self.broken = self._greedy[kept], self.broken[kept]
        self._buffer = self._buffer[: len(kept)]
        self._history.keep(kept)
        self.noise.keep(kept)

    def _write(self, row: int, params: SamplingParams) -> None:
        for name, tensor in self._values.items():
            value = getattr(params, name)
            tensor[row] = 1 - value if name == "top_p" else value
        self._greedy[row] = params.greedy

    @property
    def structure(self) -> tuple[object, ...]:
        """What a captured step depends on: a graph that was captured under another structure must not be replayed."""
        return (self._candidates, self._narrows(), self.skip_idle and (self._idle(), self._all_greedy()))

    @property
    def state(self) -> list[Tensor]:
        """Tensors that a step changes; a graph's warm-up restores them."""
        return [*self._history.state, self.broken, *self.noise.state]

    def _idle(self) -> tuple[str, ...]:
        return tuple(n for n, idle in _IDLE.items() if all(getattr(p, n) == idle for p in self._host))

    def _all_greedy(self) -> bool:
        return all(params.greedy for params in self._host)

    def _narrows(self) -> bool:
        return self.recipe.narrow and all(params.top_k > 0 for params in self._host)

    # -- inside the step, on the device --------------------------------------------------------------------------

    def __call__(self, logits: Tensor, step: Tensor) -> Tensor:
        """Draw.

        Args:
            logits: (rows, vocabulary), or (2 * rows, vocabulary) with guidance: conditional rows first.
            step: int64 of shape (rows,): tokens drawn so far by each row.

        Returns:
            int64 of shape (rows,). The caller tells `observe` which of them count.
        """
        scores, ids = self._processed(logits, step)
        self.broken.logical_or_(~scores.amax(-1).isfinite())
        if self.skip_idle and self._all_greedy():
            return _looked_up(scores.argmax(-1), ids)
        # The division keeps torch.multinomial's order of operations; rounding decides between near ties.
        drawn = (torch.softmax(scores, -1) / self._noise_of(step, ids)).argmax(-1)
        return _looked_up(torch.where(self._greedy, scores.argmax(-1), drawn), ids)

    def _noise_of(self, step: Tensor, ids: Tensor | None) -> Tensor:
        """That of the candidates; only theirs is looked up, of what may be a far larger vocabulary."""
        if isinstance(self.noise, HashedNoise):
            return self.noise.at(step, self._noise_ids if ids is None else self._noise_ids[ids])
        self.noise.fill(self._buffer)
        if ids is not None:
            return self._buffer.gather(1, self._noise_ids[ids])
        return self._buffer if self.recipe.noise_ids is None else self._buffer[:, self._noise_ids]

    def observe(self, tokens: Tensor, active: Tensor) -> None:
        """Add tokens to the penalty's history.

        Args:
            tokens: int64 of shape (rows,).
            active: bool of shape (rows,): rows that count.
        """
        if "repetition_penalty" in self.recipe.order:
            self._history.add(tokens, active)

    def is_stop(self, tokens: Tensor) -> Tensor:
        """Which tokens end their row: bool of shape (rows,).

        Args:
            tokens: int64 of shape (rows,).
        """
        return self._stops[tokens]

    def probabilities(self, logits: Tensor, step: Tensor) -> Tensor:
        """The distribution that `__call__` draws from: float32 of shape (rows, vocabulary). Changes nothing."""
        scores, ids = self._processed(logits, step)
        p = torch.softmax(scores, -1)
        if ids is None:
            return p
        return torch.zeros(self.rows, self.recipe.vocabulary, device=p.device).scatter_(1, ids, p)

    def _processed(self, logits: Tensor, step: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores of the candidates, and their ids when not all tokens are left."""
        idle = self._idle() if self.skip_idle else ()
        self._check(logits)
        scores, ids = logits.float(), None
        if self.recipe.stop_tokens and "guidance" not in self.recipe.order:
            scores = self._without_early_stop(scores, step)
        for name in self.recipe.order:
            if name == "top_k" and self._narrows():
                scores, ids = processors.narrowed(scores, self._values["top_k"], self._candidates)
            elif name not in idle:
                scores = self._processor(name)(scores, step, ids)
        return scores, ids

    @property
    def _candidates(self) -> int:
        """How many of the best tokens the selection of the top k looks at."""
        return min(self._bound, self.recipe.vocabulary)

    def _without_early_stop(self, scores: Tensor, step: Tensor) -> Tensor:
        early = step[:, None] < self._values["min_new_tokens"]
        return scores.masked_fill(early & self._stops, float("-inf"))

    def _processor(self, name: str) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
        if name in self.recipe.own:
            return lambda scores, step, _ids: self.recipe.own[name](scores, step)
        return {
            "guidance": self._guided,
            "suppress": lambda s, _step, ids: s.masked_fill(_for_ids(self._suppressed, ids), float("-inf")),
            "repetition_penalty": lambda s, _step, ids: processors.penalized(
                s, self._history.mask(ids), self._values["repetition_penalty"]
            ),
            "temperature": lambda s, _step, _ids: s / self._values["temperature"],
            "top_k": lambda s, _step, _ids: processors.top_k(s, self._values["top_k"], self._candidates),
            "top_p": lambda s, _step, _ids: processors.top_p(s, self._values["top_p"]),
            "min_p": lambda s, _step, _ids: processors.min_p(s, self._values["min_p"]),
        }[name]

    def _guided(self, scores: Tensor, step: Tensor, _ids: Tensor | None) -> Tensor:
        conditional, unconditional = scores[: self.rows], scores[self.rows :]
        base = conditional if self.recipe.guidance == "conditional" else unconditional
        return self._without_early_stop(base + self._values["guidance"] * (conditional - unconditional), step)

    def _check(self, logits: Tensor) -> None:
        rows = self.rows * (2 if "guidance" in self.recipe.order else 1)
        if tuple(logits.shape) != (rows, self.recipe.vocabulary):
            raise InvalidOption(
                f"logits have the shape {tuple(logits.shape)}",
                who="sampler",
                fix=f"give ({rows}, {self.recipe.vocabulary})",
            )


def _mask(ids: Sequence[int], width: int, device: torch.device) -> Tensor:
    mask = torch.zeros(width, dtype=torch.bool, device=device)
    mask[list(ids)] = True
    return mask


def _for_ids(mask: Tensor, ids: Tensor | None) -> Tensor:
    return mask if ids is None else mask[ids]


def _looked_up(chosen: Tensor, ids: Tensor | None) -> Tensor:
    return chosen if ids is None else ids.gather(1, chosen[:, None])[:, 0]
