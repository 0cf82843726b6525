"""Decisions looked at again: what a code would have to be worth to be drawn.

Two implementations that round differently may draw another code where two candidates are worth the same. Whether a
first difference is such a tie, these numbers say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.sampling import Sampler

if TYPE_CHECKING:
    from torch import Tensor

    from realtts_qwen3.network import Talker
    from realtts_qwen3.prompt import Utterance

__all__ = ["scores_at"]


@torch.inference_mode()
def scores_at(talker: Talker, utterance: Utterance, codes: Tensor, frame: int, group: int) -> Tensor:
    """Probability over noise of every candidate of one decision; without noise where the best one is taken.

    Args:
        talker: The network.
        utterance: What is spoken.
        codes: int64 (more than ``frame``, 16): what was drawn before; from the decision on it has no effect.
        frame: Which frame.
        group: Which of its codes.

    Returns:
        float32 (candidates,): the largest one is drawn.
    """
    logits = talker.logits(utterance, codes[: frame + 1])
    params = talker.params(utterance)[min(group, 1)]
    sampler = Sampler(talker.recipes[min(group, 1)], 1, logits.first.device)
    sampler.set(0, params, 0, codes[:frame, 0].tolist() if group == 0 else ())
    found = logits.first[frame] if group == 0 else logits.others[frame, group - 1]
    p = sampler.probabilities(found[None], torch.tensor([frame], device=found.device))[0]
    return p if params.greedy else p / _noise(talker, utterance, frame, group).to(p.device)


def _noise(talker: Talker, utterance: Utterance, frame: int, group: int) -> Tensor:
    """What the decision met: all draws before it have moved the generator on."""
    device = talker.decoder.device
    generator = torch.Generator(device)
    generator.manual_seed(utterance.seed)
    first, others = talker.params(utterance)
    widths = [recipe.vocabulary for recipe in talker.recipes]
    drawn = torch.empty(0, device=device)
    for step in range(frame * 16 + group + 1):
        own = min(step % 16, 1)
        if not (first, others)[own].greedy:
            drawn = torch.empty(widths[own], device=device).exponential_(generator=generator)
    return drawn
