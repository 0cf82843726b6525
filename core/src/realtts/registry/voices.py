"""A provider's built-in voices as far as its plugin can name them without the model."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from realtts.contract.checks import check_voices
from realtts.exception_text import describe_error
from realtts.registry.variants import import_object

if TYPE_CHECKING:
    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.contract.types import VoiceInfo

__all__ = ["voices_before_load"]

_log = logging.getLogger("realtts")
_checked: dict[str, tuple[VoiceInfo, ...]] = {}
"""What each plugin's function returned last, and was found to be right."""


def voices_before_load(spec: ProviderSpec, checkpoint: Checkpoint | None) -> tuple[VoiceInfo, ...] | None:
    """List the built-in voices of a checkpoint without loading it.

    Args:
        spec: The provider.
        checkpoint: Which one; None where the provider has none.

    Returns:
        None: Only the model knows them; or the plugin is not installed here.
    """
    if spec.voices is None or "voices" not in spec.capabilities:
        return None
    try:
        voices = import_object(spec.voices)(checkpoint)
        if voices is None:
            return None
        if voices != _checked.get(spec.voices):  # asked at every request, and hardly ever another answer
            _checked[spec.voices] = check_voices(voices, f"provider {spec.name!r}")
        return _checked[spec.voices]
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # The plugin may live in an isolated environment, or the files be damaged: loading tells more than this could.
        _log.debug("%s: its voices cannot be listed before it is loaded: %s", spec.name, describe_error(error))
        return None
