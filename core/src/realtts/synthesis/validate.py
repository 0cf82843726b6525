"""Checks of a request's arguments; each failure is a typed error that says who, what and the fix."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from realtts.arguments import REQUEST, counterpart, place_of
from realtts.contract.options import Options
from realtts.errors import (
    InvalidOption,
    InvalidPlugin,
    UnknownLanguage,
    UnknownOption,
    nearest,
)
from realtts.exception_text import describe_error, shown
from realtts.kit.languages import closest_language, language_tag, resolve_language
from realtts.registry.variants import import_object
from realtts.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from realtts.contract.spec import ProviderSpec

__all__ = [
    "check_language",
    "check_options",
    "check_seed",
    "check_speed",
    "options_class",
    "reads_markup",
]

SPEED_RANGE = (0.25, 4.0)
MAX_SEED = 2**63 - 1
MARKUP = "ssml"
"""The option that every provider has: the core reads SSML for those that do not read it themselves."""


def check_speed(speed: Any, who: str) -> float:
    """Return the speed as a float from 0.25 to 4.

    Raises:
        InvalidOption: Not a number, or out of range.
    """
    low, high = SPEED_RANGE
    # numbers.Real: numpy's scalars are numbers too, but bool is not meant.
    if isinstance(speed, bool) or not isinstance(speed, numbers.Real) or not _within(speed, low, high):
        raise InvalidOption(
            f"speed is {_shown(speed)}",
            who=who,
            fix=f"give a number from {low} to {high:g}; 1.0 is natural",
            argument="speed",
        )
    return float(speed)


def check_seed(seed: Any, who: str) -> int:
    """Return the seed as an int from 0 to 2**63 - 1.

    Raises:
        InvalidOption: Not a whole number, or out of range.
    """
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or not 0 <= int(seed) <= MAX_SEED:
        raise InvalidOption(
            f"seed is {_shown(seed)}", who=who, fix="give a whole number from 0 to 2**63 - 1, or None", argument="seed"
        )
    return int(seed)


def check_language(language: Any, spec: ProviderSpec) -> str | None:
    """Return the language as the spec spells it: given by tag, code or name, see `realtts.kit.languages`.

    For a provider whose spec lists none, the tag of the language, or what was given where it has none.

    Raises:
        UnknownLanguage: The provider does not speak it.
    """
    if language is None:
        return None
    who = f"provider {spec.name!r}"
    if not isinstance(language, str) or not language.strip():
        raise UnknownLanguage(
            f"language is {_shown(language)}", who=who, fix="give a BCP 47 tag such as 'en' or 'pt-br', or a name"
        )
    if not spec.languages:
        return language_tag(language)
    tag = resolve_language(language, spec.languages, spec.language_names)
    if tag is not None:
        return tag or None
    some = ", ".join(spec.languages[:12]) + (", ..." if len(spec.languages) > 12 else "")
    raise UnknownLanguage(
        f"it does not speak {language!r}{closest_language(language, spec.languages, spec.language_names)}",
        who=who,
        fix=f"choose from {some}",
    )


def options_class(spec: ProviderSpec) -> type[Options]:
    """Return the class of the provider's options; the empty base class when it has none.

    Raises:
        InvalidPlugin: The spec names something that is not a subclass of `Options`.
    """
    options = spec.options
    try:
        options = import_object(options) if isinstance(options, str) else options
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise InvalidPlugin(
            f"its options {spec.options!r} cannot be imported: {describe_error(error)}", who=f"provider {spec.name!r}",
            fix="correct the import path in the spec",
        ) from error  # fmt: skip
    if options is None:
        return Options
    if not (isinstance(options, type) and issubclass(options, Options)):
        raise InvalidPlugin(
            f"its options {spec.options!r} are not a subclass of realtts.Options", who=f"provider {spec.name!r}",
            fix="derive the class from realtts.Options",
        )  # fmt: skip
    return options


def check_options(options: Mapping[str, Any], spec: ProviderSpec) -> Options:
    """Return a validated instance of the provider's options.

    Raises:
        UnknownOption: No such option; names the closest.
        InvalidOption: Wrong type or out of range; gives the range.
    """
    cls = options_class(spec)
    who = f"provider {spec.name!r}"
    if MARKUP not in cls.model_fields:
        reads_markup(options, spec)
        options = {name: value for name, value in options.items() if name != MARKUP}
    for name in options:
        if name not in cls.model_fields:
            raise _unknown_option(name, cls.model_fields, spec)
    try:
        return cls(**options)
    except KeyboardInterrupt:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        name = str(first["loc"][0]) if first["loc"] else ""
        field = cls.model_fields.get(name)
        raise InvalidOption(
            f"option {where} is {_shown(options.get(name))}: {first['msg'][:1].lower()}{first['msg'][1:]}",
            who=who,
            fix=f"{name}: {field.description.rstrip('.')}" if field and field.description else "correct the value",
            argument=name,
        ) from None
    except BaseException as error:  # of a validator of the plugin's
        raise InvalidPlugin(
            f"its options cannot be checked: {describe_error(error)}", who=who, fix="report it to the plugin's author"
        ) from error


def reads_markup(options: Mapping[str, Any], spec: ProviderSpec) -> bool:
    """Tell whether the core has to read the text as SSML: it is asked to, and the provider does not do so itself.

    Raises:
        InvalidOption: The option ``ssml`` is neither True nor False.
    """
    if MARKUP not in options or MARKUP in options_class(spec).model_fields:
        return False
    value = options[MARKUP]
    if not isinstance(value, bool):
        raise InvalidOption(
            f"option {MARKUP} is {_shown(value)}", who=f"provider {spec.name!r}",
            fix="give True where the text is SSML", argument=MARKUP,
        )  # fmt: skip
    return value


def _unknown_option(name: str, options: Collection[str], spec: ProviderSpec) -> UnknownOption:
    """Make the error for a name that is no option: it says where the name belongs, or names the nearest option."""
    who, fields = f"provider {spec.name!r}", Settings.model_fields
    ours = name if name in REQUEST or name in fields else counterpart(name, dict(spec.upstream_names))
    if ours is not None:
        word = ours.isidentifier()
        called = f": here it is {ours}=" if word and ours != name else ""
        fix = place_of(ours, fields, options)
        return UnknownOption(f"it has no option {name!r}{called}", who=who, fix=fix, argument=name)
    near = nearest(name, [*options, MARKUP, *(each for each in REQUEST if each != "texts")])
    if near is not None and near in REQUEST:
        what = f"it has no option {name!r} (did you mean {near!r}?)"
        return UnknownOption(what, who=who, fix=place_of(near, fields, options), argument=name)
    hint = f" (did you mean {near!r}?)" if near is not None else ""
    return UnknownOption(
        f"it has no option {name!r}{hint}",
        who=who,
        fix=f"choose from {', '.join(dict.fromkeys([*options, MARKUP])) if options else 'none: it has no options'}",
        argument=name,
    )


def _within(value: Any, low: float, high: float) -> bool:
    return bool(low <= value <= high)  # as it is: float() of a huge number overflows


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else shown(value, 60)
