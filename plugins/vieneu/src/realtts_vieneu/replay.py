"""Scores of the candidates of a decision: the largest of probability over noise is the token that is drawn.

Two implementations that round differently may draw different tokens where two candidates score the same. These numbers
tell whether a first difference is such a tie.
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
    """Return probability over noise of every candidate of one decision; greedy, the probability alone.

    Args:
        model: The network.
        utterance: What is spoken.
        tokens: More than ``step`` tokens of the vocabulary; those from ``step`` on have no effect.
        step: Which decision.

    Returns:
        float32 (vocabulary,): the largest one is drawn; 0 for tokens that the head does not have.
    """
    logits = model.logits(utterance, tokens[: step + 1])[-1]
    params = model.params(utterance)
    sampler = Sampler(model.recipe, 1, logits.device)
    sampler.set(0, params, 0, model.outputs.of_tokens([*utterance.ids, *tokens[:step]]))
    p = sampler.probabilities(logits[None], torch.tensor([step], device=logits.device))[0]
    scores = p.new_zeros(model.outputs.vocabulary)
    scores[torch.tensor(list(model.outputs.ids), device=p.device)] = p
    return scores if params.greedy else scores / _noise(model, utterance, step)


def _noise(model: SpeechLM, utterance: Utterance, step: int) -> Tensor:
    """Return the noise of a decision: every draw before it has advanced the generator by a whole vocabulary."""
    device, width = model.decoder.device, model.outputs.vocabulary
    source = model.noise()
    source.reseed(0, utterance.seed)
    if isinstance(source, HashedNoise):
        return source.at(torch.tensor([step], device=device), torch.arange(width, device=device))[0]
    noise = torch.empty(1, width, device=device)
    for _ in range(step + 1):
        source.fill(noise)
    return noise[0]
