"""What checkpoints' files hold, entries of configurations and tensors, and the errors where it is something else."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from realtts.errors import CheckpointCorrupt, CheckpointMismatch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from realtts.contract.spec import Checkpoint

    Shape = tuple[int, ...]

__all__ = [
    "FIX",
    "NOTE",
    "Published",
    "by_any_name",
    "check_names",
    "check_shape",
    "check_shapes",
    "known",
    "mismatch",
    "noted",
    "read_json",
    "supported",
    "understood",
]

FIX = "fetch the checkpoint again, or check that all files are of one model"
"""What the error advises of a file that is not of the model."""

NOTE = "realtts.json"
"""A file beside the weights that says what they do not: ``{"configuration": "v1"}``."""


class Published(Protocol):
    """A configuration of a plugin. One that its authors call otherwise has the attribute ``upstream``, too."""

    @property
    def name(self) -> str:
        """Ours."""

    @property
    def source(self) -> str:
        """Hub id; empty where nobody published weights."""


P = TypeVar("P", bound=Published)


def mismatch(what: str, who: str, fix: str = FIX) -> CheckpointMismatch:
    """The error for a file that is not of this model.

    Args:
        what: What is wrong.
        who: The file.
        fix: What to do.
    """
    return CheckpointMismatch(what, who=who, fix=fix)


def check_names(
    found: Collection[str],
    wanted: Collection[str],
    who: str,
    *,
    computed: tuple[str, ...] = (),
    spare: Collection[str] = (),
    prefix: str = "",
    fix: str = FIX,
) -> None:
    """Every tensor must be there, and none besides.

    Args:
        found: Names of the file's tensors.
        wanted: Names of the model's.
        who: The file, for messages.
        computed: Ends of names that may be missing, because the model computes these by itself.
        spare: Names that may be there, and are not used.
        prefix: What both kinds of names have in the file before them, for messages.
        fix: What to do.

    Raises:
        CheckpointMismatch: A tensor is missing or unexpected; the first is named.
    """
    own, others = set(found), set(wanted)
    missing = {name for name in others - own if not name.endswith(computed)}
    for what, names in (("missing", missing), ("unexpected", own - others - set(spare))):
        if names:
            raise mismatch(f"{len(names)} tensors are {what}, the first is {prefix}{min(names)}", who, fix)


def check_shape(name: str, found: Shape, wanted: Shape, who: str, fix: str = FIX) -> None:
    """A tensor must have the shape that the model wants.

    Args:
        name: In the file.
        found: The file's shape.
        wanted: The model's.
        who: The file, for messages.
        fix: What to do.

    Raises:
        CheckpointMismatch: It has another.
    """
    if tuple(found) != tuple(wanted):
        raise mismatch(f"{name} has the shape {tuple(found)}, expected {tuple(wanted)}", who, fix)


def check_shapes(
    found: Mapping[str, Shape],
    wanted: Mapping[str, Shape],
    who: str,
    *,
    computed: tuple[str, ...] = (),
    spare: Collection[str] = (),
) -> None:
    """Names and shapes of all tensors, before anything is read of a file; arguments as of `check_names`.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen; it is named.
    """
    check_names(found, wanted, who, computed=computed, spare=spare)
    for name, shape in wanted.items():
        check_shape(name, found.get(name, shape), shape, who)


def read_json(path: Path) -> dict[str, Any]:
    """The content of a configuration file.

    Args:
        path: The file.

    Raises:
        CheckpointCorrupt: It cannot be read, or is no table.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError("it is no table")
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointCorrupt(
            f"it cannot be read: {error}", who=f"file {path.name!r}", fix="remove the file and fetch it again"
        ) from error
    return content


def noted(path: Path, configurations: Mapping[str, P]) -> P:
    """The configuration that a `NOTE` names.

    Args:
        path: The file.
        configurations: The plugin's, by name; found by `by_any_name`.

    Raises:
        CheckpointCorrupt: It cannot be read, or is no table.
        CheckpointMismatch: It names a configuration that there is not.
    """
    name = read_json(path).get("configuration")
    found = by_any_name(name, configurations)
    if found is None:
        fix = f"choose from {', '.join(configurations)}"
        raise mismatch(f"there is no configuration {name!r}", f"file {path.name!r}", fix)
    return found


def by_any_name(name: object, configurations: Mapping[str, P]) -> P | None:
    """The configuration of our name, of upstream's or of a hub id, whatever the case, ``_`` and ``-`` alike.

    Args:
        name: What somebody wrote.
        configurations: Those that there are; of those that share a name of upstream's or a hub id, the first is meant.

    Returns:
        None: There is none.
    """
    wanted = _alike(name)
    for each in configurations.values():
        if wanted and wanted in map(_alike, (each.name, each.source, getattr(each, "upstream", ""))):
            return each
    return None


def known(checkpoint: Checkpoint | None, configurations: Mapping[str, P]) -> P | None:
    """Which configuration one of the spec's own checkpoints is, or the same repository at another revision.

    Args:
        checkpoint: ``context.checkpoint``.
        configurations: The plugin's, by name.

    Returns:
        None: It is of a folder, or of somebody else's repository: its files must tell.
    """
    if checkpoint is None or checkpoint.path is not None:
        return None
    return configurations.get(checkpoint.name) or by_any_name(checkpoint.source, configurations)


def supported(config: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse what the networks of a plugin do not do; for use inside `understood`.

    Args:
        config: Entries of a configuration.
        wanted: Name -> the one value that is known; an entry may be missing.

    Raises:
        ValueError: One has another value.
    """
    for name, value in wanted.items():
        if config.get(name, value) != value:
            raise ValueError(f"{name} is {config[name]!r}, only {value!r} is supported")


@contextlib.contextmanager
def understood(who: str) -> Iterator[None]:
    """Inside, entries of a configuration are read; a fault in one is told as the file's.

    Args:
        who: The file.

    Raises:
        CheckpointMismatch: An entry is missing, or of a wrong type or value.
    """
    try:
        yield
    except KeyError as error:
        raise mismatch(f"the entry {error} is missing", who) from error
    except (TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise mismatch(f"it cannot be understood: {error}", who) from error


def _alike(name: object) -> str:
    return str(name).strip().casefold().replace("_", "-")
