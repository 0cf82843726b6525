"""What a request needs beside the model, asked before anything is loaded or fetched."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from realtts.errors import RealTTSError
from realtts.exception_text import can_be_shown, describe_error
from realtts.registry.variants import import_object

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.contract.types import Request

__all__ = ["check_requests"]

_log = logging.getLogger("realtts.provider")


def check_requests(spec: ProviderSpec, checkpoint: Checkpoint | None, requests: Iterable[Request]) -> None:
    """Let the plugin check requests; those that differ in their text alone are checked once.

    Raises:
        RealTTSError: The plugin's: what one needs is not installed.
    """
    if spec.check_request is None:
        return
    checked: list[tuple[object, ...]] = []
    for request in requests:
        asked = (request.language, request.voice, request.options)
        if asked in checked:
            continue
        checked.append(asked)
        try:
            import_object(spec.check_request)(checkpoint, request)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if issubclass(type(error), RealTTSError) and can_be_shown(error):
                raise
            # The plugin may live in an isolated environment, where the request is checked too.
            _log.debug("%s: a request cannot be checked before a load: %s", spec.name, describe_error(error))
            return
