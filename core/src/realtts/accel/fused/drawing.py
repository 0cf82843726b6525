"""Tokens from logits: what a model fixes about them, and the draw itself, each in one launch and without a sort."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from realtts.accel.fused.cache import power_of_two
from realtts.accel.fused.registry import register

__all__ = ["KINDS", "MOST_TOKENS", "Filters", "draw", "filtered", "guide"]

MOST_TOKENS = 16384
"""Tokens of a row that the kernel holds at once."""

KINDS = ("repetition_penalty", "temperature", "top_k", "top_p", "min_p")
"""Processors that the kernel knows, by their digits from 1 on."""

_BLOCK = 1024
_NEVER = float("-inf")


@dataclass(frozen=True)
class Filters:
    """Parameters of processors as tensors, each (n, 1) and float32 where nothing else is said; None: not in the order.

    Attributes:
        order: Octal digits of the processors, the first one lowest: 1 is the first of `KINDS`.
        seen: bool (rows of all, vocabulary + 1): tokens that the penalty is for.
        rows: int64 (n,): rows of `seen`.
        penalty: Of the repetition penalty.
        temperature: Divides.
        top_k: int64.
        rest: 1 - top p.
        min_p: Share of the most probable one.
    """

    order: int
    seen: torch.Tensor | None = None
    rows: torch.Tensor | None = None
    penalty: torch.Tensor | None = None
    temperature: torch.Tensor | None = None
    top_k: torch.Tensor | None = None
    rest: torch.Tensor | None = None
    min_p: torch.Tensor | None = None

    @property
    def arguments(self) -> tuple[object, ...]:
        """In the order of the operations' signatures."""
        return (
            self.order, self.seen, self.rows, self.penalty, self.temperature, self.top_k, self.rest, self.min_p,
        )  # fmt: skip


# -- guidance ----------------------------------------------------------------------------------------------------------


def _guide_plain(
    logits: torch.Tensor,
    weight: torch.Tensor | None,
    unconditional: bool,
    step: torch.Tensor,
    least: torch.Tensor | None,
    stops: torch.Tensor | None,
    suppressed: torch.Tensor | None,
) -> torch.Tensor:
    scores = logits.float().clone()
    if weight is not None:
        one, other = scores.chunk(2)
        scores = (other if unconditional else one) + weight * (one - other)
    if least is not None and stops is not None:
        scores = scores.masked_fill((step[:, None] < least) & stops, _NEVER)
    return scores if suppressed is None else scores.masked_fill(suppressed, _NEVER)


