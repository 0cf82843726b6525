"""What `realtts doctor` says of weights: whether they are here, what would be fetched, and whether it can be."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from realtts.cli import console
from realtts.cli.places import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["described", "problems", "speaker", "weights"]

_WAIT_S = 3.0
_OFFLINE = {"1", "true", "yes", "on"}


def weights(names: Sequence[str]) -> dict[str, Any]:
    """Return the state of each provider's first checkpoint, the cache, its free space and whether the hub answers.

    Args:
        names: The providers.
    """
    from realtts.checkpoints import inventory
    from realtts.checkpoints.cache import cache_dir
    from realtts.registry import providers as registry

    sizes = {
        entry.name: {checkpoint.name: checkpoint.size_bytes for checkpoint in entry.spec.checkpoints}
        for entry in registry.installed() if entry.spec is not None
    }  # fmt: skip
    first: dict[str, dict[str, Any]] = {}
    for kept in inventory():
        if kept.provider in names and kept.provider not in first:
            whole = sizes.get(kept.provider, {}).get(kept.name)
            missing = None if whole is None else max(0, whole - kept.size_bytes)
            first[kept.provider] = {
                "checkpoint": kept.name, "source": kept.repo, "state": kept.state,
                "missing_bytes": 0 if kept.state == "complete" else missing,
            }  # fmt: skip
    wanted = any(one["state"] != "complete" for one in first.values())
    folder = cache_dir()
    return {"providers": first, "cache": str(folder), "free": _free(folder), "network": _network() if wanted else None}


def speaker() -> dict[str, Any]:
    """Return which provider ``realtts say`` takes when none is named, or why it takes none."""
    from realtts.errors import RealTTSError
    from realtts.provider.choice import choose

    try:
        choice = choose(None, {}, None)
    except RealTTSError as error:
        return {"provider": None, "model": None, "error": str(error)}
    return {"provider": choice.spec.name, "model": choice.layers.settings.model, "error": None}


def described(name: str, report: Mapping[str, Any]) -> str:
    """Return one clause about a provider's weights."""
    one = report["providers"].get(name)
    if one is None:
        return "needs no weights from the hub"
    if one["state"] == "complete":
        return f"weights {one['checkpoint']!r} are here"
    size = "of unknown size" if one["missing_bytes"] is None else console.size(one["missing_bytes"])
    rest = "the rest of " if one["state"] == "partial" else ""
    return f"would download {rest}{one['checkpoint']!r} ({size}) from {one['source']}"


def problems(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what stands in the way of fetching the weights of providers of this process, with what mends it."""
    about = report.get("weights")
    if about is None:
        return
    here = {provider["name"] for provider in report["providers"] if provider["place"] == HERE}
    missing = {
        name: one for name, one in about["providers"].items() if name in here and one["state"] != "complete"
    }  # fmt: skip
    for name, one in missing.items():
        if (one["missing_bytes"] or 0) > about["free"]:
            what = f"the weights of {name!r} need {console.size(one['missing_bytes'])}"
            yield f"{what}, {about['cache']} has {console.size(about['free'])} free", (
                "free space there, or set HF_HOME to a folder on another disk"
            )  # fmt: skip
    if missing and about["network"] != "reachable":
        fix = "unset HF_HUB_OFFLINE" if about["network"] == "switched off" else "check network and proxy"
        what = f"the weights of {', '.join(map(repr, missing))} are not here, and the hub is {about['network']}"
        yield what, f"{fix}, or give a local folder as --model"


def _free(folder: Path) -> int:
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def _network() -> str:
    """Return whether the hub can be reached: ``"reachable"``, ``"switched off"`` or ``"unreachable"``."""
    if any(os.environ.get(name, "").lower() in _OFFLINE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")):
        return "switched off"
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return "reachable"  # the proxy decides, and only a download shows it
    try:
        from huggingface_hub.constants import ENDPOINT
    except ImportError:
        return "unreachable: huggingface_hub is missing (pip install 'realtts[hub]')"
    address = urlsplit(ENDPOINT)
    answers: list[bool] = []

    def connect() -> None:
        try:
            port = address.port or (80 if address.scheme == "http" else 443)
            socket.create_connection((address.hostname or "", port), timeout=_WAIT_S).close()
        except OSError:
            return
        answers.append(True)

    # In a thread: nothing bounds the time of a name server.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_WAIT_S)
    return "reachable" if answers else "unreachable"
