"""Replay of given codes: the logits that they were drawn from, and the scores of all candidates of one decision.

Two implementations that round differently may draw different codes where two candidates have the same score. These
numbers tell whether a first difference is such a tie.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.sampling import Sampler
from realtts.accel.upstream.calls import GivenDraws
from realtts.contract.stages import never

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from realtts_qwen3.network import Talker
    from realtts_qwen3.reference import Upstream
    from realtts_qwen3.utterance import Utterance

__all__ = ["logits_along", "scores_at"]


def logits_along(networks: Upstream, utterance: Utterance, codes: Tensor) -> Tensor:
    """Compute the logits that upstream's networks would draw given codes from, before any processor.

    Upstream's own loop runs; only the draw itself is replaced, by the given code.

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

    def record(place: int) -> Callable[[Any, Any, Tensor], None]:
        return lambda _, __, logits: rows[place].append(logits[0, -1].float().clone())

    handles = [head.register_forward_hook(record(place)) for place, head in enumerate(heads)]
    drawing = replace(
        utterance, max_frames=len(codes), forced=True, talker=replace(utterance.talker, greedy=False),
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
    """Compute probability over noise of every candidate of one decision; a greedy decision has no noise.

    Args:
        talker: The network.
        utterance: What is spoken.
        codes: int64 (more than ``frame``, 16): what was drawn before; from the decision on it has no effect.
        frame: Index of the frame.
        group: Index of the code in the frame.

    Returns:
        float32 (candidates,): the candidate with the largest one is drawn.
    """
    logits = talker.logits(utterance, codes[: frame + 1])
    params = talker.params(utterance)[min(group, 1)]
    sampler = Sampler(talker.recipes[min(group, 1)], 1, logits.first.device)
    sampler.set(0, params, 0, codes[:frame, 0].tolist() if group == 0 else ())
    row = logits.first[frame] if group == 0 else logits.others[frame, group - 1]  # (candidates,)
    p = sampler.probabilities(row[None], torch.tensor([frame], device=row.device))[0]
    return p if params.greedy else p / _noise(talker, utterance, frame, group).to(p.device)


def _noise(talker: Talker, utterance: Utterance, frame: int, group: int) -> Tensor:
    """Draw the noise of one decision, after all draws before it, which move the generator on."""
    device = talker.decoder.device
    generator = torch.Generator(device)
    generator.manual_seed(utterance.seed)
    first, others = talker.params(utterance)
    widths = [recipe.vocabulary for recipe in talker.recipes]
    drawn = torch.empty(0, device=device)
    for step in range(frame * 16 + group + 1):
        network = min(step % 16, 1)  # 0: the talker, 1: the code predictor
        if not (first, others)[network].greedy:
            drawn = torch.empty(widths[network], device=device).exponential_(generator=generator)
    return drawn
