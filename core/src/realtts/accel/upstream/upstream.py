"""Upstream's own classes and functions, used without what their packages do around them.

Packages of models build their networks with random weights first and copy the file's over them, so that all weights lie
in memory twice; their loops print, count and draw by names of their modules, and from torch's own generator; and they
warn of what is their own affair.
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
from realtts.kit.reading import FIX, check_names, check_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from torch import Tensor, nn

    from realtts.accel.weights.tensorfile import State

__all__ = ["GivenDraws", "Unfilled", "fill", "put_tensor", "quiet", "seeded", "stopping", "with_names"]

_AFFAIRS = (FutureWarning, DeprecationWarning, UserWarning, SyntaxWarning, RuntimeWarning)


class Unfilled(TorchFunctionMode):
    """Inside it, uninitialised memory is of the device "meta", so that filling it with random numbers does nothing.

    What constructors compute (positions, windows, frequencies, filters) is computed as ever.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """As torch asks for every operation."""
        kwargs = kwargs or {}
        if func is torch.empty:
            return func(*args, **{**kwargs, "device": "meta"})
        if getattr(func, "__name__", "") == "__set__" and len(args) == 2 and args[0].is_meta and not args[1].is_meta:
            return func(args[0], args[1].to("meta"))
        return func(*args, **kwargs)


class GivenDraws(TorchFunctionMode):
    """Inside it, `torch.multinomial` gives the tokens of a list, and the noise advances as if it had drawn them.

    Behind the list the best token is given.

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
        """As torch asks for every operation."""
        if func is not torch.multinomial:
            return func(*args, **(kwargs or {}))
        p = args[0]
        self.scores = (p / torch.empty_like(p).exponential_(1))[0]
        drawn = self._tokens[self._step] if self._step < len(self._tokens) else int(self.scores.argmax())
        self._step += 1
        return torch.full((1, 1), drawn, dtype=torch.int64, device=p.device)


def put_tensor(network: nn.Module, name: str, tensor: Tensor) -> None:
    """Replace one parameter or buffer; not all by `load_state_dict`, so that never two copies of all are in memory.

    Args:
        network: Such as was made inside `Unfilled`.
        name: As in its state dict.
        tensor: What takes the place.
    """
    path, _, last = name.rpartition(".")
    owner = network.get_submodule(path)
    is_parameter = isinstance(getattr(owner, last), torch.nn.Parameter)
    setattr(owner, last, torch.nn.Parameter(tensor, requires_grad=False) if is_parameter else tensor)


def with_names(function: Any, **names: Any) -> Any:
    """The function's own code, without its outermost decorator, in which some names of its module mean something else.

    So ``print`` can be silence and noise can be given, while nothing of the module is changed.

    Args:
        function: Written in Python.
        names: Name -> what it shall be.
    """
    plain = getattr(function, "__wrapped__", function)
    scope = {**plain.__globals__, **names}
    other = python_types.FunctionType(plain.__code__, scope, plain.__name__, plain.__defaults__, plain.__closure__)
    other.__kwdefaults__ = plain.__kwdefaults__
    return other


def fill(
    network: nn.Module,
    state: State,
    device: str,
    who: str,
    *,
    computed: tuple[str, ...] = (),
    spare: Collection[str] = (),
    prefix: str = "",
    fix: str = FIX,
) -> None:
    """Give a network all tensors of a state, in float32, and make it ready for inference.

    Args:
        network: Such as was made inside `Unfilled`.
        state: Tensors by the network's names; read one at a time.
        device: Where the network shall lie.
        who: The file, for messages.
        computed: Ends of names of buffers that may be missing in the state, if the constructor computed them.
        spare: Names that may be in the state, and are not used.
        prefix: Of the names in the state that are the network's; others are not looked at.
        fix: What errors advise.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
        CheckpointCorrupt: A tensor cannot be read.
    """
    wanted = network.state_dict()
    names = [name[len(prefix) :] for name in state if name.startswith(prefix)]
    check_names(names, wanted, who, computed=computed, spare=spare, prefix=prefix, fix=fix)
    for name in sorted(wanted.keys() & names):
        tensor = state[prefix + name]
        check_shape(prefix + name, tensor.shape, wanted[name].shape, who, fix)
        put_tensor(network, name, tensor.to(device, torch.float32 if tensor.is_floating_point() else tensor.dtype))
    network.to(device).requires_grad_(requires_grad=False).eval()


@contextlib.contextmanager
def seeded(device: str, seed: int) -> Iterator[None]:
    """Inside, torch's own generator of the device begins at the seed; outside nobody notices.

    Not to be held across a ``yield`` of a stage: others would meet the generator as it is inside.
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
    """Inside, a loop that calls the network ends with `Cancelled` at its next call once the request is cancelled.

    Args:
        network: What the loop calls once in each step.
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
    """Inside, warnings that are upstream's own affair do not reach the user, nor does what transformers logs of it."""
    transformers = logging.getLogger("transformers")
    level = transformers.level
    transformers.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for kind in _AFFAIRS:
                warnings.simplefilter("ignore", kind)
            yield
    finally:
        transformers.setLevel(level)
