"""Weights: a checkpoint's name, hub id or local folder becomes the files that a plugin needs.

A plugin calls `fetch` in its `load` and gets paths; what is missing is downloaded into the hub library's own cache,
so that models which other tools have downloaded are used as they are. Nothing is unpickled or opened as a model here.

The extra ``realtts[hub]`` brings `huggingface_hub`, which is imported when something has to be asked of the hub.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.lazy import names_from

if TYPE_CHECKING:
    from realtts.checkpoints.fetching import fetch, plan
    from realtts.checkpoints.files import Files
    from realtts.checkpoints.inventory import Kept, inventory, remove
    from realtts.checkpoints.planning import DownloadPlan, PlannedFile

__all__ = ["DownloadPlan", "Files", "Kept", "PlannedFile", "fetch", "inventory", "plan", "remove"]

__getattr__ = names_from(
    __name__,
    {
        "fetching": ("fetch", "plan"),
        "files": ("Files",),
        "inventory": ("Kept", "inventory", "remove"),
        "planning": ("DownloadPlan", "PlannedFile"),
    },
)
