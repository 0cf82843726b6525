"""Which configuration a checkpoint is of.

Checkpoints of F5-TTS v0 and v1 have tensors of equal names and shapes, and one speaks nonsense as the other. So the
configuration is never guessed: for a published checkpoint it is known, and any other must name it: a file
``realtts.json`` with ``{"configuration": "f5-v0-base"}``, upstream's configuration as a ``.yaml`` file, or the name of
the folder, of the file itself or of the repository. Where two of them disagree, nothing is loaded.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from realtts.errors import CheckpointCorrupt, CheckpointMismatch
from realtts.kit.reading import MALFORMED, NOTE, by_any_name, noted_configuration, read_text, reason_of
from realtts_f5.configurations import CONFIGURATIONS
from realtts_f5.sizes import read_architecture

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from realtts_f5.configurations import Configuration

__all__ = ["named_configuration", "read_yaml"]


def named_configuration(files: Mapping[str, Path], names: Iterable[str], who: str) -> Configuration:
    """Find the configuration that files beside the weights and names of files and folders agree on.

    Args:
        files: Beside the weights, by name.
        names: Of the file and of its folder or repository.
        who: The checkpoint, for messages.

    Raises:
        CheckpointCorrupt: The note cannot be read.
        CheckpointMismatch: Nothing names a configuration, or two sources name different ones.
    """
    named_by: dict[str, Configuration] = {}
    if NOTE in files:
        named_by[NOTE] = noted_configuration(files[NOTE], CONFIGURATIONS)
    for name, path in files.items():
        by_file = _by_yaml(path) if name.endswith(".yaml") else None
        if by_file is not None:
            named_by[name] = by_file
    for where in names:
        by_name = by_any_name(where, CONFIGURATIONS)
        if by_name is not None:
            named_by[where] = by_name
    if not named_by:
        raise CheckpointMismatch(
            "nothing says which configuration it is of, and v0 and v1 of F5-TTS cannot be told apart by their tensors",
            who=who,
            fix=f'put a file {NOTE} with {{"configuration": "f5-v1-base"}} beside the weights, or upstream\'s .yaml, '
            f"in a folder of your own; there are {', '.join(CONFIGURATIONS)}",
        )  # fmt: skip
    first, configuration = next(iter(named_by.items()))
    for where, other in named_by.items():
        if not configuration.architecture.is_version_of(other.architecture):
            raise CheckpointMismatch(
                f"{first} says that it is {configuration.name}, and {where} that it is {other.name}",
                who=who, fix="correct the one that is wrong",
            )  # fmt: skip
    return configuration


def _by_yaml(path: Path) -> Configuration | None:
    """Read upstream's configuration file, its own sizes included; None if it is something else."""
    try:
        content = read_yaml(path)
    except ValueError:
        return None
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("arch"), dict):
        return None
    name = str(model.get("name"))
    base = by_any_name(name, CONFIGURATIONS)
    architecture = read_architecture(model, f"file {path.name!r}")
    return replace(base or CONFIGURATIONS["f5-v1-base"], name=base.name if base else name, architecture=architecture)


def read_yaml(path: Path) -> Any:
    """Read a ``.yaml`` file of text, numbers and containers of them; `ValueError`: it cannot be read."""
    yaml = importlib.import_module("yaml")
    try:
        return yaml.safe_load(read_text(path))
    except (*MALFORMED, CheckpointCorrupt, yaml.YAMLError) as error:
        raise ValueError(reason_of(error)) from error
