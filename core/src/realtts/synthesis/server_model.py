"""The model of a provider that speaks through a server of somebody else's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realtts.contract.spec import Checkpoint
from realtts.errors import UnknownCheckpoint

if TYPE_CHECKING:
    from realtts.contract.spec import ProviderSpec

__all__ = ["model_on_server"]


def model_on_server(name: str, spec: ProviderSpec) -> Checkpoint:
    """Return a checkpoint that stands for a model on a server; its name is what the user gave as ``model=``.

    Raises:
        UnknownCheckpoint: It is blank, or it holds a password, which neither status nor logs must show.
    """
    who = f"provider {spec.name!r}"
    if not name.strip():
        raise UnknownCheckpoint("model is blank", who=who, fix="give the server's address, or a model's name there")
    authority = re.split(r"[/?#]", name.partition("://")[2], maxsplit=1)[0]
    if "@" in authority:
        raise UnknownCheckpoint(
            "the address holds a user's name or a password", who=who,
            fix="give it without them: a key comes from the environment",
        )  # fmt: skip
    return Checkpoint(name=name.strip())
