"""Upstream's networks along frames that are given: what each of their codes was drawn from.

Upstream's loop runs as ever; only the draw itself is answered here, with the given code in place of the drawn one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from realtts_qwen3.frontend import Ask
    from realtts_qwen3.reference import Upstream
    from realtts_qwen3.voices import VoicePrompt

__all__ = ["logits_along"]


def logits_along(networks: Upstream, ask: Ask, prompt: VoicePrompt | None, codes: Tensor) -> Tensor:
    """What each code was drawn from, before any processor.

    Args:
        networks: Upstream's.
        ask: The request.
        prompt: Of its voice.
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
        ask, most=len(codes), forced=True, talker=replace(ask.talker, greedy=False),
        predictor=replace(ask.predictor, greedy=False),
    )  # fmt: skip
    try:
        with _Given(codes):
            networks.draw(drawing, prompt, lambda: False)
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat([torch.stack(row[: len(codes)]) for row in rows], 1)


class _Given(TorchFunctionMode):
    """Inside it, `torch.multinomial` gives the codes of a list."""

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self._codes, self._step = codes.flatten().tolist(), 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not torch.multinomial:
            return func(*args, **(kwargs or {}))
        code = self._codes[self._step] if self._step < len(self._codes) else 0
        self._step += 1
        return torch.full((1, 1), code, dtype=torch.int64, device=args[0].device)