def _guide_launch(
    logits: torch.Tensor,
    weight: torch.Tensor | None,
    unconditional: bool,
    step: torch.Tensor,
    least: torch.Tensor | None,
    stops: torch.Tensor | None,
    suppressed: torch.Tensor | None,
) -> torch.Tensor:
    from realtts.accel.fused.kernels.drawing import guide as kernel

    logits, out = logits.contiguous(), _scores(logits, weight)
    rows, tokens = out.shape
    kernel[(rows, -(-tokens // _BLOCK))](
        logits, weight, step, least, stops, suppressed, out, rows, tokens,
        UNCONDITIONAL=int(unconditional), TOKENS=_BLOCK, num_warps=4,
    )  # fmt: skip
    return out


def _scores(logits: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    rows = len(logits) if weight is None else len(logits) // 2
    return logits.new_empty(rows, logits.shape[1], dtype=torch.float32)


def _logits(rows: int, tokens: int, device: torch.device) -> torch.Tensor:
    return torch.linspace(-3, 3, rows * tokens, device=device).mul_(29).sin_().mul_(4).view(rows, tokens)


def _guide_sample(device: torch.device, dtype: torch.dtype) -> tuple[object, ...]:
    stops = torch.zeros(2, 50, dtype=torch.bool, device=device)
    stops[:, 7] = True
    suppressed = torch.zeros(50, dtype=torch.bool, device=device)
    suppressed[40:] = True
    return (
        _logits(4, 50, device).to(dtype), torch.tensor([[0.5], [1.5]], device=device), False,
        torch.tensor([0, 4], device=device), torch.tensor([[2], [2]], device=device), stops, suppressed,
    )  # fmt: skip


_GUIDE = register(
    "guide",
    plain=_guide_plain,
    launch=_guide_launch,
    fake=lambda logits, weight, *_rest: _scores(logits, weight),
    sample=_guide_sample,
)


def guide(
    logits: torch.Tensor,
    step: torch.Tensor,
    *,
    weight: torch.Tensor | None = None,
    unconditional: bool = False,
    least: torch.Tensor | None = None,
    stops: torch.Tensor | None = None,
    suppressed: torch.Tensor | None = None,
) -> torch.Tensor:
    """Apply guidance, then hold back early ends, then suppress tokens.

    Args:
        logits: (n, vocabulary), or with guidance (2 n, vocabulary), the conditional rows first.
        step: int64 (n,): tokens that each row has drawn.
        weight: Of guidance, float32 (n, 1), or None.
        unconditional: Whether guidance starts from the unconditional rows.
        least: int64 (n, 1): tokens before which a row cannot end; with ``stops``.
        stops: bool (n, vocabulary): tokens that end a row.
        suppressed: bool (vocabulary,): tokens that are never drawn.

    Returns:
        float32 (n, vocabulary).
    """
    result: torch.Tensor = _GUIDE.call(logits, weight, unconditional, step, least, stops, suppressed)
    return result


# -- filters and the draw ----------------------------------------------------------------------------------------------


def _filtered_plain(
    scores: torch.Tensor,
    order: int,
    seen: torch.Tensor | None,
    rows: torch.Tensor | None,
    penalty: torch.Tensor | None,
    temperature: torch.Tensor | None,
    top_k: torch.Tensor | None,
    rest: torch.Tensor | None,
    min_p: torch.Tensor | None,
) -> torch.Tensor:
    scores = scores.clone()
    for kind in kinds_of(order):
        if kind == "repetition_penalty" and seen is not None and rows is not None and penalty is not None:
            marked = seen.index_select(0, rows)[:, :-1]
            scores = torch.where(marked, torch.where(scores < 0, scores * penalty, scores / penalty), scores)
        elif kind == "temperature" and temperature is not None:
            scores = scores / temperature
        elif kind == "top_k" and top_k is not None:
            ordered = scores.sort(-1, descending=True).values
            kth = ordered.gather(1, top_k.clamp(1, scores.shape[1]) - 1)
            scores = scores.masked_fill((top_k > 0) & (scores < kth), _NEVER)
        elif kind == "top_p" and rest is not None:
            scores = _nucleus(scores, rest)
        elif kind == "min_p" and min_p is not None:
            p = scores.softmax(-1)
            scores = scores.masked_fill(p < min_p * p.amax(-1, keepdim=True), _NEVER)
    return scores


def _nucleus(scores: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """Keep the nucleus; of tokens with one score all are kept or none."""
    ascending, order = scores.sort(-1)
    below = ascending.softmax(-1).cumsum(-1)
    # A token goes with those that tie with it: what counts is the sum behind the last of them.
    last = torch.searchsorted(ascending.contiguous(), ascending.contiguous(), right=True) - 1
    improbable = below.gather(1, last) <= rest
    improbable &= ascending < ascending[:, -1:]
    removed = torch.zeros_like(improbable).scatter(1, order, improbable)
    return scores.masked_fill(removed & (rest > 0), _NEVER)


def _draw_plain(
    scores: torch.Tensor,
    noise: torch.Tensor,
    greedy: torch.Tensor,
    order: int,
    seen: torch.Tensor | None,
    rows: torch.Tensor | None,
    penalty: torch.Tensor | None,
    temperature: torch.Tensor | None,
    top_k: torch.Tensor | None,
    rest: torch.Tensor | None,
    min_p: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    left = _filtered_plain(scores, order, seen, rows, penalty, temperature, top_k, rest, min_p)
    drawn = (left.softmax(-1) / noise).argmax(-1)
    return torch.where(greedy[:, 0], left.argmax(-1), drawn), ~left.amax(-1).isfinite()


def kinds_of(order: int) -> list[str]:
    """Return the names of an order's processors, the first one first."""
    names = []
    while order:
        names.append(KINDS[(order & 7) - 1])
        order >>= 3
    return names


def _filtered_launch(
    scores: torch.Tensor,
    order: int,
    seen: torch.Tensor | None,
    rows: torch.Tensor | None,
    penalty: torch.Tensor | None,
    temperature: torch.Tensor | None,
    top_k: torch.Tensor | None,
    rest: torch.Tensor | None,
    min_p: torch.Tensor | None,
) -> torch.Tensor:
    out = torch.empty_like(scores)
    _run(scores, None, None, order, (seen, rows, penalty, temperature, top_k, rest, min_p), (out, None, None))
    return out


def _draw_launch(
    scores: torch.Tensor,
    noise: torch.Tensor,
    greedy: torch.Tensor,
    order: int,
    seen: torch.Tensor | None,
    rows: torch.Tensor | None,
    penalty: torch.Tensor | None,
    temperature: torch.Tensor | None,
    top_k: torch.Tensor | None,
    rest: torch.Tensor | None,
    min_p: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    tokens, broken = _drawn(scores)
    _run(
        scores, noise.contiguous(), greedy, order, (seen, rows, penalty, temperature, top_k, rest, min_p),
        (None, tokens, broken),
    )  # fmt: skip
    return tokens, broken


def _run(
    scores: torch.Tensor,
    noise: torch.Tensor | None,
    greedy: torch.Tensor | None,
    order: int,
    parameters: tuple[torch.Tensor | None, ...],
    outputs: tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None],
) -> None:
    from realtts.accel.fused.kernels.drawing import draw as kernel

    rows, tokens = scores.shape
    seen = parameters[0]
    width = power_of_two(tokens)
    kernel[(rows,)](
        scores.contiguous(), noise, greedy, *parameters, *outputs, tokens, 0 if seen is None else seen.stride(0),
        ORDER=order, COUNT=len(kinds_of(order)), TOKENS=width, num_warps=max(1, min(16, width // 512)),
    )  # fmt: skip


def _drawn(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return scores.new_empty(len(scores), dtype=torch.int64), scores.new_empty(len(scores), dtype=torch.bool)


def order_of(kinds: list[str]) -> int:
    """Return some of `KINDS` as octal digits, the first one lowest."""
    return sum((KINDS.index(kind) + 1) << (3 * at) for at, kind in enumerate(kinds))


def _sample(device: torch.device) -> tuple[torch.Tensor, Filters]:
    def column(*values: float) -> torch.Tensor:
        return torch.tensor(values, device=device)[:, None]

    seen = torch.zeros(4, 51, dtype=torch.bool, device=device)
    seen[1:3, 3:20] = True
    filters = Filters(
        order=order_of(["repetition_penalty", "temperature", "top_k", "min_p", "top_p"]), seen=seen,
        rows=torch.tensor([2, 0, 1], device=device), penalty=column(1.2, 1.0, 1.3), temperature=column(0.8, 1.0, 1.5),
        top_k=torch.tensor([[20], [0], [5]], device=device), rest=column(0.1, 0.0, 0.3), min_p=column(0.05, 0.0, 0.01),
    )  # fmt: skip
    return _logits(3, 50, device), filters


def _filtered_sample(device: torch.device, _dtype: torch.dtype) -> tuple[object, ...]:
    scores, filters = _sample(device)
    return scores, *filters.arguments


def _draw_sample(device: torch.device, _dtype: torch.dtype) -> tuple[object, ...]:
    scores, filters = _sample(device)
    noise = torch.linspace(0.1, 5, 150, device=device).mul_(31).cos_().abs_().add_(0.1).view(3, 50)
    return scores, noise, torch.tensor([[False], [True], [False]], device=device), *filters.arguments


_FILTERED = register(
    "filtered",
    plain=_filtered_plain,
    launch=_filtered_launch,
    fake=lambda scores, *_rest: torch.empty_like(scores),
    sample=_filtered_sample,
)

_DRAW = register(
    "draw", plain=_draw_plain, launch=_draw_launch, fake=lambda scores, *_rest: _drawn(scores), sample=_draw_sample
)


def filtered(scores: torch.Tensor, filters: Filters) -> torch.Tensor:
    """Process scores, float32 (n, vocabulary)."""
    result: torch.Tensor = _FILTERED.call(scores, *filters.arguments)
    return result


def draw(
    scores: torch.Tensor, noise: torch.Tensor, greedy: torch.Tensor, filters: Filters
) -> tuple[torch.Tensor, torch.Tensor]:
    """Process scores and draw a token from each row.

    Args:
        scores: float32 (n, vocabulary).
        noise: Exponential noise of rate 1, float32 (n, vocabulary).
        greedy: bool (n, 1): rows whose most probable token is taken.
        filters: Parameters.

    Returns:
        Tokens, int64 (n,), and which rows' scores were not finite, bool (n,).
    """
    tokens, broken = _DRAW.call(scores, noise, greedy, *filters.arguments)
    return tokens, broken
