"""Teacher forcing of the plain variant's T3: what each of some given tokens was drawn from.

Upstream's loop runs as ever, guidance, processors and the multilingual analyzer included; only the draw itself is
replaced, by the given token.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.upstream.calls import GivenDraws
from realtts.contract.stages import never

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.frontend import Ask
    from realtts_chatterbox.reference import Upstream

__all__ = ["logits_along", "scores_at"]


def logits_along(networks: Upstream, ask: Ask, voice: Conditionals, tokens: Sequence[int]) -> Tensor:
    """Return the logits of each token, guided and before any processor, float32 (n, vocabulary)."""
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
    """Return the probability over noise of every candidate of decision ``step``, (vocabulary,)."""
    draws = GivenDraws(tokens[:step])
    _run(networks, ask, voice, [*tokens[:step], 0], draws)
    assert draws.scores is not None
    return draws.scores.clone()


def _run(networks: Upstream, ask: Ask, voice: Conditionals, tokens: Sequence[int], draws: GivenDraws) -> None:
    with draws:
        networks.draw(replace(ask, most=len(tokens)), voice, never)
