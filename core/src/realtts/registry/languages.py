"""The languages of one checkpoint, where a provider's checkpoints do not all speak the same."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from realtts.exception_text import describe_error
from realtts.registry.variants import import_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.spec import Checkpoint, ProviderSpec

__all__ = ["with_languages"]

_log = logging.getLogger("realtts")


def with_languages(spec: ProviderSpec, checkpoint: Checkpoint | None) -> ProviderSpec:
    """Return the spec with the languages that a checkpoint speaks, its default first.

    Args:
        spec: The provider.
        checkpoint: Which one is meant; None where the provider has none.
    """
    languages = _languages(spec, checkpoint) if checkpoint is not None else ()
    return replace(spec, languages=tuple(languages)) if languages else spec


def _languages(spec: ProviderSpec, checkpoint: Checkpoint) -> Sequence[str]:
    if checkpoint.languages or spec.checkpoint_languages is None:
        return checkpoint.languages
    try:
        languages = tuple(import_object(spec.checkpoint_languages)(checkpoint) or ())
        if not all(isinstance(tag, str) for tag in languages):
            raise TypeError("it names a language by something else than a text")
        return languages
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # The plugin may live in an isolated environment, or the files be damaged: loading tells more than this could.
        _log.debug("%s: its languages are not known before it is loaded: %s", spec.name, describe_error(error))
        return ()
