"""Timing of the inner stages of `generate`, for plugins.

    with timed(context, "decode") as work:
        for step in range(steps):
            ...
            work.add(steps=1, bytes=weight_bytes, flops=2 * parameters)

The bytes and flops are those that no implementation can avoid. Over the machine's measured rates they give the floor
that `realtts bench` holds the seconds against.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from realtts.contract.events import Event
from realtts.contract.stages import Work

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from realtts.contract.context import Context

__all__ = ["timed"]


@contextlib.contextmanager
def timed(
    context: Context,
    name: str,
    *,
    steps: int = 0,
    bytes: int = 0,  # noqa: A002 - the plain word
    flops: int = 0,
    dtype: str | None = None,
    rows: Collection[int] | None = None,
) -> Iterator[Work]:
    """Time an inner stage of `generate`, `generate_batch` or `generate_continuous`.

    It appears as ``generate.<name>`` in the stages of the request's metrics, in their ``work``, and as an event
    ``generate.stage``. Outside of a request, as in a warm-up, nothing is recorded. A ``yield`` inside the block is
    allowed: time that the reader takes does not count.

    CUDA runs behind the host: end the block where a result is read back, or its time lands in the stage that waits.

    Args:
        context: The context that the hook was given.
        name: Short name such as ``"prefill"``, ``"decode"``, ``"flow"`` or ``"vocoder"``.
        steps: Work that is known at once; more is counted with `Work.add`.
        bytes: As ``steps``.
        flops: As ``steps``.
        dtype: Type that is computed in; default: the context's.
        rows: Numbers of the rows that it works for, in a running batch; None: all that are spoken.

    Yields:
        Where to count work.
    """
    work = Work(name, dtype or context.dtype, rows)
    work.add(steps=steps, bytes=bytes, flops=flops)
    context.stages.enter(work)
    try:
        yield work
    finally:
        if context.stages.leave(work):
            total = work.total()
            context.report(
                Event(
                    "generate.stage",
                    data={
                        "stage": name,
                        "seconds": total.seconds,
                        "steps": total.steps,
                        "bytes": total.bytes,
                        "flops": total.flops,
                        "dtype": total.dtype,
                    },
                )
            )
