"""The plain variant's T3 along tokens that are given: what each was drawn from.

Upstream's loop runs as ever, guidance, processors and the multilingual analyzer included; only the draw itself is
answered here, with the given token in place of the drawn one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from realtts_chatterbox.reference import draw
from realtts_chatterbox.voices import to_upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.frontend import Ask

__all__ = ["logits_along", "scores_at"]


def logits_along(t3: Any, ask: Ask, voice: Conditionals, tokens: Sequence[int]) -> Tensor:
    """What each token was drawn from, guided and before any processor, float32 (n, vocabulary)."""
    rows: list[Tensor] = []

    def keep(_: Any, __: Any, logits: Tensor) -> None:
        conditioned = logits[:1, -1].float()
        weight = ask.cfg_weight if len(logits) == 2 else 0.0
        rows.append(conditioned + weight * (conditioned - logits[-1:, -1].float()))

    handle = t3.speech_head.register_forward_hook(keep)
    try:
        _run(t3, replace(ask, least=0, forced=False), voice, tokens, _Given(tokens))
    finally:
        handle.remove()
    return torch.cat(rows[: len(tokens)]).clone()


def scores_at(t3: Any, ask: Ask, voice: Conditionals, tokens: Sequence[int], step: int) -> Tensor:
    """Probability over noise of every candidate of decision ``step`` after the given tokens, (vocabulary,)."""
    given = _Given(tokens[:step])
    _run(t3, ask, voice, [*tokens[:step], 0], given)
    assert given.scores is not None
    return given.scores.clone()


def _run(t3: Any, ask: Ask, voice: Conditionals, tokens: Sequence[int], given: _Given) -> None:
    condition, _ = to_upstream(voice, ask.exaggeration, str(t3.device))
    with given:
        draw(t3, condition, replace(ask, most=len(tokens)), lambda: False)


class _Given(TorchFunctionMode):
    """Inside it, `torch.multinomial` gives the tokens of a list, and the noise advances as if it had drawn them.

    Attributes:
        scores: Of the last decision: torch draws the largest of probability over exponential noise.
    """

    def __init__(self, tokens: Sequence[int]) -> None:
        super().__init__()
        self._tokens, self._step = list(tokens), 0
        self.scores: Tensor | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not torch.multinomial:
            return func(*args, **(kwargs or {}))
        p = args[0]
        self.scores = (p / torch.empty_like(p).exponential_(1))[0]
        drawn = self._tokens[self._step] if self._step < len(self._tokens) else int(self.scores.argmax())
        self._step += 1
        return torch.full((1, 1), drawn, dtype=torch.int64, device=p.device)
