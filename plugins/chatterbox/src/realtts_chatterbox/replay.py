"""The plain variant's T3 along tokens that are given: what each was drawn from.

Upstream's loop runs as ever, guidance, processors and the multilingual analyzer included; only the draw itself is
answered here, with the given token in place of the drawn one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.upstream.upstream import GivenDraws
from realtts.contract.stages import never

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.frontend import Ask
    from realtts_chatterbox.reference import Upstream

__all__ = ["logits_along", "scores_at"]


def logits_along(networks: Upstream, ask: Ask, voice: Conditionals, tokens: Sequence[int]) -> Tensor:
    """What each token was drawn from, guided and before any processor, float32 (n, vocabulary)."""
    rows: list[Tensor] = []

    def keep(_: Any, __: Any, logits: Tensor) -> None:
        conditioned = logits[:1, -1].float()
        weight = ask.cfg_weight if len(logits) == 2 else 0.0
        rows.append(conditioned + weight * (conditioned - logits[-1:, -1].float()))

    handle = networks.t3.speech_head.register_forward_hook(keep)
    try:
        _run(networks, replace(ask, least=0, forced=False), voice, tokens, GivenDraws(tokens))
    finally:
        handle.remove()
    return torch.cat(rows[: len(tokens)]).clone()


def scores_at(networks: Upstream, ask: Ask, voice: Conditionals, tokens: Sequence[int], step: int) -> Tensor:
    """Probability over noise of every candidate of decision ``step`` after the given tokens, (vocabulary,)."""
    given = GivenDraws(tokens[:step])
    _run(networks, ask, voice, [*tokens[:step], 0], given)
    assert given.scores is not None
    return given.scores.clone()


def _run(networks: Upstream, ask: Ask, voice: Conditionals, tokens: Sequence[int], given: GivenDraws) -> None:
    with given:
        networks.draw(replace(ask, most=len(tokens)), voice, never)
