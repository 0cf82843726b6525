"""Reading configurations and tensors of checkpoint files, with the errors for files that do not fit the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from realtts.documents import (
    LFS_POINTER,
    MALFORMED,
    DocumentError,
    is_lfs_pointer,
    read_json as read_any_json,
    read_text as read_any_text,
    reason_of,
)
from realtts.errors import CheckpointCorrupt, CheckpointMismatch, enumeration

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from realtts.contract.spec import Checkpoint

    Shape = tuple[int, ...]

__all__ = [
    "FIX",
    "MALFORMED",
    "NOTE",
    "Published",
    "by_any_name",
    "check_names",
    "check_shape",
    "check_shapes",
    "configuration_of",
    "mismatch",
    "noted_configuration",
    "read_json",
    "read_list",
    "read_text",
    "reason_of",
    "said_configuration",
    "unreadable",
]

FIX = "fetch the checkpoint again, or check that all files are of one model"
"""What the errors advise for a file that is not of the model."""

NOTE = "realtts.json"
"""A file beside the weights that names their configuration, which they do not tell: ``{"configuration": "v1"}``."""


class Published(Protocol):
    """A configuration of a plugin. If its authors use another name, that is its attribute ``upstream``."""

    @property
    def name(self) -> str:
        """Our name."""

    @property
    def source(self) -> str:
        """Hub id; empty where nobody published weights."""


P = TypeVar("P", bound=Published)


def mismatch(what: str, who: str, fix: str = FIX) -> CheckpointMismatch:
    """Return the error for a file that is not of this model.

    Args:
        what: What is wrong.
        who: The file.
        fix: What to do.
    """
    return CheckpointMismatch(what, who=who, fix=fix)


def check_names(
    actual: Collection[str],
    expected: Collection[str],
    who: str,
    *,
    computed: tuple[str, ...] = (),
    spare: Collection[str] = (),
    prefix: str = "",
    fix: str = FIX,
) -> None:
    """Check that a file has all tensors of the model and no others.

    Args:
        actual: Names of the file's tensors.
        expected: Names of the model's.
        who: The file, for messages.
        computed: Ends of names that may be missing, because the model computes these tensors itself.
        spare: Names that may be there and are not used.
        prefix: What stands before both kinds of names in the file, for messages.
        fix: What to do.

    Raises:
        CheckpointMismatch: A tensor is missing or unexpected; the first is named.
    """
    actual, expected = set(actual), set(expected)
    missing = {name for name in expected - actual if not name.endswith(computed)}
    for what, names in (("missing", missing), ("unexpected", actual - expected - set(spare))):
        if names:
            raise mismatch(f"{len(names)} tensors are {what}, the first is {prefix}{min(names):.120}", who, fix)


def check_shape(name: str, actual: Shape, expected: Shape, who: str, fix: str = FIX) -> None:
    """Check that a tensor has the shape that the model expects.

    Args:
        name: In the file.
        actual: The file's shape.
        expected: The model's; -1 where any size will do.
        who: The file, for messages.
        fix: What to do.

    Raises:
        CheckpointMismatch: It has another.
    """
    actual = tuple(actual)
    if len(actual) != len(expected) or any(
        size not in {-1, there} for size, there in zip(expected, actual, strict=True)
    ):
        shape = str(tuple("any" if size == -1 else size for size in expected)).replace("'", "")
        raise mismatch(f"{name:.120} has the shape {actual!s:.80}, expected {shape}", who, fix)


def check_shapes(
    actual: Mapping[str, Shape],
    expected: Mapping[str, Shape],
    who: str,
    *,
    computed: tuple[str, ...] = (),
    spare: Collection[str] = (),
) -> None:
    """Check names and shapes of all tensors, before any is read from a file; arguments as of `check_names`.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen; it is named.
    """
    check_names(actual, expected, who, computed=computed, spare=spare)
    for name, shape in expected.items():
        check_shape(name, actual.get(name, shape), shape, who)


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds a JSON table, such as a configuration.

    Args:
        path: The file.

    Raises:
        CheckpointCorrupt: It cannot be read, or is no table.
    """
    content: dict[str, Any] = _read_json(path, dict, "table")
    return content


