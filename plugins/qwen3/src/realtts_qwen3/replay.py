"""Decisions looked at again: what given codes were drawn from, and what a code would have to be worth to be drawn.

Two implementations that round differently may draw another code where two candidates are worth the same. Whether a
first difference is such a tie, these numbers say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.sampling import Sampler
from realtts.accel.upstream.upstream import GivenDraws
from realtts.contract.stages import never

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from realtts_qwen3.network import Talker
    from realtts_qwen3.reference import Upstream
    from realtts_qwen3.utterance import Utterance

__all__ = ["logits_along", "scores_at"]


def logits_along(networks: Upstream, utterance: Utterance, codes: Tensor) -> Tensor:
    """What each of the given codes was drawn from by upstream's networks, before any processor.

    Upstream's loop runs as ever; only the draw itself is answered here, with the given code in place of the drawn one.

    Args:
        networks: Upstream's.
        utterance: What is spoken.
        codes: int64 (frames, 16), at least one frame.

    Returns:
        float32 (frames, 3072 + 15 * 2048): the talker's, then the code predictor's in their order.
    """
    talker = networks.model.talker
    heads = [talker.codec_head, *talker.code_predictor.lm_head]
    rows: list[list[Tensor]] = [[] for _ in heads]

    def keep(place: int) -> Callable[[Any, Any, Tensor], None]:
        return lambda _, __, logits: rows[place].append(logits[0, -1].float().clone())

    handles = [head.register_forward_hook(keep(place)) for place, head in enumerate(heads)]
    drawing = replace(
        utterance, most=len(codes), forced=True, talker=replace(utterance.talker, greedy=False),
        predictor=replace(utterance.predictor, greedy=False),
    )  # fmt: skip
    try:
        with GivenDraws(codes.flatten().tolist()):
            networks.draw(drawing, never)
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat([torch.stack(row[: len(codes)]) for row in rows], 1)


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
