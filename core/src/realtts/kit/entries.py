"""Entries of a configuration: taken out and checked, with the errors for what does not fit the model."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from realtts.documents import MALFORMED, reason_of
from realtts.kit.reading import mismatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["MOST_LAYERS", "check_supported", "count", "positive", "reading_entries"]

MOST_LAYERS = 1024
"""More layers than any model has. Names and shapes are made layer by layer, which must come to an end."""

_MOST_COUNT = 2**31 - 1


def check_supported(config: Mapping[str, Any], supported: Mapping[str, Any]) -> None:
    """Refuse features that a plugin's networks lack; for use inside `reading_entries`.

    Args:
        config: Entries of a configuration.
        supported: Name -> the one value that is supported; an entry may be missing.

    Raises:
        ValueError: One has another value.
    """
    for name, value in supported.items():
        if config.get(name, value) != value:
            raise ValueError(f"{name} is {config[name]!r:.80}, only {value!r} is supported")


def count(
    config: Mapping[str, Any], name: str, default: int | None = None, *, least: int = 1, most: int = _MOST_COUNT
) -> int:
    """Read a whole number of a configuration, such as a width; for use inside `reading_entries`.

    Args:
        config: Entries of the configuration.
        name: Which one.
        default: Stands for an entry that is missing or null; None: it must be there.
        least: The smallest that makes sense.
        most: The largest; `MOST_LAYERS` for numbers of layers.

    Raises:
        KeyError: It is missing.
        ValueError: It is no whole number, or too small or too large.
    """
    value = config[name] if default is None else config.get(name)
    if value is None and default is not None:
        return default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} is {value!r:.60}, no whole number")
    if not least <= value <= most:
        raise ValueError(f"{name} is {value!r:.60}, expected a number from {least} to {most}")
    return value


def positive(config: Mapping[str, Any], name: str, default: float | None = None) -> float:
    """Read a number above zero of a configuration, such as an epsilon; for use inside `reading_entries`.

    Args:
        config: Entries of the configuration.
        name: Which one.
        default: Stands for an entry that is missing or null; None: it must be there.

    Raises:
        KeyError: It is missing.
        ValueError: It is no number, or not above zero.
    """
    value = config[name] if default is None else config.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise ValueError(f"{name} is {value!r:.60}, no number above zero")
    return float(value)


@contextlib.contextmanager
def reading_entries(who: str) -> Iterator[None]:
    """Turn errors of reading a configuration's entries in the body into the error for the file.

    Args:
        who: The file.

    Raises:
        CheckpointMismatch: An entry is missing, or of a wrong type or value.
    """
    try:
        yield
    except KeyError as error:
        raise mismatch(reason_of(error), who) from error
    except MALFORMED as error:
        raise mismatch(f"it cannot be understood: {reason_of(error)}", who) from error
