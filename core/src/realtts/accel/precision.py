"""Types of a model's parts by name and by class, and a check for NaN.

Weights are cast once. Where a part in float32 (an *island*) lies inside a part in half precision, hooks of torch's own
kind cast what goes in and what comes out; no ``forward`` is touched, and `Precision.remove` takes the hooks away.

Switch: the setting ``dtype="float32"`` (``REALTTS_DTYPE=float32``), with which everything is float32 and there are no
hooks.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from realtts.accel.finite import check_finite
from realtts.errors import AccelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch.utils.hooks import RemovableHandle

__all__ = ["ISLANDS", "NORMS", "Precision", "Rule", "apply_policy", "check_finite", "name_of"]

_FIX = "set dtype='float32' (REALTTS_DTYPE=float32)"
_CASTABLE = frozenset({torch.float32, torch.bfloat16, torch.float16})
"""float64, complex, 8-bit floats, integers and booleans are what somebody chose on purpose: they stay."""


@dataclass(frozen=True)
class Rule:
    """Parts of a model that get a type of their own.

    Attributes:
        dtype: The type, a ``torch.dtype`` or its name.
        names: Patterns (``*``, ``?``) of the dotted name, or of its last part alone. Case does not matter.
        types: Classes of modules, or patterns of their names.
    """

    dtype: torch.dtype | str = torch.float32
    names: tuple[str, ...] = ()
    types: tuple[type[nn.Module] | str, ...] = ()

    def matches(self, name: str, module: nn.Module) -> bool:
        """Return whether the rule matches a module."""
        lowered = name.lower()
        last = lowered.rpartition(".")[2]
        if any(fnmatch.fnmatchcase(part, pattern.lower()) for pattern in self.names for part in (lowered, last)):
            return True
        kind = type(module).__name__.lower()
        return any(
            fnmatch.fnmatchcase(kind, rule.lower()) if isinstance(rule, str) else isinstance(module, rule)
            for rule in self.types
        )


ISLANDS = (
    Rule(
        torch.float32,
        names=("*stft*", "*fft", "mel", "mel_spec*", "*melspec*", "mel_fb", "mel_basis", "*tokenizer*", "rotary*"),
        types=("*stft*", "*spectrogram*", "*melscale*", "*mfcc*", "*tokenizer*", "*rotary*"),
    ),
)
"""What half precision breaks in every speech model: Fourier and mel transforms, speech tokenizers, rotary angles.

Patterns are of whole words on purpose: an embedding of tokens is no tokenizer, and an ``FFTBlock`` is a transformer.
Sources of a vocoder, speaker encoders and the like have no common name: give a `Rule` of your own.
"""

NORMS = (Rule(torch.float32, types=("*norm", "*norm1d", "*norm2d")),)
"""Normalization layers, for models that need them in float32."""


@dataclass
class Precision:
    """What `apply_policy` did.

    Attributes:
        dtypes: Name of each module that holds weights or lies at a border -> type; ``""`` is the model itself.
        islands: Names of the modules at which the type changes.
        untouched: Names of tensors that were left as they are (integers, booleans, float64, complex, 8-bit).
        nbytes: Bytes of all parameters and buffers now.
    """

    dtypes: dict[str, str] = field(default_factory=dict)
    islands: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()
    nbytes: int = 0
    _handles: list[RemovableHandle] = field(default_factory=list, repr=False)
    _originals: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list, repr=False)
    _seen: set[int] = field(default_factory=set, repr=False)
    _kept: bool = field(default=False, repr=False)

    @property
    def can_undo(self) -> bool:
        """Whether the tensors from before the cast are still kept."""
        return self._kept

    def remove(self) -> None:
        """Take the hooks away; the weights stay as they were cast."""
        while self._handles:
            self._handles.pop().remove()

    def undo(self) -> None:
        """Take the hooks away and give every tensor its old value, if `apply_policy` was told to keep them.

        Raises:
            AccelError: It was not.
        """
        if not self._kept:
            raise AccelError("the weights before the cast were not kept", who="precision", fix="pass keep=True")
        self.remove()
        for tensor, original in self._originals:
            tensor.data = original
        self.forget()

    def forget(self) -> None:
        """Free what ``keep=True`` has kept; there is no way back then."""
        self._originals.clear()
        self._kept = False

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, for the status."""
        return {
            "dtypes": dict(self.dtypes),
            "islands": list(self.islands),
            "untouched": list(self.untouched),
            "bytes": self.nbytes,
        }


