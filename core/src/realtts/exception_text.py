"""Exceptions, and other objects of foreign code, as text, whatever their own methods do.

A plugin's exception may have a ``__str__`` that raises or returns no string, a text of many megabytes, or a class whose
name cannot be read. What describes an exception of foreign code takes the text from here, so that showing a failure
never becomes another one.
"""

from __future__ import annotations

import builtins
import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = [
    "attribute_text",
    "can_be_shown",
    "cause_of",
    "class_name",
    "describe_error",
    "exception_message",
    "exception_name",
    "format_traceback",
    "linked",
    "origin_of",
    "plain_text",
    "shown",
    "traceback_of",
]

LONGEST_MESSAGE = 2_000
LONGEST_TRACEBACK = 20_000
_MOST_LINKS = 64
_NOT_PLUGINS = sys.stdlib_module_names | {"realtts", "pluggy", "importlib_metadata"}
"""Packages through which the core reaches a plugin."""

_GROUP: Any = getattr(builtins, "BaseExceptionGroup", None)  # from Python 3.11 on


def describe_error(error: BaseException, *, origin: bool = False) -> str:
    """Return class and message, such as ``"ValueError: too long"``; the class alone when there is no message.

    Args:
        error: The exception.
        origin: Add where a plugin's own code failed, if it did.
    """
    name, message = exception_name(error), exception_message(error)
    where = origin_of(error) if origin else ""
    return (f"{name}: {message}" if message else name) + (f" (at {where})" if where else "")


def origin_of(error: BaseException) -> str:
    """Return where a plugin's own code failed: ``"/path/beep.py:12 in generate"``; empty where none of it ran.

    The plugin is the first package that is neither the core nor one that the core calls plugins through. Of its lines
    the innermost counts: the libraries that it calls are not what its author can correct.

    Args:
        error: What was raised, with its traceback.
    """
    if type(error) is SyntaxError and error.filename and error.lineno:
        return f"{error.filename}:{error.lineno}"
    plugin, origin = "", ""
    for frame, line in traceback.walk_tb(traceback_of(error)):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package and not plugin and package not in _NOT_PLUGINS:
            plugin = package
        if plugin and package == plugin:
            origin = f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
    return origin


def exception_name(error: BaseException, *, module: bool = True) -> str:
    """Return the name of an exception's class.

    Args:
        error: The exception.
        module: Put the module in front, unless the class is a builtin.
    """
    cls = type(error)
    name = class_name(cls) or "an exception without a name"
    home = _class_attribute(cls, "__module__")
    return f"{home}.{name}" if module and home and home != "builtins" else name


def class_name(cls: type) -> str:
    """Return the name of a class, whatever its metaclass does; empty where it has none that can be read."""
    return _class_attribute(cls, "__qualname__")


def exception_message(error: BaseException) -> str:
    """Return an exception's text of at most `LONGEST_MESSAGE` characters; empty when it has none."""
    try:
        text = str(error)
    except BaseException as fault:
        return f"its text cannot be shown: __str__ raised {exception_name(fault)}"
    return _cut(plain_text(text))


def can_be_shown(error: BaseException) -> bool:
    """Tell whether an exception has a text, be it an empty one."""
    try:
        return isinstance(str(error), str)
    except BaseException:
        return False


def attribute_text(error: BaseException, name: str) -> str:
    """Return an attribute that is a string; empty when it is missing, is something else or cannot be read."""
    try:
        value = getattr(error, name)
    except BaseException:
        return ""
    return _cut(plain_text(value)) if issubclass(type(value), str) else ""


def format_traceback(error: BaseException) -> str:
    """Return the formatted traceback with all causes: its last `LONGEST_TRACEBACK` characters, long lines cut."""
    trace = traceback_of(error)
    try:
        text = "".join(traceback.format_exception(type(error), error, trace))
    except BaseException:  # attributes that raise, or causes that are nested too deep
        text = "".join(traceback.format_tb(trace)) + describe_error(error) + "\n"
    text = "".join(_cut(line) for line in plain_text(text).splitlines(keepends=True))
    return text if len(text) <= LONGEST_TRACEBACK else f"...\n{text[-LONGEST_TRACEBACK:]}"


def traceback_of(error: BaseException) -> TracebackType | None:
    """Return the traceback of an exception."""
    trace: TracebackType | None = _slot(error, "__traceback__")
    return trace


def cause_of(error: BaseException) -> BaseException | None:
    """Return the explicit cause of an exception."""
    cause: BaseException | None = _slot(error, "__cause__")
    return cause


def linked(error: BaseException, *, contexts: bool = False) -> Iterator[BaseException]:
    """Yield an exception, the members of its group and its causes, each once, outermost first.

    Args:
        error: The exception.
        contexts: Yield also what was being handled when one of them was raised.
    """
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting and len(seen) < _MOST_LINKS:
        link = waiting.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if _GROUP is not None and issubclass(type(link), _GROUP):
            waiting += _GROUP.exceptions.__get__(link)
        waiting += [_slot(link, name) for name in (("__cause__", "__context__") if contexts else ("__cause__",))]


def shown(value: Any, most: int = 80) -> str:
    """Return the beginning of a value's ``repr``, whatever it is, on one line.

    Args:
        value: An object of foreign code.
        most: Longest text.
    """
    try:
        text = " ".join(plain_text(repr(value)).splitlines())
    except KeyboardInterrupt:
        raise
    except BaseException:  # a foreign class's own repr, or a number too long to be written
        return f"a {class_name(type(value)) or 'value'} that cannot be shown"
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _slot(error: BaseException, name: str) -> Any:
    """Return an attribute of every exception, past a property of the same name in its class."""
    return vars(BaseException)[name].__get__(error)


def _class_attribute(cls: type, name: str) -> str:
    """Return the name or module of a class, past a property of the same name in its metaclass."""
    try:
        value = vars(type)[name].__get__(cls)
    except BaseException:
        return ""
    return plain_text(value)[:200] if issubclass(type(value), str) else ""


def plain_text(text: str) -> str:
    """Return a string of the builtin class that can be encoded, such as in a message of JSON."""
    return str.encode(text, "utf-8", "backslashreplace").decode()


def _cut(text: str) -> str:
    rest = len(text) - LONGEST_MESSAGE
    return text if rest <= 0 else f"{text[:LONGEST_MESSAGE]}... ({rest} more characters)"
