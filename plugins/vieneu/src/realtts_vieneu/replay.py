"""Decisions looked at again: what a token would have to be worth to be drawn.

Two implementations that round differently may draw another token where two candidates are worth the same. Whether a
first difference is such a tie, these numbers say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.sampling import HashedNoise, Sampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts_vieneu.network import SpeechLM
    from realtts_vieneu.utterance import Utterance

__all__ = ["scores_at"]


@torch.inference_mode()
def scores_at(model: SpeechLM, utterance: Utterance, tokens: Sequence[int], step: int) -> Tensor:
    """Probability over noise of every candidate of one decision; without noise where the best one is taken.

    Args:
        model: The network.
        utterance: What is spoken.
        tokens: More than ``step``, of the vocabulary: what was drawn before; from the decision on it has no effect.
        step: Which decision.

    Returns:
        float32 (vocabulary,): the largest one is drawn; 0 of what the head does not have.
    """
    logits = model.logits(utterance, tokens[: step + 1])[-1]
    params = model.params(utterance)
    sampler = Sampler(model.recipe, 1, logits.device)
    sampler.set(0, params, 0, model.outputs.known([*utterance.ids, *tokens[:step]]))
    p = sampler.probabilities(logits[None], torch.tensor([step], device=logits.device))[0]
    found = p.new_zeros(model.outputs.vocabulary)
    found[torch.tensor(list(model.outputs.ids), device=p.device)] = p
    return found if params.greedy else found / _noise(model, utterance, step)


def _noise(model: SpeechLM, utterance: Utterance, step: int) -> Tensor:
    """What the decision met: each draw before it has moved a generator on by a whole vocabulary."""
    device, width = model.decoder.device, model.outputs.vocabulary
    source = model.noise()
    source.reseed(0, utterance.seed)
    if isinstance(source, HashedNoise):
        return source.at(torch.tensor([step], device=device), torch.arange(width, device=device))[0]
    noise = torch.empty(1, width, device=device)
    for _ in range(step + 1):
        source.fill(noise)
    return noise[0]