def read_list(path: Path) -> list[Any]:
    """Read a file that holds a JSON list.

    Raises:
        CheckpointCorrupt: It cannot be read, or is no list.
    """
    content: list[Any] = _read_json(path, list, "list")
    return content


def read_text(path: Path) -> str:
    """Read a text file of a checkpoint, UTF-8 with or without a byte order mark.

    Raises:
        CheckpointCorrupt: It cannot be read, or is no UTF-8.
    """
    try:
        return read_any_text(path)
    except DocumentError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: BaseException) -> CheckpointCorrupt:
    """Return the error for a file that cannot be read; a Git LFS pointer is named as such.

    Args:
        path: The file.
        error: What its reader raised.
    """
    who = f"file {path.name!r:.200}"
    if is_lfs_pointer(path):
        return CheckpointCorrupt(LFS_POINTER, who=who, fix="run that, or fetch the checkpoint again")
    reason = reason_of(error)
    what = reason if isinstance(error, DocumentError) else f"{type(error).__name__}: {reason}"
    return CheckpointCorrupt(
        f"it cannot be read: {what.rstrip('.')}", who=who, fix="remove the file and fetch it again"
    )


def noted_configuration(path: Path, configurations: Mapping[str, P]) -> P:
    """Read which configuration a `NOTE` names.

    Args:
        path: The file.
        configurations: The plugin's, by name; looked up by `by_any_name`.

    Raises:
        CheckpointCorrupt: It cannot be read, or is no table.
        CheckpointMismatch: It names a configuration that there is not.
    """
    try:
        name = read_json(path).get("configuration")
    except CheckpointCorrupt as error:  # the user wrote it: there is nothing to fetch
        error.fix = f'correct it, such as {{"configuration": "{next(iter(configurations), "")}"}}, or remove it'
        raise
    configuration = by_any_name(name, configurations)
    if configuration is None:
        fix = f"choose from {enumeration(configurations)}"
        raise mismatch(f"there is no configuration {name!r:.80}", f"file {path.name!r}", fix)
    return configuration


def by_any_name(name: object, configurations: Mapping[str, P]) -> P | None:
    """Find a configuration by our name, upstream's or a hub id; case does not matter, nor ``_`` instead of ``-``.

    Args:
        name: What somebody wrote.
        configurations: Those that there are; of several that share a name of upstream's or a hub id, the first counts.

    Returns:
        None: There is none.
    """
    folded = _folded(name)
    for each in configurations.values():
        if folded and folded in map(_folded, (each.name, each.source, getattr(each, "upstream", ""))):
            return each
    return None


def said_configuration(checkpoint: Checkpoint | None, configurations: Mapping[str, P]) -> P | None:
    """Return the configuration that the user named in the call; None: none was named.

    Args:
        checkpoint: ``context.checkpoint``.
        configurations: The plugin's, by name.

    Raises:
        CheckpointMismatch: It names a configuration that there is not.
    """
    if checkpoint is None or not checkpoint.configuration:
        return None
    configuration = by_any_name(checkpoint.configuration, configurations)
    if configuration is None:
        what = f"there is no configuration {checkpoint.configuration!r}"
        raise mismatch(what, "configuration=", f"choose from {', '.join(configurations)}")
    return configuration


def configuration_of(checkpoint: Checkpoint | None, configurations: Mapping[str, P]) -> P | None:
    """Return the configuration of one of the spec's own checkpoints, or of its repository at another revision.

    Args:
        checkpoint: ``context.checkpoint``.
        configurations: The plugin's, by name.

    Returns:
        None: The checkpoint is a folder, or another repository: its files must tell.
    """
    if checkpoint is None or checkpoint.path is not None:
        return None
    by_source = configurations.get(checkpoint.name) or by_any_name(checkpoint.source, configurations)
    # A repository may hold several, and the user may have named the one that is meant.
    return by_source and (said_configuration(checkpoint, configurations) or by_source)


def _read_json(path: Path, kind: type, name: str) -> Any:
    try:
        content = read_any_json(path)
        if not isinstance(content, kind):
            raise DocumentError(f"it is no {name}")
    except DocumentError as error:
        raise unreadable(path, error) from error
    return content


def _folded(name: object) -> str:
    return str(name).strip().casefold().replace("_", "-")
