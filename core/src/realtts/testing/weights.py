"""What writers of random checkpoints share: ``write_random_checkpoint`` of plugins' testing modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["new_checkpoint", "write_json"]


def new_checkpoint(path: Path | str, **chosen: tuple[str, Iterable[str]]) -> Path:
    """The folder of a checkpoint that is about to be written, made if it is not there.

    Args:
        path: The folder.
        chosen: What the caller asked for, by the argument's name, and what there is, as in
            ``size=(size, ("tiny", "full"))``.

    Raises:
        InvalidOption: There is no such thing.
    """
    for name, (value, choices) in chosen.items():
        known = list(choices)
        if value not in known:
            raise InvalidOption(
                f"{name} is {value!r}", who="write_random_checkpoint", fix=f"choose from {', '.join(known)}"
            )
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_json(path: Path, content: object) -> None:
    """A small file that people may read."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
