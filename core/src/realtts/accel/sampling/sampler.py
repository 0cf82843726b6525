"""The sampler: parameters, history and noise as tensors, and the processors in the recipe's order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from realtts.accel.sampling import processors
from realtts.accel.sampling.noise import GeneratorNoise, HashedNoise
from realtts.accel.sampling.params import SamplingParams
from realtts.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.sampling.noise import NoiseSource
    from realtts.accel.sampling.params import SamplingRecipe

    _Processor = Callable[["Sampler", Tensor, Tensor, Tensor | None], Tensor]
    """Of scores (rows, candidates), step (rows,) and the candidates' ids, where not all tokens are left; new scores."""

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
        self._params = [SamplingParams()] * rows
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
        self._processors = tuple((name, _processor(recipe, name)) for name in recipe.order)
        for row in range(rows):
            self._write(row, SamplingParams())
        self._plan()

    # -- between steps, on the host ------------------------------------------------------------------------------

    def set(self, row: int, params: SamplingParams, seed: int, history: Iterable[int] = ()) -> None:
        """Start a request in a row; the other rows are not touched.

        Args:
            row: Which one.
            params: Its parameters.
            seed: Seed of its noise.
            history: Tokens that the repetition penalty counts from the start, oldest first.

        Raises:
            InvalidOption: The history holds an id that is no token; nothing was changed.
        """
        tokens = list(history)
        if any(not 0 <= token < self.recipe.vocabulary for token in tokens):
            raise InvalidOption(
                "the history holds ids that are no tokens",
                who="sampler",
                fix=f"give ids below {self.recipe.vocabulary}",
            )
        self._params[row] = params
        self._write(row, params)
        self._history.begin(row, tokens)
        self.broken[row] = False
        self.noise.reseed(row, seed)
        largest = max(p.top_k for p in self._params) + self._ties
        while self._bound < min(largest, self.recipe.vocabulary):
            self._bound *= 2  # doubled, so that few graphs serve all values
        self._plan()

    def keep(self, rows: Sequence[int]) -> None:
        """Keep some rows, in this order, and forget the others. Not for captured steps."""
        rows = list(rows)
        self.rows, self._params = len(rows), [self._params[row] for row in rows]
        self._values = {name: tensor[rows] for name, tensor in self._values.items()}
        self._greedy, self.broken = self._greedy[rows], self.broken[rows]
        self._buffer = self._buffer[: len(rows)]
        self._history.keep(rows)
        self.noise.keep(rows)
        self._plan()

    @property
    def structure(self) -> tuple[object, ...]:
        """What a captured step depends on: a graph that was captured under another structure must not be replayed."""
        return self._structure

    @property
    def state(self) -> list[Tensor]:
        """Tensors that a step changes; a graph's warm-up restores them."""
        return [*self._history.state, self.broken, *self.noise.state]

    def _write(self, row: int, params: SamplingParams) -> None:
        for name, tensor in self._values.items():
            value = getattr(params, name)
            tensor[row] = 1 - value if name == "top_p" else value
        self._greedy[row] = params.greedy

    def _plan(self) -> None:
        """Decide on the host what a step does, whenever parameters or rows change, so that a step decides nothing."""
        # Of the vocabulary, the tokens that the selection of the top k looks at.
        self._candidates = min(self._bound, self.recipe.vocabulary)
        self._narrows = self.recipe.narrow and all(params.top_k > 0 for params in self._params)
        idle, self._only_greedy = frozenset[str](), False
        if self.skip_idle:
            idle = frozenset(n for n, off in _IDLE.items() if all(getattr(p, n) == off for p in self._params))
            self._only_greedy = all(params.greedy for params in self._params)
        split = self.recipe.order.index("top_k") if self._narrows else len(self._processors)
        self._first = tuple(process for name, process in self._processors[:split] if name not in idle)
        self._then = tuple(process for name, process in self._processors[split + 1 :] if name not in idle)
        rows = self.rows * (2 if "guidance" in self.recipe.order else 1)
        self._shape = (rows, self.recipe.vocabulary)
        self._structure = (self._candidates, self._narrows, self.skip_idle and (idle, self._only_greedy))

    # -- inside the step, on the device --------------------------------------------------------------------------

    def __call__(self, logits: Tensor, step: Tensor) -> Tensor:
        """Draw one token per row.

        Args:
            logits: (rows, vocabulary), or (2 * rows, vocabulary) with guidance: conditional rows first.
            step: int64 of shape (rows,): tokens drawn so far by each row.

        Returns:
            int64 of shape (rows,). The caller tells `observe` which of them count.

        Raises:
            InvalidOption: The logits have another shape.
        """
        scores, ids = self._processed(logits, step)
        # Added up on the device: whoever wants to know reads it together with the tokens.
        self.broken.logical_or_(~scores.amax(-1).isfinite())
        if self._only_greedy:
            return _looked_up(scores.argmax(-1), ids)
        # The division keeps torch.multinomial's order of operations; rounding decides between near ties.
        drawn = (torch.softmax(scores, -1) / self._noise_of(step, ids)).argmax(-1)
        return _looked_up(torch.where(self._greedy, scores.argmax(-1), drawn), ids)

    def _noise_of(self, step: Tensor, ids: Tensor | None) -> Tensor:
        """Return the candidates' noise, (rows, candidates), looked up for them alone in a far larger vocabulary."""
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
        """Return which tokens end their row, bool of shape (rows,).

        Args:
            tokens: int64 of shape (rows,).
        """
        return self._stops[tokens]

    def probabilities(self, logits: Tensor, step: Tensor) -> Tensor:
        """Return the distribution that `__call__` draws from, float32 of shape (rows, vocabulary); changes nothing."""
        scores, ids = self._processed(logits, step)
        p = torch.softmax(scores, -1)
        if ids is None:
            return p
        return torch.zeros(self.rows, self.recipe.vocabulary, device=p.device).scatter_(1, ids, p)

    def _processed(self, logits: Tensor, step: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the candidates' scores, (rows, candidates), and their ids when not all tokens are left."""
        if logits.shape != self._shape:
            fix = f"give {self._shape}"
            raise InvalidOption(f"logits have the shape {tuple(logits.shape)}", who="sampler", fix=fix)
        scores, ids = logits.float(), None
        if self.recipe.stop_tokens and "guidance" not in self.recipe.order:
            scores = self._without_early_stop(scores, step)
        for process in self._first:
            scores = process(self, scores, step, None)
        if self._narrows:
            scores, ids = processors.narrowed(scores, self._values["top_k"], self._candidates)
            for process in self._then:
                scores = process(self, scores, step, ids)
        return scores, ids

    def _without_early_stop(self, scores: Tensor, step: Tensor) -> Tensor:
        early = step[:, None] < self._values["min_new_tokens"]  # (rows, 1)
        return scores.masked_fill(early & self._stops, float("-inf"))

    # -- the processors, by their names in the recipe ------------------------------------------------------------

    def _guided(self, scores: Tensor, step: Tensor, _ids: Tensor | None) -> Tensor:
        conditional, unconditional = scores[: self.rows], scores[self.rows :]  # (2 * rows, vocabulary) -> two halves
        base = conditional if self.recipe.guidance == "conditional" else unconditional
        return self._without_early_stop(base + self._values["guidance"] * (conditional - unconditional), step)

    def _suppress(self, scores: Tensor, _step: Tensor, ids: Tensor | None) -> Tensor:
        return scores.masked_fill(self._suppressed if ids is None else self._suppressed[ids], float("-inf"))

    def _penalize(self, scores: Tensor, _step: Tensor, ids: Tensor | None) -> Tensor:
        return processors.penalized(scores, self._history.mask(ids), self._values["repetition_penalty"])

    def _temper(self, scores: Tensor, _step: Tensor, _ids: Tensor | None) -> Tensor:
        return scores / self._values["temperature"]

    def _top_k(self, scores: Tensor, _step: Tensor, _ids: Tensor | None) -> Tensor:
        return processors.top_k(scores, self._values["top_k"], self._candidates)

    def _top_p(self, scores: Tensor, _step: Tensor, _ids: Tensor | None) -> Tensor:
        return processors.top_p(scores, self._values["top_p"])

    def _min_p(self, scores: Tensor, _step: Tensor, _ids: Tensor | None) -> Tensor:
        return processors.min_p(scores, self._values["min_p"])

    _PROCESSORS: ClassVar[Mapping[str, _Processor]] = {
        "guidance": _guided,
        "suppress": _suppress,
        "repetition_penalty": _penalize,
        "temperature": _temper,
        "top_k": _top_k,
        "top_p": _top_p,
        "min_p": _min_p,
    }
    """Functions and not bound methods, which would refer back to the sampler and keep its tensors in memory."""


def _processor(recipe: SamplingRecipe, name: str) -> _Processor:
    if name not in recipe.own:
        return Sampler._PROCESSORS[name]
    process = recipe.own[name]
    return lambda _sampler, scores, step, _ids: process(scores, step)


def _mask(ids: Sequence[int], width: int, device: torch.device) -> Tensor:
    mask = torch.zeros(width, dtype=torch.bool, device=device)
    mask[list(ids)] = True
    return mask


def _looked_up(chosen: Tensor, ids: Tensor | None) -> Tensor:
    return chosen if ids is None else ids.gather(1, chosen[:, None])[:, 0]
