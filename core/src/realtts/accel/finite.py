"""A check for NaN and infinity that waits for the device once, and the errors that say what caused them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from realtts.errors import CheckpointCorrupt, NotFinite

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ANOTHER_FILE", "IN_FLOAT32", "NOT_IN_FLOAT32", "blaming", "check_finite", "check_output"]

ANOTHER_FILE = "fetch it again from the model's source, or use another"
"""Advice where weights are to blame."""

NOT_IN_FLOAT32 = f"try another text; if none can be spoken, its weights are to blame: {ANOTHER_FILE}"
"""Advice where float32 is computed already."""

IN_FLOAT32 = "set dtype='float32' (REALTTS_DTYPE=float32)"
"""Advice where it is not."""

_PLAINER = f"{IN_FLOAT32}, with cuda_graphs, compile and attention as they are by themselves"


def check_finite(tensors: Any, who: str, *, fix: str = IN_FLOAT32) -> None:
    """Raise if a floating-point tensor holds NaN or infinity. Waits for the device once.

    Args:
        tensors: A tensor, or dictionaries, lists and tuples of tensors; anything else in them is passed over.
        who: Provider, stage or part, for the message.
        fix: What the error advises; `NOT_IN_FLOAT32` where it is float32 already.

    Raises:
        NotFinite: One does; it is named by its place, such as ``['hidden'][2]``.
    """
    named = [(name, tensor) for name, tensor in _leaves(tensors, "") if tensor.is_floating_point() and tensor.numel()]
    if not named:
        return
    # One reduction per tensor and one wait for all: `item()` per tensor would stop the device each time.
    flags = [torch.isfinite(tensor).all() for _, tensor in named]
    finite = torch.stack([flag.to(flags[0].device) for flag in flags]).tolist()
    bad = [name for (name, _), good in zip(named, finite, strict=True) if not good]
    if bad:
        place = f" in {bad[0]}" if bad[0] else ""
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise NotFinite(f"NaN or infinity{place}{more}", who=who, fix=fix)


def check_output(tensors: Any, who: str, *, file: str, exact: bool) -> None:
    """Raise if what a model computed holds NaN or infinity. Waits for the device once.

    Args:
        tensors: As `check_finite`.
        who: Provider, for the message.
        file: Whose weights made them.
        exact: As `blaming`.

    Raises:
        NotFinite: They do, and float32 may help.
        CheckpointCorrupt: They do in float32.
    """
    with blaming(file, exact=exact):
        check_finite(tensors, who, fix=_PLAINER)


@contextlib.contextmanager
def blaming(file: str, *, exact: bool) -> Iterator[None]:
    """Blame a file for NaN and infinity in the body where nothing else can be the reason; no other rung helps then.

    Args:
        file: Name of the file with the weights.
        exact: Whether nothing but the weights can be the reason: `realtts.accel.decoder.rungs.is_exact`.

    Raises:
        CheckpointCorrupt: In place of `NotFinite`, where it is exact.
    """
    try:
        yield
    except NotFinite as error:
        if not exact:
            raise
        raise CheckpointCorrupt(
            "with its weights the speech is NaN or infinite, in float32 too", who=f"file {file!r}", fix=ANOTHER_FILE
        ) from error


def _leaves(value: Any, place: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{place}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{place}[{index}]")
