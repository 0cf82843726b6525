"""Checks of a request's arguments; each failure is a typed error that says who, what and the fix."""

from __future__ import annotations

import math
import numbers
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from realtts.arguments import REQUEST, counterpart, place_of
from realtts.contract.options import Options
from realtts.contract.spec import Checkpoint
from realtts.errors import (
    InvalidOption,
    InvalidPlugin,
    UnknownCheckpoint,
    UnknownLanguage,
    UnknownOption,
    closest,
)
from realtts.exception_text import describe_error
from realtts.kit.languages import closest_language, language_tag, resolve_language
from realtts.registry.variants import import_object
from realtts.settings import Settings
from realtts.synthesis.server_model import model_on_server

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from realtts.contract.spec import ProviderSpec, WantedFile

__all__ = [
    "check_language",
    "check_options",
    "check_seed",
    "check_speed",
    "options_class",
    "reads_markup",
    "resolve_checkpoint",
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
    return UnknownOption(
        f"it has no option {name!r}{closest(name, [*options, MARKUP])}",
        who=who,
        fix=f"choose from {', '.join(dict.fromkeys([*options, MARKUP])) if options else 'none: it has no options'}",
        argument=name,
    )


def resolve_checkpoint(
    model: str | os.PathLike[str] | None, spec: ProviderSpec, configuration: str | None = None
) -> Checkpoint | None:
    """Return the checkpoint to load: a name of the spec, a local path, or a hub id ``owner/name[@revision]``.

    A repository that the spec knows keeps what the spec says of it; of any other the files are wanted that the
    provider's first checkpoint has, since it is a model of the same kind.

    Of a provider that speaks through a server (``remote``) it is what the server is given.

    Args:
        model: What the user gave.
        spec: The provider.
        configuration: What the weights are of, one of the spec's ``configurations``; None: their files tell.

    Raises:
        UnknownCheckpoint: None of these, or there is no such configuration.
    """
    checkpoint = _find_checkpoint(model, spec)
    if configuration is None:
        return checkpoint
    name = _check_configuration(configuration, spec)
    if checkpoint is None or checkpoint in spec.checkpoints:
        if checkpoint is not None and checkpoint.name == name:
            return checkpoint
        what = f"configuration {configuration!r} is given, and no weights of your own"
        raise UnknownCheckpoint(
            what, who=f"provider {spec.name!r}", fix="give them as model=, a local folder, file or hub id"
        )
    return replace(checkpoint, configuration=name)


def _check_configuration(name: str, spec: ProviderSpec) -> str:
    """Return the name as the spec spells it; case does not matter, nor ``_`` instead of ``-``."""
    folded = {each.casefold().replace("_", "-"): each for each in reversed(spec.configurations)}
    spelt = folded.get(name.strip().casefold().replace("_", "-"))
    if spelt is not None:
        return spelt
    if not spec.configurations:
        what, fix = "it has no configurations to choose from", "leave configuration out: the files of its weights tell"
    else:
        what = f"there is no configuration {name!r:.100}{closest(name, spec.configurations)}"
        fix = f"choose from {', '.join(spec.configurations)}"
    raise UnknownCheckpoint(what, who=f"provider {spec.name!r}", fix=fix)


def _find_checkpoint(model: str | os.PathLike[str] | None, spec: ProviderSpec) -> Checkpoint | None:
    if model is None:
        return spec.checkpoints[0] if spec.checkpoints else None
    name = os.fspath(model)
    if spec.remote:
        return model_on_server(name, spec)
    named = {checkpoint.name: checkpoint for checkpoint in spec.checkpoints}
    if name in named:
        return named[name]
    path = os.path.expanduser(name)  # noqa: PTH111 - Path.expanduser raises for users that do not exist
    if name.strip() and "\0" not in name and os.path.exists(path):  # noqa: PTH110 - Path.exists raises for long names
        return Checkpoint(name=Path(path).name, path=Path(path).absolute(), files=_usual_files(spec))
    who = f"provider {spec.name!r}"
    if isinstance(model, str) and _is_hub_id(name) and any(c.source for c in spec.checkpoints):
        return _from_hub_id(name, spec)
    choices = ", ".join(named) or "none: it has no checkpoints to choose from"
    raise UnknownCheckpoint(
        f"there is no checkpoint or folder {name!r:.200}{closest(name, named)}",
        who=who,
        fix=f"choose from {choices}, or give an existing local folder",
    )


def _from_hub_id(name: str, spec: ProviderSpec) -> Checkpoint:
    source, at, revision = name.partition("@")
    listed = next((checkpoint for checkpoint in spec.checkpoints if checkpoint.source == source), None)
    if listed is None:
        return Checkpoint(name=name, source=source, revision=revision or None, files=_usual_files(spec))
    if not at or revision == listed.revision:
        return listed
    # Another revision may be of another size and licence.
    return Checkpoint(name=name, source=source, revision=revision, files=listed.files)


def _usual_files(spec: ProviderSpec) -> tuple[WantedFile, ...]:
    return spec.checkpoints[0].files if spec.checkpoints else ()


def _within(value: Any, low: float, high: float) -> bool:
    return bool(low <= value <= high)  # as it is: float() of a huge number overflows


def _is_hub_id(name: str) -> bool:
    source, at, revision = name.partition("@")
    owner, slash, repository = source.partition("/")
    named = bool(slash and owner and repository) and "/" not in repository and bool(revision or not at)
    return named and not name.startswith((".", "~", "/"))


def _shown(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    try:
        shown = repr(value)
    except Exception:  # huge numbers refuse to be printed, and objects may do anything
        shown = f"a {type(value).__name__}"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
