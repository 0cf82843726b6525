"""The facts that travel with every record: machine, versions, date."""

from __future__ import annotations

import datetime
import platform
from typing import TYPE_CHECKING, Any

from realtts.machine import survey as machine
from realtts.machine.hardware import thread_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.settings import Settings

__all__ = ["machine_facts", "now"]


def machine_facts(settings: Settings, versions: Mapping[str, str | None]) -> dict[str, Any]:
    """Return what decides how fast a provider is on this machine.

    Args:
        settings: For the number of threads.
        versions: Of Python and the distributions that took part.
    """
    cpu = machine.cpu()
    return {
        "system": platform.platform(),
        "cpu": cpu["name"],
        "physical_cores": cpu["physical_cores"],
        "cpu_features": cpu["features"],
        "memory_bytes": machine.memory()["total"],
        "gpus": machine.gpus(),
        "threads": thread_count(settings.threads),
        "versions": dict(versions),
    }


def now() -> str:
    """Return the date and time in UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
