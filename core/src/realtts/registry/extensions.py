"""Extensions see every provider's requests, in the process of the application (entry points ``realtts.extensions``)."""

from __future__ import annotations

import inspect
import logging
import sys
from typing import TYPE_CHECKING, Any

from realtts.contract.checks import check_chunk
from realtts.contract.types import Chunk
from realtts.errors import ExtensionError, InvalidChunk, InvalidPlugin, RealTTSError
from realtts.exception_text import can_be_shown, describe_error, format_traceback
from realtts.registry.entry_points import entry_points
from realtts.registry.variants import check_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from importlib_metadata import EntryPoint

    from realtts.contract.events import Event
    from realtts.contract.types import Request

__all__ = ["GROUP", "Extensions", "discover_extensions", "load_extension"]

GROUP = "realtts.extensions"

_METHODS = {
    "prepare_text": ("text", "language"),
    "process_audio": ("chunk", "request"),
    "on_event": ("event",),
}
_log = logging.getLogger("realtts.extensions")


class Extensions:
    """A chain of extensions in name order, each fed the previous one's result.

    An extension is any object with one or more of these methods::

        prepare_text(text: str, language: str | None) -> str
        process_audio(chunk: Chunk, request: Request) -> Chunk     # the same sample rate
        on_event(event: Event) -> None                             # errors are logged and harm nobody

    Args:
        named: Extension objects by name.

    Raises:
        InvalidPlugin: A method has a wrong signature, or an object has none of them.
    """

    def __init__(self, extensions: Mapping[str, Any] | None = None) -> None:
        self._chain = sorted((extensions or {}).items())
        self._listeners: list[Callable[[Event], None]] = []
        for name, extension in self._chain:
            _check(name, extension)

    def __len__(self) -> int:
        return len(self._chain)

    def names(self) -> list[str]:
        """Return the names in calling order."""
        return [name for name, _ in self._chain]

    def add_listener(self, listener: Callable[[Event], None]) -> None:
        """Call a function with every event, after the extensions."""
        self._listeners.append(listener)

    def prepare_text(self, text: str, language: str | None) -> str:
        """Return the text after every extension.

        Raises:
            ExtensionError: An extension raised, or returned something that is not a string.
        """
        for name, extension in self._having("prepare_text"):
            text = _call(name, "prepare_text", extension, str, text, language)
        return text

    def process_audio(self, chunk: Chunk, request: Request) -> Chunk:
        """Return the chunk after every extension.

        Raises:
            ExtensionError: An extension raised, or returned something that is not a chunk of the same rate.
        """
        rate = chunk.sample_rate
        for name, extension in self._having("process_audio"):
            returned = _call(name, "process_audio", extension, Chunk, chunk, request)
            try:
                # Marks are in the caller's text here, which the request of a piece does not know.
                chunk = check_chunk(returned, (rate,), rate, f"extension {name!r}", sys.maxsize)
            except InvalidChunk as error:
                raise _fault(name, "process_audio", error.what) from error
        return chunk

    def on_event(self, event: Event) -> None:
        """Tell every extension; never raises."""
        for name, extension in self._having("on_event"):
            try:
                extension.on_event(event)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                # As text: a log handler may keep the exception, whose frames may hold anything.
                _log.error("extension %r failed in on_event(%s)\n%s", name, event.name, format_traceback(error))
        for listener in self._listeners:
            try:
                listener(event)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                _log.error("a listener failed with the event %s\n%s", event.name, format_traceback(error))

    def _having(self, method: str) -> Sequence[tuple[str, Any]]:
        return [(name, extension) for name, extension in self._chain if hasattr(extension, method)]


def discover_extensions() -> Extensions:
    """Return the installed extensions; one that cannot be imported or used is logged and left out."""
    usable: dict[str, Any] = {}
    for point in entry_points(GROUP):
        try:
            extension = load_extension(point)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            what = "extension %r (%s) is left out: it cannot be used\n%s"
            _log.warning(what, point.name, point.value, format_traceback(error))
        else:
            usable[point.name] = extension
    return Extensions(usable)


def load_extension(point: EntryPoint) -> Any:
    """Load and check the extension object of an entry point; a class is instantiated.

    Raises:
        InvalidPlugin: It has no extension method, or one with a wrong signature. Else whatever its import raises.
    """
    extension = point.load()
    extension = extension() if inspect.isclass(extension) else extension
    _check(point.name, extension)
    return extension


def _check(name: str, extension: Any) -> None:
    who = f"extension {name!r}"
    present = [method for method in _METHODS if hasattr(extension, method)]
    if not present:
        raise InvalidPlugin("it has none of the extension methods", who=who, fix=f"define {', '.join(_METHODS)}")
    for method in present:
        check_signature(getattr(extension, method), _METHODS[method], f"{who}.{method}", method, exact=True)


def _call(name: str, method: str, extension: Any, expected: type[Any], *arguments: Any) -> Any:
    try:
        result = getattr(extension, method)(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if issubclass(type(error), RealTTSError) and can_be_shown(error):
            raise
        raise _fault(name, method, f"it raised {describe_error(error, origin=True)}") from error
    if not isinstance(result, expected):
        raise _fault(name, method, f"it returned {type(result).__name__} instead of {expected.__name__}")
    return result


def _fault(name: str, method: str, what: str) -> ExtensionError:
    return ExtensionError(
        what, who=f"extension {name!r}.{method}", fix="correct the extension or uninstall its distribution"
    )
