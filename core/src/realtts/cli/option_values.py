"""``-O NAME=VALUE``: from the words of a command line to the values that a provider's options expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.documents import parse_json
from realtts.errors import InvalidOption
from realtts.synthesis.validate import check_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from realtts.contract.spec import ProviderSpec

__all__ = ["parse_options"]


def parse_options(assignments: Iterable[str], spec: ProviderSpec) -> dict[str, Any]:
    """Return the options by name, each read as JSON where the option takes that, else as a string.

    Args:
        assignments: ``NAME=VALUE``; ``-`` in the name stands for ``_``. The last one of a name counts.
        spec: Whose options they are.

    Raises:
        InvalidOption: There is no ``=``, or the value is wrong.
        UnknownOption: The provider has no such option.
    """
    return dict(_parse(item, spec) for item in assignments)


def _parse(item: str, spec: ProviderSpec) -> tuple[str, Any]:
    name, equals, raw = item.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name:
        raise InvalidOption(f"{item!r} is not NAME=VALUE", who="--option", fix="write for example -O temperature=0.8")
    try:
        value = parse_json(raw)
    except ValueError:
        value = raw
    try:
        check_options({name: value}, spec)
    except InvalidOption:
        if value == raw or not _accepts(name, raw, spec):
            raise
        return name, raw  # a string option whose value looks like a number
    return name, value


def _accepts(name: str, raw: str, spec: ProviderSpec) -> bool:
    try:
        check_options({name: raw}, spec)
    except InvalidOption:
        return False
    return True
