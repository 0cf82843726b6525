"""What of a text a provider cannot say, asked before it is loaded."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from realtts.checkpoints import cache
from realtts.contract.checks import check_unread
from realtts.contract.types import Unread
from realtts.errors import UnspeakableText
from realtts.exception_text import describe_error
from realtts.registry.variants import import_object

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint, ProviderSpec

__all__ = ["unread_before_load"]

_log = logging.getLogger("realtts.provider")


def unread_before_load(
    spec: ProviderSpec, checkpoint: Checkpoint | None, text: str, language: str | None
) -> tuple[Unread, ...] | None:
    """Return what of a text a provider cannot say.

    Args:
        spec: The provider.
        checkpoint: Its weights; those of the hub count where they have been fetched.
        text: Behind the text front end.
        language: A tag of the spec's languages, or None.

    Returns:
        None: Only the model knows; or the plugin is not installed here, or the vocabulary has not been fetched.

    Raises:
        UnspeakableText: It can say nothing of it.
    """
    if spec.unread is None:
        return None
    try:
        unread = import_object(spec.unread)(_fetched(checkpoint), text, language)
        if unread is None:
            return None
        items = tuple(Unread(each.span, each.instead) for each in unread)
        return check_unread(items, f"provider {spec.name!r}", len(text))
    except UnspeakableText:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the plugin may live in an isolated environment, or the files be damaged
        _log.debug("%s: what it cannot say is not known before it is loaded: %s", spec.name, describe_error(error))
        return None


def _fetched(checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Return the checkpoint with the folder that the hub's cache has of it, if there is one."""
    if checkpoint is None or checkpoint.path is not None or not checkpoint.source:
        return checkpoint
    commit = cache.commit_of(checkpoint.source, checkpoint.revision or "main")
    folder = cache.snapshot(checkpoint.source, commit) if commit else None
    return replace(checkpoint, path=folder) if folder is not None and folder.is_dir() else checkpoint
