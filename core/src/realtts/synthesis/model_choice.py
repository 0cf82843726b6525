"""The weights that a user means: a checkpoint of the spec, a local folder or file, or a repository of the hub."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.contract.spec import Checkpoint
from realtts.errors import UnknownCheckpoint, closest
from realtts.synthesis.server_model import model_on_server

if TYPE_CHECKING:
    from realtts.contract.spec import ProviderSpec, WantedFile

__all__ = ["resolve_checkpoint"]


def resolve_checkpoint(
    model: str | os.PathLike[str] | None, spec: ProviderSpec, configuration: str | None = None
) -> Checkpoint | None:
    """Return the checkpoint to load: a name of the spec, a local path, or a hub id ``owner/name[@revision]``.

    A repository that the spec knows keeps what the spec says of it; of any other the files are wanted that the
    provider's first checkpoint has, since it is a model of the same kind.

    Of a provider that speaks through a server (``remote``) it is what the server is given.

    Args:
        model: What the user gave.
        spec: The provider.
        configuration: What the weights are of, one of the spec's ``configurations``; None: their files tell.

    Raises:
        UnknownCheckpoint: None of these, or there is no such configuration.
    """
    checkpoint = _find_checkpoint(model, spec)
    if configuration is None:
        return checkpoint
    name = _check_configuration(configuration, spec)
    if checkpoint is None or checkpoint in spec.checkpoints:
        if checkpoint is not None and checkpoint.name == name:
            return checkpoint
        what = f"configuration {configuration!r} is given, and no weights of your own"
        raise UnknownCheckpoint(
            what, who=f"provider {spec.name!r}", fix="give them as model=, a local folder, file or hub id"
        )
    return replace(checkpoint, configuration=name)


def _check_configuration(name: str, spec: ProviderSpec) -> str:
    """Return the name as the spec spells it; case does not matter, nor ``_`` instead of ``-``."""
    folded = {each.casefold().replace("_", "-"): each for each in reversed(spec.configurations)}
    spelt = folded.get(name.strip().casefold().replace("_", "-"))
    if spelt is not None:
        return spelt
    if not spec.configurations:
        what, fix = "it has no configurations to choose from", "leave configuration out: the files of its weights tell"
    else:
        what = f"there is no configuration {name!r:.100}{closest(name, spec.configurations)}"
        fix = f"choose from {', '.join(spec.configurations)}"
    raise UnknownCheckpoint(what, who=f"provider {spec.name!r}", fix=fix)


def _find_checkpoint(model: str | os.PathLike[str] | None, spec: ProviderSpec) -> Checkpoint | None:
    if model is None:
        return spec.checkpoints[0] if spec.checkpoints else None
    name: object = os.fspath(model) if isinstance(model, os.PathLike) else model
    if not isinstance(name, str):
        raise UnknownCheckpoint(
            f"model is {type(name).__name__}", who=f"provider {spec.name!r}", fix="give a name, a path or a hub id"
        )
    if spec.remote:
        return model_on_server(name, spec)
    named = {checkpoint.name: checkpoint for checkpoint in spec.checkpoints}
    if name in named:
        return named[name]
    path = os.path.expanduser(name)  # noqa: PTH111 - Path.expanduser raises for users that do not exist
    if name.strip() and "\0" not in name and os.path.exists(path):  # noqa: PTH110 - Path.exists raises for long names
        return Checkpoint(name=Path(path).name, path=Path(path).absolute(), files=_usual_files(spec))
    who = f"provider {spec.name!r}"
    if isinstance(model, str) and _is_hub_id(name) and any(c.source for c in spec.checkpoints):
        return _from_hub_id(name, spec)
    fix = f"choose from {', '.join(named)}, or give an existing local folder"
    raise UnknownCheckpoint(
        f"there is no checkpoint or folder {name!r:.200}{closest(name, named)}",
        who=who,
        fix=fix if named else "leave model out: it has no checkpoints to choose from",
    )


def _from_hub_id(name: str, spec: ProviderSpec) -> Checkpoint:
    source, at, revision = name.partition("@")
    listed = next((checkpoint for checkpoint in spec.checkpoints if checkpoint.source == source), None)
    if listed is None:
        return Checkpoint(name=name, source=source, revision=revision or None, files=_usual_files(spec))
    if not at or revision == listed.revision:
        return listed
    # Another revision may be of another size and licence.
    return Checkpoint(name=name, source=source, revision=revision, files=listed.files)


def _usual_files(spec: ProviderSpec) -> tuple[WantedFile, ...]:
    return spec.checkpoints[0].files if spec.checkpoints else ()


def _is_hub_id(name: str) -> bool:
    source, at, revision = name.partition("@")
    owner, slash, repository = source.partition("/")
    named = bool(slash and owner and repository) and "/" not in repository and bool(revision or not at)
    return named and not name.startswith((".", "~", "/"))
