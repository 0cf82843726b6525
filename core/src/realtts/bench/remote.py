"""Bench and verify for a provider in an environment of its own: they run there, and the record comes back."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.bench.workload import Text, Workload
from realtts.errors import InvalidOption
from realtts.isolation import environments
from realtts.isolation.exits import unusable
from realtts.isolation.programs import run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from realtts.isolation.environments import IsolatedEnvironment
    from realtts.provider.facade import RealProvider

__all__ = ["environment_of", "install_into", "run_there", "workload_from_json"]


def environment_of(provider: RealProvider) -> IsolatedEnvironment | None:
    """Return the environment in which a provider runs; None: in this process.

    Raises:
        IsolationError: It cannot be used.
    """
    if provider.get_provider_status()["isolation"] != "isolated":
        return None
    name = provider.spec.name
    environment = environments.find(name, provider.settings)
    fault = environments.fault(environment) if environment is not None else "it is gone"
    if environment is None or fault is not None:
        raise unusable(name, str(fault))
    return environment


def run_there(
    environment: IsolatedEnvironment,
    what: str,
    workload: Workload,
    *,
    settings: Mapping[str, Any],
    tell: Callable[[str], None] | None = None,
    **keywords: Any,
) -> Any:
    """Run a function of `realtts.bench` in an environment, with the settings of this process.

    Args:
        environment: The provider's.
        what: ``"bench"``, ``"verify"``, ``"profile"`` or ``"weights"``.
        workload: What is spoken; recordings are named by their files.
        settings: Keywords of `RealProvider`.
        tell: Receives lines of progress.
        keywords: Further arguments of the function, which JSON can hold.

    Raises:
        RealTTSError: As the function; WorkerDied: its process ended.
    """
    job = {
        "what": what,
        "spec": dict(environment.spec),
        "workload": _workload_to_json(workload),
        "settings": {name: _path_or_value(value) for name, value in settings.items()},
        "keywords": keywords,
    }
    answer = run_program(environment, ("-m", "realtts.bench.child"), job, activity=f"running {what}", tell=tell)
    if answer.error is None:
        return answer.result
    raise answer.error.error()


def install_into(name: str, extras: Sequence[str]) -> str:
    """Return the advice to install into an environment what its plugin lacks there."""
    command = f"{environments.install_command(name)} --upgrade"
    if not extras:
        return f"make its environment anew: {command}"
    return f"install it into its environment: {command} {' '.join(f'--extra {extra}' for extra in extras)}"


def workload_from_json(content: Mapping[str, Any]) -> Workload:
    """Return the workload that a job holds."""
    texts = tuple(Text(**text) for text in content["texts"])
    return Workload(**{**content, "texts": texts})


def _workload_to_json(workload: Workload) -> dict[str, Any]:
    voice = workload.voice
    if voice is not None and not isinstance(voice, (str, os.PathLike)):
        raise InvalidOption(
            "voice is a recording in memory, and the provider runs in an environment of its own", who="bench",
            fix="give its file, or save it: realtts voices add",
        )  # fmt: skip
    values = {name: value for name, value in vars(workload).items() if name not in {"texts", "options", "voice"}}
    return {
        **values,
        "texts": [asdict(text) for text in workload.texts],
        "options": dict(workload.options),
        "voice": _path_or_value(voice),
    }


def _path_or_value(value: Any) -> Any:
    return os.fspath(Path(value).absolute()) if isinstance(value, os.PathLike) else value
