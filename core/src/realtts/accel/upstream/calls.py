"""Upstream's functions, called without what they do beside their work.

Their loops print, count and draw by names of their modules, and from torch's own generator; they cannot be stopped, and
they warn about their own internals.
"""

from __future__ import annotations

import contextlib
import logging
import types as python_types
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from realtts.contract.stages import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

__all__ = ["GivenDraws", "quiet", "seeded", "stopping", "with_names"]

_UPSTREAM_WARNINGS = (FutureWarning, DeprecationWarning, UserWarning, SyntaxWarning, RuntimeWarning)


class GivenDraws(TorchFunctionMode):
    """A mode in which `torch.multinomial` returns the tokens of a list, and the noise advances as if it had drawn them.

    After the end of the list the best token is returned.

    Args:
        tokens: One for each draw of a single row.

    Attributes:
        scores: Of the last draw, (candidates,): torch draws the largest of probability over exponential noise.
    """

    def __init__(self, tokens: Sequence[int]) -> None:
        super().__init__()
        self._tokens, self._step = list(tokens), 0
        self.scores: Tensor | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation of torch; `torch.multinomial` returns the next token of the list."""
        if func is not torch.multinomial:
            return func(*args, **(kwargs or {}))
        p = args[0]
        self.scores = (p / torch.empty_like(p).exponential_(1))[0]
        drawn = self._tokens[self._step] if self._step < len(self._tokens) else int(self.scores.argmax())
        self._step += 1
        return torch.full((1, 1), drawn, dtype=torch.int64, device=p.device)


def with_names(function: Any, **names: Any) -> Any:
    """Return a copy of a function, without its outermost decorator, with other values for some globals of its module.

    So ``print`` can be silenced and noise can be given, while nothing of the module is changed.

    Args:
        function: Written in Python.
        names: Global name -> the value that the copy sees.
    """
    plain = getattr(function, "__wrapped__", function)
    scope = {**plain.__globals__, **names}
    other = python_types.FunctionType(plain.__code__, scope, plain.__name__, plain.__defaults__, plain.__closure__)
    other.__kwdefaults__ = plain.__kwdefaults__
    return other


@contextlib.contextmanager
def seeded(device: str, seed: int) -> Iterator[None]:
    """Seed torch's global generator of the device for the body, and restore its state afterwards.

    Not to be held across a ``yield`` of a stage: other code would draw from the seeded generator.
    """
    kind = torch.device(device)
    if kind.type == "cuda":
        index = torch.cuda.current_device() if kind.index is None else kind.index  # type: ignore[redundant-expr]
        generator = torch.cuda.default_generators[index]
    else:
        generator = torch.default_generator if kind.type == "cpu" else torch.mps._get_default_mps_generator()
    state = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)


@contextlib.contextmanager
def stopping(network: nn.Module, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Raise `Cancelled` at the network's next call in the body once the request is cancelled.

    Args:
        network: What upstream's loop calls once in each step.
        cancelled: Read before every call.
    """

    def before(*_: Any) -> None:
        if cancelled():
            raise Cancelled

    handle = network.register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress, in the body, warnings about upstream's own internals, and what transformers logs below errors."""
    transformers = logging.getLogger("transformers")
    level = transformers.level
    transformers.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for kind in _UPSTREAM_WARNINGS:
                warnings.simplefilter("ignore", kind)
            yield
    finally:
        transformers.setLevel(level)
