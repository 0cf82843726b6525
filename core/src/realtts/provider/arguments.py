"""Arguments that are missing, or that were given in another place than where they belong."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, get_args

from realtts.arguments import counterpart
from realtts.errors import InvalidOption, PluginError, SettingsError, UnknownOption
from realtts.provider.shares import Priority
from realtts.registry import providers
from realtts.settings import Settings, unknown_setting
from realtts.synthesis.validate import options_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from realtts.contract.spec import ProviderSpec

__all__ = ["check_keywords", "check_priority", "takes_text"]

P = ParamSpec("P")
R = TypeVar("R")


def takes_text(method: Callable[P, R]) -> Callable[P, R]:
    """Let a method whose first argument is the text say what is wrong when it is missing, or when more are unnamed."""
    parameter = list(inspect.signature(method).parameters)[1]
    name = method.__name__

    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def called_later(*args: P.args, **kwargs: P.kwargs) -> Any:
            _check_call(name, parameter, args, kwargs)
            return await method(*args, **kwargs)

        return cast("Callable[P, R]", called_later)

    @functools.wraps(method)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        _check_call(name, parameter, args, kwargs)
        return method(*args, **kwargs)

    return called


def check_keywords(names: Iterable[str], provider: str | ProviderSpec) -> None:
    """Check that keywords of `RealProvider` are settings.

    Args:
        names: The keywords.
        provider: Whose options they may be instead.

    Raises:
        SettingsError: One is not; says where it belongs.
    """
    for name in names:
        if name in Settings.model_fields:
            continue
        if name in _options_of(provider):
            raise SettingsError(
                f"{name!r} is an option of the provider, not a setting", who=f"keyword {name}=",
                fix=f"give it to generate() as {name}=",
            )  # fmt: skip
        raise unknown_setting(name, f"keyword {name}=")


def check_priority(priority: object) -> Priority:
    """Return a priority that there is.

    Raises:
        InvalidOption: It is another one.
    """
    if priority not in get_args(Priority):
        raise InvalidOption(f"it is {priority!r}", who="priority", fix="give 'interactive' or 'bulk'")
    return cast("Priority", priority)


def _check_call(name: str, parameter: str, args: tuple[object, ...], keywords: Mapping[str, object]) -> None:
    unnamed = len(args) - 1
    if unnamed > 1:
        raise InvalidOption(
            f"it takes one argument without a name, {unnamed} were given", who=name,
            fix=f"give the {parameter} first and name all others: voice=, reference_text=, language=, seed=, speed=",
        )  # fmt: skip
    if unnamed == 0 and parameter not in keywords:
        theirs = next((each for each in keywords if counterpart(each) == "text"), None)
        fix = f"give it as the first argument: {name}({parameter}, ...)"
        if theirs is not None:
            raise UnknownOption(f"there is no {theirs!r}: here it is {parameter}=", who=name, fix=fix)
        raise InvalidOption(f"the {parameter} is missing", who=name, fix=fix)


def _options_of(provider: str | ProviderSpec) -> Iterable[str]:
    try:
        spec = providers.get_spec(provider) if isinstance(provider, str) else provider
        return options_class(spec).model_fields
    except PluginError:
        return ()
