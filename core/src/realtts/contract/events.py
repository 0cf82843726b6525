"""Events: what happens inside a provider, for extensions, progress bars and logs."""

from __future__ import annotations

import time
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the fields' types when an event goes over the wire
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Event"]


@dataclass(frozen=True)
class Event:
    """Something that happened.

    The core's own names are ``stage.started``, ``stage.finished``, ``rung.given_up``, ``rung.ready``, ``unloaded``,
    ``request.started``, ``generate.stage``, ``request.finished`` and ``request.failed``. Plugins choose further ones;
    the data of ``optimization.details`` appears in the status under that name (attention kernels, quantization).

    Attributes:
        name: Dotted name, such as ``"stage.finished"``.
        provider: Provider that it happened in; filled in by ``context.report`` when left empty.
        data: JSON-able details.
        at: Seconds on the monotonic clock.
    """

    name: str
    provider: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=time.monotonic)
