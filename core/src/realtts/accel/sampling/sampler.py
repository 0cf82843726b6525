"""The sampler: parameters, history and noise as tensors, and the processors in the recipe's order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from realtts.accel.indexed import select, store
from realtts.accel.sampling import processors
from realtts.accel.sampling.fused import Drawing, why_not_fused
from realtts.accel.sampling.native import NativeDraws
from realtts.accel.sampling.noise import GeneratorNoise, HashedNoise
from realtts.accel.sampling.row_values import RowValues, Shortcuts, token_mask
from realtts.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.sampling.noise import NoiseSource
    from realtts.accel.sampling.params import SamplingParams, SamplingRecipe

    _Processor = Callable[["Sampler", Tensor, Tensor, Tensor | None], Tensor]
    """Of scores (rows, candidates), step (rows,) and the candidates' ids, where not all tokens are left; new scores."""

__all__ = ["Sampler"]

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
        fused: Draw by `realtts.accel.fused`, which sorts nothing, where the recipe allows it.
        native: Draw by realtts-native, beside a decoder whose steps do.
    """

    def __init__(
        self,
        recipe: SamplingRecipe,
        rows: int,
        device: torch.device | str = "cpu",
        *,
        noise: NoiseSource | HashedNoise | None = None,
        skip_idle: bool = True,
        fused: bool = False,
        native: bool = False,
    ) -> None:
        device = torch.device(device)
        self.recipe = recipe
        self.rows = rows
        self.skip_idle = skip_idle
        self.noise: NoiseSource | HashedNoise = noise if noise is not None else GeneratorNoise(rows, device)
        self._values = RowValues(recipe, rows, device)
        self._index: Tensor | None = None
        self._counted = rows
        self._history = processors.History(rows, recipe.vocabulary, recipe.penalty_window, device)
        width = 0 if isinstance(self.noise, HashedNoise) else recipe.noise_width or recipe.vocabulary
        self._buffer = torch.empty(rows, width, device=device)
        ids = recipe.noise_ids
        self._noise_ids = (
            torch.arange(recipe.vocabulary, device=device) if ids is None else torch.tensor(ids).to(device)
        )
        self._suppressed = token_mask(recipe.suppressed, recipe.vocabulary, device)
        self.broken = torch.zeros(rows, dtype=torch.bool, device=device)
        """True for rows whose logits were not finite at some step since `set`."""
        self.native = NativeDraws(recipe, self._values, self._history.seen, self.broken) if native else None
        """Draws in one call; None: torch's operators do."""
        self._ties = _TIES if recipe.narrow else 0
        self._bound = recipe.max_top_k + self._ties
        self._fused: Drawing | None = None
        if fused and why_not_fused(recipe, hashed=isinstance(self.noise, HashedNoise)) is None:
            self._fused = Drawing(recipe, self._values, self._suppressed, self._history.seen)
        self._processors = tuple((name, _processor(recipe, name)) for name in recipe.order)
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
            InvalidOption: The history or the stop tokens hold an id that is no token; nothing was changed.
        """
        tokens = list(history)
        self._values.check(params)
        if any(not 0 <= token < self.recipe.vocabulary for token in tokens):
            raise InvalidOption(
                "the history holds ids that are no tokens",
                who="sampler",
                fix=f"give ids below {self.recipe.vocabulary}",
            )
        self._values.set(row, params)
        self._history.begin(row, tokens)
        self.broken[row] = False
        self.noise.reseed(row, seed)
        largest = max(p.top_k for p in self._values.params) + self._ties
        while self._bound < min(largest, self.recipe.vocabulary):
            self._bound *= 2  # doubled, so that few graphs serve all values
        self._plan()

    def check(self, params: SamplingParams) -> None:
        """Raise InvalidOption if a row cannot be drawn with these parameters; changes nothing."""
        self._values.check(params)

    def place(self, rows: Sequence[int], index: Tensor, *, counted: int | None = None) -> None:
        """Draw these rows from now on, in this order; the others keep what they are.

        Args:
            rows: Their numbers.
            index: The same, int64 (n,) on the device. A graph holds it, so for so many rows it is always this tensor.
            counted: How many of the first ones count; the others fill up a step. None: all.
        """
        self._values.place(rows, index)
        self.noise.place(rows, index)
        self._index, self._counted = index, len(rows) if counted is None else counted
        self._plan()

    @property
    def structure(self) -> tuple[object, ...]:
        """What a captured step depends on: a graph that was captured under another structure must not be replayed."""
        return self._structure

    @property
    def state(self) -> list[Tensor]:
        """Tensors that a step changes; a graph's warm-up restores them."""
        return [*self._history.state, self.broken, *self.noise.state]

    def _plan(self) -> None:
        """Decide on the host what a step does, whenever parameters or rows change, so that a step decides nothing."""
        params = [self._values.params[row] for row in self._values.placed[: self._counted]]
        # Of the vocabulary, the tokens that the selection of the top k looks at.
        self._candidates = min(self._bound, self.recipe.vocabulary)
        # A row with a top k is always narrowed and one without never, whatever stands beside it.
        self._narrows = self.recipe.narrow and any(p.top_k > 0 for p in params)
        self._widens = not self._narrows or any(p.top_k == 0 for p in params)
        self._may_stop = bool(self.recipe.stop_tokens) or any(p.stop_tokens for p in params)
        short = self._short = Shortcuts.of(params, self.recipe.vocabulary) if self.skip_idle else Shortcuts()
        order = [(name, process) for name, process in self._processors if name not in short.idle]
        split = next((at for at, (name, _) in enumerate(order) if name == "top_k"), None)
        if not self._narrows or split is None:
            split = len(order)
        self._first = tuple(process for _, process in order[:split])
        self._then = tuple(process for _, process in order[split + 1 :])
        first = () if self.native is None else self._processors[: self.native.begin]
        self._before = tuple(process for name, process in first if name not in short.idle)
        n = len(self._values.placed)
        self._shape = (n * (2 if "guidance" in self.recipe.order else 1), self.recipe.vocabulary)
        self._noise_rows = self._buffer[:n]
        self._structure = (
            self._candidates, self._narrows, self._widens, self._may_stop, short,
        )  # fmt: skip

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
        if self.native is not None:
            return self._drawn_natively(self.native, logits, step)
        if self._fused is not None:
            return self._drawn_fused(self._fused, logits, step)
        parts = self._processed(logits, step)
        # Added up on the device: whoever wants to know reads it together with the tokens.
        # Zero times a number is zero, unless that is NaN or infinite: fewer operators than isfinite has.
        broken = self._merged([scores.amax(-1).mul(0).ne(0) for scores, _ in parts])
        self._note(broken)
        if self._short.only_greedy:
            return self._merged([processors.looked_up(scores.argmax(-1), ids) for scores, ids in parts])
        if not isinstance(self.noise, HashedNoise):
            self.noise.fill(self._noise_rows)
        return self._merged([self._drawn(scores, ids, step) for scores, ids in parts])

    def _drawn_natively(self, draw: NativeDraws, logits: Tensor, step: Tensor) -> Tensor:
        self._check(logits)
        scores = logits.float()
        if draw.begin:
            scores = self._begun(scores, step, self._before)
        if isinstance(self.noise, HashedNoise):
            return draw(scores.contiguous(), step, noise=None, seeds=self.noise.seeds)
        self.fill_noise(self._noise_rows)
        return draw(scores.contiguous(), step, noise=self._noise_rows, seeds=None)

    def fill_noise(self, noise: Tensor) -> None:
        """Fill the noise of a draw of the placed rows, float32 (n, width), unless all of them take the likeliest token.

        For a caller that draws several tokens by `native` at once; hashed noise is computed there.
        """
        if not self._short.only_greedy and not isinstance(self.noise, HashedNoise):
            self.noise.fill(noise)

    def _drawn_fused(self, fused: Drawing, logits: Tensor, step: Tensor) -> Tensor:
        self._check(logits)
        assert not isinstance(self.noise, HashedNoise)
        noise = None if self._short.only_greedy else self._noise_rows
        if noise is not None:
            self.noise.fill(noise)
        tokens, broken = fused(logits, step, noise, idle=self._short.idle, may_stop=self._may_stop)
        self._note(broken)
        return tokens

    def _note(self, broken: Tensor) -> None:
        store(self.broken, self._index, select(self.broken, self._index) | broken)

    def _drawn(self, scores: Tensor, ids: Tensor | None, step: Tensor) -> Tensor:
        # The division keeps torch.multinomial's order of operations; rounding decides between near ties.
        drawn = (torch.softmax(scores, -1) / self._noise_of(step, ids)).argmax(-1)
        if not self._short.some_greedy:
            return processors.looked_up(drawn, ids)
        return processors.looked_up(torch.where(self._values["greedy"][:, 0], scores.argmax(-1), drawn), ids)

    def _noise_of(self, step: Tensor, ids: Tensor | None) -> Tensor:
        """Return the candidates' noise, (rows, candidates), looked up for them alone in a far larger vocabulary."""
        if isinstance(self.noise, HashedNoise):
            return self.noise.at(step, self._noise_ids if ids is None else self._noise_ids[ids])
        if ids is not None:
            return self._noise_rows.gather(1, self._noise_ids[ids])
        return self._noise_rows if self.recipe.noise_ids is None else self._noise_rows[:, self._noise_ids]

    def _merged(self, parts: Sequence[Tensor]) -> Tensor:
        """Return of what was computed for narrowed rows and for the others, where both were, what each row is."""
        if len(parts) == 1:
            return parts[0]
        narrow = self._values["top_k"] > 0  # (rows, 1)
        return torch.where(narrow if parts[0].dim() > 1 else narrow[:, 0], parts[0], parts[1])

    def observe(self, tokens: Tensor, active: Tensor) -> None:
        """Add tokens to the penalty's history; those of rows that are not active do not count. Both (rows,)."""
        if "repetition_penalty" in self.recipe.order:
            self._history.add(tokens, active, self._index)

    def is_stop(self, tokens: Tensor) -> Tensor:
        """Return which tokens, int64 (rows,), end their row: bool (rows,)."""
        return self._values["stops"].gather(1, tokens[:, None])[:, 0]

    def probabilities(self, logits: Tensor, step: Tensor) -> Tensor:
        """Return the distribution that `__call__` draws from, float32 of shape (rows, vocabulary); changes nothing."""
        return self._merged([self._spread(scores.softmax(-1), ids) for scores, ids in self._processed(logits, step)])

    def _spread(self, p: Tensor, ids: Tensor | None) -> Tensor:
        if ids is None:
            return p
        return torch.zeros(len(p), self.recipe.vocabulary, device=p.device).scatter_(1, ids, p)

    def _processed(self, logits: Tensor, step: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        """Return candidates' scores, (rows, candidates), and their ids when not all tokens are left.

        Of narrowed rows and of the others, in this order, where a step has both; each computed for all rows.
        """
        self._check(logits)
        scores = self._begun(logits.float(), step, self._first)
        parts: list[tuple[Tensor, Tensor | None]] = []
        if self._narrows:
            parts.append(processors.narrowed(scores, self._values["top_k"], self._candidates))
        if self._widens:
            parts.append((scores, None))
        return [(self._continued(scores, step, ids), ids) for scores, ids in parts]

    def _check(self, logits: Tensor) -> None:
        if logits.shape != self._shape:
            fix = f"give {self._shape}"
            raise InvalidOption(f"logits have the shape {tuple(logits.shape)}", who="sampler", fix=fix)

    def _begun(self, scores: Tensor, step: Tensor, process_by: Sequence[_Processor]) -> Tensor:
        if self._may_stop and "guidance" not in self.recipe.order:
            scores = self._without_early_stop(scores, step)
        for process in process_by:
            scores = process(self, scores, step, None)
        return scores

    def _continued(self, scores: Tensor, step: Tensor, ids: Tensor | None) -> Tensor:
        for process in self._then:
            scores = process(self, scores, step, ids)
        return scores

    def _without_early_stop(self, scores: Tensor, step: Tensor) -> Tensor:
        early = step[:, None] < self._values["min_new_tokens"]  # (rows, 1)
        return scores.masked_fill(early & self._values["stops"], float("-inf"))

    # -- the processors, by their names in the recipe ------------------------------------------------------------

    def _guided(self, scores: Tensor, step: Tensor, _ids: Tensor | None) -> Tensor:
        conditional, unconditional = scores.chunk(2)  # (2 * rows, vocabulary) -> two halves
        base = conditional if self.recipe.guidance == "conditional" else unconditional
        return self._without_early_stop(base + self._values["guidance"] * (conditional - unconditional), step)

    def _suppress(self, scores: Tensor, _step: Tensor, ids: Tensor | None) -> Tensor:
        return scores.masked_fill(self._suppressed if ids is None else self._suppressed[ids], float("-inf"))

    def _penalize(self, scores: Tensor, _step: Tensor, ids: Tensor | None) -> Tensor:
        return processors.penalized(scores, self._history.mask(ids, self._index), self._values["repetition_penalty"])

    def _temper(self, scores: Tensor, _step: Tensor, _ids: Tensor | None) -> Tensor:
        return scores / self._values["temperature"]

    def _top_k(self, scores: Tensor, _step: Tensor, _ids: Tensor | None) -> Tensor:
        return processors.top_k(scores, self._values["top_k"], self._candidates, same=self._short.same_k)

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
    return lambda sampler, scores, step, _ids: process(scores, step, sampler._values.index)
