"""Registration of a provider's two variants: faults are found here, by name and with the fix."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy

from realtts.contract.hooks import ProviderHooks, hookimpl
from realtts.errors import BrokenProvider, InvalidPlugin, closest
from realtts.exception_text import class_name, describe_error, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realtts.contract.spec import ProviderSpec

__all__ = ["Variants", "check_signature", "import_object", "register"]

_HOOKS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(function).parameters)[1:]
    for name, function in vars(ProviderHooks).items()
    if inspect.isfunction(function)
}
"""Hook name -> parameter names, from the specifications."""

_ORDERING = ("tryfirst", "trylast", "wrapper", "hookwrapper")


class Variants:
    """The instances of ``plain`` and, over it, ``optimized``, behind one plugin manager of their own.

    Attributes:
        optimized_error: Why the optimized variant could not be imported, or None.
    """

    def __init__(self, spec: ProviderSpec, plain: object, optimized: object | None) -> None:
        self._manager = pluggy.PluginManager("realtts")
        self._manager.add_hookspecs(ProviderHooks)
        self._instances = {"plain": plain, "optimized": optimized}
        self.optimized_error: BaseException | None = None
        for name, instance in self._instances.items():
            if instance is not None:
                self._register(instance, f"{spec.name}:{name}")
        self._manager.check_pending()
        self._callers = {
            (variant, hook): caller
            for variant in self._instances
            for hook in _HOOKS
            if (caller := self._caller(variant, hook)) is not None
        }

    def implements(self, variant: str, hook: str) -> bool:
        """Tell whether a rung of that variant has an implementation of the hook, its own or plain's."""
        return (variant, hook) in self._callers

    def defines(self, variant: str, hook: str) -> bool:
        """Tell whether the variant's own class implements the hook."""
        instance = self._instances[variant]
        return instance is not None and any(
            plugin.plugin is instance for plugin in getattr(self._manager.hook, hook).get_hookimpls()
        )

    def call(self, variant: str, hook: str, **arguments: Any) -> Any:
        """Call exactly one implementation; None when there is none."""
        caller = self._callers.get((variant, hook))
        return None if caller is None else caller(**arguments)

    def _register(self, instance: object, name: str) -> None:
        try:
            hash(instance)  # pluggy keeps them in sets
            self._manager.register(instance, name=name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # an instance that cannot be hashed or compared, for example
            raise InvalidPlugin(
                f"its instance cannot be registered: {describe_error(error, origin=True)}",
                who=f"{name}, {class_name(type(instance))}",
                fix="let instances be hashable, and hooks plain methods of the class",
            ) from error

    def _caller(self, variant: str, hook: str) -> pluggy.HookCaller | None:
        """Return the hook's caller with only the implementation that this variant uses."""
        chosen = next((v for v in (variant, "plain") if self.defines(v, hook)), None)
        if chosen is None:
            return None
        unused = [i for v, i in self._instances.items() if v != chosen and i is not None]
        return self._manager.subset_hook_caller(hook, remove_plugins=unused)


def register(spec: ProviderSpec) -> Variants:
    """Import, check and construct the variants of a provider.

    An optimized variant that cannot be imported does not stop the plain one: the reason is kept for the ladder.

    Raises:
        BrokenProvider: The plain variant cannot be imported.
        InvalidPlugin: A class breaks the contract.
    """
    try:
        plain_class = import_object(spec.plain)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise BrokenProvider(
            f"its plain variant {spec.plain!r} cannot be imported: {describe_error(error, origin=True)}",
            who=f"provider {spec.name!r}",
            fix="reinstall the plugin, or run 'realtts doctor'",
        ) from error
    optimized_class, failure = None, None
    if spec.optimized is not None:
        try:
            optimized_class = import_object(spec.optimized)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failure = error
    plain = _made(plain_class, spec, required=("load", "generate"))
    optimized = None if optimized_class is None else _made(optimized_class, spec, required=())
    variants = Variants(spec, plain, optimized)
    variants.optimized_error = failure
    return variants


def import_object(path: str) -> Any:
    """Import the object that a path ``"package.module:attribute"`` names.

    Raises:
        ImportError: The module or the attribute is missing.
    """
    module_name, _, attributes = path.partition(":")
    value: Any = importlib.import_module(module_name)
    for attribute in attributes.split("."):
        try:
            value = getattr(value, attribute)
        except AttributeError:
            raise ImportError(f"module {module_name!r} has no {attributes!r}{closest(attribute, dir(value))}") from None
    return value


def check_signature(
    function: Callable[..., Any], expected: tuple[str, ...], who: str, hook: str, *, exact: bool = False
) -> None:
    """Raise `InvalidPlugin` unless the function takes the hook's parameters, by position.

    Args:
        function: Bound or static function, without ``self``.
        expected: Parameter names of the hook.
        who: Class and method, for the message.
        hook: Name of the hook, for the message.
        exact: All parameters are needed, in this order; pluggy itself allows a hook to leave some out.
    """
    signature = f"{hook}(self, {', '.join(expected)})"
    fix = f"write def {signature}"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidPlugin("it is async", who=who, fix=f"write a plain function or generator: def {signature}")
    parameters = inspect.signature(function).parameters
    for name, parameter in parameters.items():
        if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            kind = parameter.kind.description
            raise InvalidPlugin(f"its parameter {name!r} is {kind}", who=who, fix=fix)
        if parameter.default is not inspect.Parameter.empty:
            # pluggy does not pass arguments to parameters with defaults, so the value would never arrive.
            raise InvalidPlugin(f"its parameter {name!r} has a default", who=who, fix=fix)
        if name not in expected:
            raise InvalidPlugin(f"its parameter {name!r} is not one of the hook's", who=who, fix=fix)
    if exact and tuple(parameters) != expected:
        missing = next((name for name in expected if name not in parameters), None)
        what = f"its parameter {missing!r} is missing" if missing else "its parameters are in another order"
        raise InvalidPlugin(what, who=who, fix=fix)


def _made(cls: Any, spec: ProviderSpec, required: tuple[str, ...]) -> object:
    """Check a class and construct it.

    Raises:
        InvalidPlugin: It breaks the contract, cannot be constructed, or cannot even be looked at.
    """
    try:
        _check_class(cls, spec, required)
        return _construct(cls, spec)
    except (InvalidPlugin, KeyboardInterrupt):
        raise
    except BaseException as error:  # a metaclass may do anything when a class is looked at
        raise InvalidPlugin(
            f"its class cannot be examined: {describe_error(error, origin=True)}", who=f"provider {spec.name!r}",
            fix="let the import path name a plain class",
        ) from error  # fmt: skip


def _check_class(cls: Any, spec: ProviderSpec, required: tuple[str, ...]) -> None:
    label = f"provider {spec.name!r}, {class_name(cls) if inspect.isclass(cls) else shown(cls)}"
    if not inspect.isclass(cls):
        raise InvalidPlugin(f"{shown(cls)} is not a class", who=label, fix="let the import path name a class")
    implemented: set[str] = set()
    for name, method, marked in _methods(cls):
        if marked is None:
            if name in _HOOKS:
                raise InvalidPlugin(
                    f"{name} has no decorator", who=label, fix=f"put @hookimpl directly above def {name}, below others"
                )
            continue
        hook = marked.get("specname") or name
        _check_marks(label, name, hook, marked, implemented)
        if method.first in _HOOKS.get(hook, ()):
            raise InvalidPlugin(f"{name} has no self", who=label, fix=f"write def {name}(self, ...)")
        check_signature(method.bound, _HOOKS[hook], f"{label}.{name}", hook)
        implemented.add(hook)
    for hook in required:
        if hook not in implemented:
            parameters = ", ".join(("self", *_HOOKS[hook]))
            raise InvalidPlugin(f"{hook} is missing", who=label, fix=f"add @hookimpl def {hook}({parameters})")


def _check_marks(label: str, name: str, hook: str, marked: dict[str, Any], implemented: set[str]) -> None:
    """Check the decorator of one method: a known hook, implemented once, without ordering."""
    if hook not in _HOOKS:
        raise InvalidPlugin(
            f"there is no hook {hook!r}{closest(hook, _HOOKS)}", who=label, fix=f"use one of {', '.join(_HOOKS)}"
        )
    if hook in implemented:
        raise InvalidPlugin(f"{name} is a second {hook}", who=label, fix="exactly one implementation of each hook runs")
    for option in _ORDERING:
        if marked.get(option):
            raise InvalidPlugin(
                f"{name} is marked {option}",
                who=label,
                fix="write @hookimpl without it: exactly one implementation of each hook runs",
            )


class _Method(NamedTuple):
    """A function of a class: as it looks when bound, and the first parameter that binding took, if any."""

    bound: Callable[..., Any]
    first: str


def _methods(cls: type) -> Iterator[tuple[str, _Method, dict[str, Any] | None]]:
    """Yield the functions of a class, with the options of their decorator or None; pluggy looks at all names too."""
    for name in dir(cls):
        static = inspect.getattr_static(cls, name)
        function = static.__func__ if isinstance(static, (staticmethod, classmethod)) else static
        if name.startswith("__") or not inspect.isfunction(function):
            continue
        options = getattr(function, f"{hookimpl.project_name}_impl", None)
        if isinstance(static, staticmethod):
            yield name, _Method(function, ""), options
        else:
            yield (
                name,
                _Method(function.__get__(object()), next(iter(inspect.signature(function).parameters), "")),
                options,
            )


def _construct(cls: Any, spec: ProviderSpec) -> object:
    try:
        instance: object = cls()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise InvalidPlugin(
            f"{class_name(cls)}() raises {describe_error(error, origin=True)}",
            who=f"provider {spec.name!r}",
            fix="let the class be constructed without arguments and do the work in load",
        ) from error
    for name, value in getattr(instance, "__dict__", {}).items():
        if _is_marked(value):
            raise InvalidPlugin(
                f"{name} is set on the instance",
                who=f"provider {spec.name!r}",
                fix="define hooks as methods of the class",
            )
    return instance


def _is_marked(value: Any) -> bool:
    """Tell whether an object has the decorator of hooks; one that imports something when it is asked has not."""
    try:
        return hasattr(value, f"{hookimpl.project_name}_impl")
    except Exception:
        return False
