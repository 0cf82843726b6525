"""Sampling parameters of a request (`SamplingParams`), and what a model fixes (`SamplingRecipe`)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from realtts.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

__all__ = ["PROCESSORS", "SamplingParams", "SamplingRecipe"]

PROCESSORS = ("guidance", "suppress", "repetition_penalty", "temperature", "top_k", "top_p", "min_p")
"""The processors that a recipe can order, each at most once."""


class _Range(NamedTuple):
    low: float
    high: float
    low_open: bool = False

    def allows(self, value: Any) -> bool:
        ok = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        return ok and self.low <= value <= self.high and not (self.low_open and value == self.low)

    def __str__(self) -> str:
        return f"{'above' if self.low_open else 'at least'} {self.low:g} and at most {self.high:g}"


_RANGES = {
    "temperature": _Range(1e-4, 1e4),
    "top_k": _Range(0, 2**31),
    "top_p": _Range(0.0, 1.0, low_open=True),
    "min_p": _Range(0.0, 1.0),
    "repetition_penalty": _Range(1e-4, 1e4),
    "guidance": _Range(-1e4, 1e4),
    "min_new_tokens": _Range(0, 2**31),
}


@dataclass(frozen=True)
class SamplingParams:
    """Sampling parameters of one row; the defaults draw from the model's own distribution.

    Attributes:
        temperature: Divides the logits; at least 0.0001.
        top_k: Keep this many of the most probable tokens, ties with the last one included; 0 keeps all.
        top_p: Keep the most probable tokens that together reach this probability; 1 keeps all.
        min_p: Keep tokens of at least this share of the most probable one's probability; 0 keeps all.
        repetition_penalty: Divides positive and multiplies negative logits of tokens in the history; 1 does nothing.
        guidance: Weight of classifier-free guidance.
        min_new_tokens: Stop tokens cannot be drawn before this many tokens.
        greedy: Take the most probable token instead of drawing.
        stop_tokens: Tokens that end the row; None: those of the recipe.

    Raises:
        InvalidOption: A value out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    guidance: float = 0.0
    min_new_tokens: int = 0
    greedy: bool = False
    stop_tokens: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name, allowed in _RANGES.items():
            value = getattr(self, name)
            if not allowed.allows(value) or (name in {"top_k", "min_new_tokens"} and value != int(value)):
                raise InvalidOption(f"{name} is {value!r}", who="sampling", fix=f"give a number {allowed}")


@dataclass(frozen=True)
class SamplingRecipe:
    """The order and the bounds of a model's logits processors: what is compiled and captured.

    Attributes:
        vocabulary: Number of logits.
        order: Names from `PROCESSORS` and of ``own``, in the order in which they are applied. What is not named is not
            available: its parameters have no effect.
        stop_tokens: Ids that end a row.
        suppressed: Ids that are never drawn; needs ``"suppress"`` in the order.
        guidance: ``"conditional"``: ``c + w (c - u)``, as Chatterbox; ``"unconditional"``: ``u + w (c - u)``, as
            transformers. With ``"guidance"`` in the order, logits come as all conditional rows, then all unconditional.
        penalty_window: Only so many of the latest tokens are in the penalty's history; None: all of them.
        noise_width: Width of the noise that each draw takes, when the reference draws for a wider vocabulary.
        noise_ids: Ids in that width of each logit; required with another width.
        max_top_k: Largest ``top_k`` that needs no new graph.
        narrow: After ``"top_k"``, go on with the kept candidates only; exact up to rounding of the normalisation, and
            much faster for a large vocabulary. Rows without ``top_k`` are drawn from all tokens.
        own: The model's own processors by name: they take scores (n, vocabulary), the step (n,) and the numbers of the
            rows that are drawn, int64 (n,), for what they hold of each row; they return scores. They run inside the
            captured step: fixed shapes, no host values.
    """

    vocabulary: int
    order: tuple[str, ...] = ("suppress", "repetition_penalty", "temperature", "top_k", "top_p", "min_p")
    stop_tokens: tuple[int, ...] = ()
    suppressed: tuple[int, ...] = ()
    guidance: Literal["conditional", "unconditional"] = "conditional"
    penalty_window: int | None = None
    noise_width: int | None = None
    noise_ids: tuple[int, ...] | None = None
    max_top_k: int = 64
    narrow: bool = False
    own: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "own", MappingProxyType(dict(self.own)))
        for name in ("vocabulary", "max_top_k", "penalty_window"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise _invalid(f"{name} is {value!r}", "give at least 1")
        self._check_order()
        if taken := sorted(set(self.own) & set(PROCESSORS)):
            raise _invalid(f"own names {taken[0]!r}", "choose a name that is not one of the processors'")
        for name in ("stop_tokens", "suppressed"):
            if any(not 0 <= token < self.vocabulary for token in getattr(self, name)):
                raise _invalid(f"{name} is {getattr(self, name)!r}", f"give ids below {self.vocabulary}")
        ids, width = self.noise_ids, self.noise_width or self.vocabulary
        fits = ids is not None and len(ids) == self.vocabulary and all(0 <= token < width for token in ids)
        if not fits and (ids is not None or width != self.vocabulary):
            raise _invalid("noise_ids does not fit noise_width", "give one id below noise_width for each logit")

    def _check_order(self) -> None:
        names = (*PROCESSORS, *self.own)
        wrong = [name for name in self.order if name not in names]
        if wrong or len(set(self.order)) != len(self.order):
            raise _invalid(f"order is {self.order!r}", f"name each of {', '.join(names)} at most once")
        if "guidance" in self.order[1:]:
            raise _invalid(f"order is {self.order!r}", "put guidance first: all others see one row per stream")
        if self.suppressed and "suppress" not in self.order:
            raise _invalid("suppressed tokens, but order has no 'suppress'", "add 'suppress' to the order")
        before = self.order[: self.order.index("top_k")] if "top_k" in self.order else ()
        if self.narrow and ("top_k" not in self.order or not set(self.own) & set(self.order) <= set(before)):
            raise _invalid(
                "narrow needs top_k, and the model's own processors before it", "reorder, or set narrow=False"
            )


def _invalid(what: str, fix: str) -> InvalidOption:
    return InvalidOption(what, who="sampling recipe", fix=fix)