def apply_policy(
    module: nn.Module,
    policy: Sequence[Rule] = ISLANDS,
    dtype: torch.dtype | str = torch.float32,
    *,
    keep: bool = False,
) -> Precision:
    """Cast a model's floating-point weights and buffers, part by part.

    A module has the type of the first rule that matches it, else that of the module around it; the model itself has
    ``dtype``. Tied weights stay tied. Hooks fire when a part is *called*: a part of which the model calls another
    method, or whose weights it reads, must be given its input in the right type by the model.

    Args:
        module: The model; its tensors are replaced in place, its parameters stay the same objects.
        policy: Rules, the first that matches wins.
        dtype: The type of everything else. ``float32`` is the switch: the policy is not looked at.
        keep: Keep the old tensors, so that `Precision.undo` can bring them back. Costs their memory until `forget`.

    Returns:
        What went where, with the means to undo it.

    Raises:
        AccelError: A weight is shared by two parts of different types; nothing was changed.
    """
    base = _as_dtype(dtype)
    parts = list(_walk(module, "", () if base is torch.float32 else tuple(policy), base, None))
    _refuse_shared(parts)
    done = Precision(
        dtypes={part.name: name_of(part.dtype) for part in parts if part.reported},
        islands=tuple(part.name for part in parts if part.is_border and part.outside is not None),
        _kept=keep,
    )
    for part in parts:
        _cast_weights(part, done)
    if base is not torch.float32:
        done._handles += [handle for part in parts if part.is_border for handle in _guard(part)]
    return done


class _Part(NamedTuple):
    name: str
    module: nn.Module
    dtype: torch.dtype
    outside: torch.dtype | None  # the type of the part that calls it; None for the whole model

    @property
    def is_border(self) -> bool:
        return not isinstance(self.module, _CONTAINERS) and self.dtype != self.outside

    @property
    def reported(self) -> bool:
        return self.outside is None or self.is_border or any(True for _ in _own_tensors(self.module))


_CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
"""Never called, so a border around them lies around each of their members."""


def _walk(
    module: nn.Module, name: str, policy: tuple[Rule, ...], inherited: torch.dtype, outside: torch.dtype | None
) -> Iterator[_Part]:
    """Yield the module and all below it, each with its type."""
    rule = next((rule for rule in policy if rule.matches(name, module)), None) if name else None
    dtype = inherited if rule is None else _as_dtype(rule.dtype)
    yield _Part(name, module, dtype, outside)
    caller = outside if isinstance(module, _CONTAINERS) and outside is not None else dtype
    for child_name, child in module.named_children():
        yield from _walk(child, f"{name}.{child_name}".lstrip("."), policy, dtype, caller)


def _own_tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)


def _refuse_shared(parts: Iterable[_Part]) -> None:
    """Refuse a weight that two parts of different types share."""
    owners: dict[int, _Part] = {}
    for part in parts:
        for name, tensor in _own_tensors(part.module):
            first = owners.setdefault(id(tensor), part)
            if tensor.dtype in _CASTABLE and first.dtype != part.dtype:
                raise AccelError(
                    f"{name!r} is shared by {first.name!r} ({name_of(first.dtype)}) and {part.name!r} "
                    f"({name_of(part.dtype)})",
                    who="precision",
                    fix=f"give both one type in the policy, or {_FIX}",
                )


def _cast_weights(part: _Part, done: Precision) -> None:
    for name, tensor in _own_tensors(part.module):
        if id(tensor) in done._seen:
            continue
        done._seen.add(id(tensor))
        if tensor.dtype not in _CASTABLE:
            done.untouched += (f"{part.name}.{name}".lstrip("."),)
        elif tensor.dtype != part.dtype:
            if done._kept:
                done._originals.append((tensor, tensor.data))
            tensor.data = tensor.data.to(part.dtype)  # the same Parameter, so that ties hold
        done.nbytes += tensor.nbytes


def _guard(part: _Part) -> list[RemovableHandle]:
    """Hooks at a border: cast what goes in, and what comes out unless it leaves the model."""

    def enter(_: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        return _cast(args, part.dtype), _cast(kwargs, part.dtype)

    handles = [part.module.register_forward_pre_hook(enter, with_kwargs=True)]
    outside = part.outside
    if outside is not None:

        def leave(_: nn.Module, __: Any, output: Any) -> Any:
            return _cast(output, outside)

        handles.append(part.module.register_forward_hook(leave))
    return handles


def _cast(value: Any, dtype: torch.dtype) -> Any:
    """Cast every tensor of a castable type in a value; other objects stay as they are."""
    if isinstance(value, torch.Tensor):
        return value.to(dtype) if value.dtype in _CASTABLE else value
    if type(value) is dict:
        return {key: _cast(item, dtype) for key, item in value.items()}
    if type(value) in {list, tuple}:
        return type(value)(_cast(item, dtype) for item in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_cast(item, dtype) for item in value))
    return value


def _as_dtype(dtype: torch.dtype | str) -> torch.dtype:
    parsed = dtype if isinstance(dtype, torch.dtype) else getattr(torch, str(dtype).removeprefix("torch."), None)
    if parsed not in _CASTABLE:
        raise AccelError(f"{dtype!r} is no type to compute in", who="precision", fix=f"float16, bfloat16, or {_FIX}")
    return parsed


def name_of(dtype: torch.dtype) -> str:
    """Return a type's name as settings and status have it, such as ``"bfloat16"``."""
    return str(dtype).removeprefix("torch.")
