"""From a name to an environment that speaks: get the plugin, resolve, install, prove, switch.

Every build has a folder of its own, and ``environment.json`` says which one is meant. It is replaced as a whole, after
the new build has proved itself; until then nothing of the old one is touched.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from realtts.documents import read_text
from realtts.errors import InstallFailed
from realtts.isolation import environments
from realtts.isolation.environments import IsolatedEnvironment
from realtts.isolation.install import building, keeping, packing
from realtts.isolation.install.locks import locked
from realtts.isolation.install.proving import prove
from realtts.isolation.install.requirements import Pin, checked_argument, checked_name, name_of, read_lock
from realtts.isolation.install.staging import checked_source, stage
from realtts.isolation.install.uv import Uv, find_uv
from realtts.isolation.install.variables import absolute
from realtts.registry.offers import distribution_of_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from realtts.isolation.install.staging import Staged
    from realtts.settings import Settings

__all__ = ["PHASES", "InstallRequest", "distribution_name", "install"]

PHASES = ("wait", "stage", "create", "resolve", "install", "prove", "switch")
"""What an install does, in this order; ``wait`` only when another one runs."""


@dataclass(frozen=True)
class InstallRequest:
    """What to install, and how.

    Attributes:
        name: The provider.
        source: Where the plugin comes from: a folder, a wheel, an address or a requirement; None: the distribution
            ``realtts-NAME``.
        extras: Extras of the plugin.
        python: The Python of the environment, as uv understands it; None: this one, if the plugin allows it.
        torch: ``"cpu"``, ``"cuda"`` or ``"auto"`` (by the GPU's driver); None: a torch wheel in a local folder, else
            what the index has.
        links: Folders and pages with wheels, beside those of the variables of pip and uv.
        locked: A lock file to repeat; None: choose versions.
        upgrade: Build anew although there is one, with the newest versions.
        speak: Prove by speaking also where weights have to be fetched first.
    """

    name: str
    source: str | None = None
    extras: tuple[str, ...] = ()
    python: str | None = None
    torch: str | None = None
    links: tuple[str, ...] = ()
    locked: Path | None = None
    upgrade: bool = False
    speak: bool = False

    def asks_for_something(self) -> bool:
        """Tell whether more is requested than an environment that works."""
        return self != InstallRequest(self.name, speak=self.speak)


def distribution_name(name: str) -> str:
    """Return the name of the distribution that brings a provider."""
    return distribution_of_provider(name_of(name))


def install(
    request: InstallRequest, *, settings: Settings | None = None, tell: Callable[[str, str], None] | None = None
) -> tuple[IsolatedEnvironment, bool]:
    """Make a provider's environment, or leave the one that there is.

    Args:
        request: What to install.
        settings: Says where the environments lie.
        tell: Told of progress: a name from `PHASES`, and words. May raise to stop the install.

    Returns:
        The environment, and whether it was made now.

    Raises:
        InstallFailed: It cannot be made; an earlier one works as before. MissingExtra: there is no uv.
    """
    tell = tell or (lambda _phase, _words: None)
    _check(request)
    program = find_uv()
    home = environments.folder(settings) / request.name
    with locked(keeping.lock_of(home), lambda: tell("wait", "another install of it runs")) as lock:
        keeping.clear(home)
        before = keeping.usable(home)
        if before is not None and not request.asks_for_something():
            return before, False
        recipe = keeping.recipe(home)
        uv = Uv(request.name, home, tell, tuple(map(absolute, request.links)), lock, program)
        try:
            completed = _completed(request, recipe)
            _check(completed)
            build = keeping.new_build(home)
            try:
                environment = _build(uv, completed, build, lock)
                tell("switch", "using it")
                keeping.switch(home, environment)
            except BaseException:
                keeping.discard(build)
                raise
        except OSError as error:
            raise _of_system(request.name, error) from error
        finally:
            keeping.clear(home)
    return environment, True


def _build(uv: Uv, request: InstallRequest, build: Path, lock: int) -> IsolatedEnvironment:
    uv = replace(uv, folder=build)
    wheels = build / keeping.WHEELS
    wheels.mkdir()
    core = packing.pack_core(wheels)
    source = _source(request)
    uv.tell("stage", f"getting {source.requirement}")
    staging = build / "staging"
    staged = stage(
        uv, request.name, source, extras=request.extras, work=staging,
        wheels=wheels, python=building.python_wanted(request.python, ""),
    )  # fmt: skip
    keeping.discard(staging)
    uv.tell("create", "making an empty environment")
    python = building.create(uv, build / "venv", building.python_wanted(request.python, staged.environment.python))
    uv.tell("resolve", "choosing versions")
    pins = (
        building.resolve(uv, staged, core, python, torch=request.torch)
        if request.locked is None
        else _repeated(request, staged, core)
    )
    uv.tell("install", f"installing {len(pins)} packages")
    building.fill(uv, python, pins, torch=request.torch)
    uv.tell("prove", "trying it")
    proof = prove(request.name, python, speak="always" if request.speak else "free", lock=lock)
    if proof["warning"]:
        uv.tell("prove", f"warning: {proof['warning']}")
    (build / keeping.LOCKFILE).write_text(_portable(pins, staged, core), encoding="utf-8")
    keeping.write_recipe(build, _recipe(request, staged))
    return IsolatedEnvironment(
        request.name, python, proof["spec"], proof["core_version"], proof["versions"], proof["distribution"]
    )


def _completed(request: InstallRequest, recipe: dict[str, Any]) -> InstallRequest:
    """Fill in what the environment was made from before, where the request says nothing."""
    if not recipe or request.source is not None:
        return request
    return replace(
        request,
        source=recipe.get("source"),
        extras=request.extras or tuple(recipe.get("extras", ())),
        python=request.python or recipe.get("python"),
        torch=request.torch or recipe.get("torch"),
    )


def _source(request: InstallRequest) -> Pin:
    """Return where the plugin comes from: of a distribution, the version in the lock; with the lock's hashes."""
    source = request.source or distribution_name(request.name)
    if request.locked is None:
        return Pin(source)
    wheel = source.endswith(".whl")
    name = name_of(source.replace("\\", "/").rpartition("/")[2].partition("-")[0] if wheel else source)
    pin = next((pin for pin in _pins(request) if pin.name == name), Pin(source))
    return Pin(source, pin.hashes) if wheel else pin


def _recipe(request: InstallRequest, staged: Staged) -> dict[str, Any]:
    return {
        "source": request.source if staged.wheel is None or request.source is None else absolute(request.source),
        "distribution": staged.distribution,
        "version": staged.version,
        "extras": list(request.extras),
        "python": request.python,
        "torch": request.torch,
    }


def _portable(pins: Sequence[Pin], staged: Staged, core: Path) -> str:
    """Return the lock with versions in place of this machine's files.

    The core, and a plugin that was built here, have no hash in it: they are packed and built anew wherever it is used.
    """
    here = {"realtts": Pin(f"realtts=={core.name.split('-')[1]}")}
    if staged.wheel is not None:
        pin = next(pin for pin in pins if pin.name == name_of(staged.distribution))
        version = f"{staged.distribution}=={staged.version}"
        here[pin.name] = Pin(version, () if staged.built else pin.hashes)
    return "".join(f"{here.get(pin.name, pin).line()}\n" for pin in sorted(pins, key=lambda pin: pin.name))


def _repeated(request: InstallRequest, staged: Staged, core: Path) -> list[Pin]:
    """Return the lock with this core, and with the plugin from its present source."""
    plugin = name_of(staged.distribution)
    pins = {pin.name: pin for pin in _pins(request)}
    if plugin not in pins:
        raise InstallFailed(
            f"{request.locked} is not a lock of {staged.distribution}", who=f"installing {request.name!r}",
            fix="name the requirements.lock of such an environment: --locked FILE", phase="resolve",
        )  # fmt: skip
    pins["realtts"] = Pin(f"realtts @ {core.as_uri()}", (_digest(core),))
    if staged.wheel is not None:
        pins[plugin] = Pin(staged.requirement, pins[plugin].hashes or (_digest(staged.wheel),))
    return list(pins.values())


def _digest(file: Path) -> str:
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def _pins(request: InstallRequest) -> list[Pin]:
    """Read the lock."""
    assert request.locked is not None
    try:
        return read_lock(read_text(request.locked))
    except (OSError, ValueError) as error:
        raise InstallFailed(
            f"{request.locked} cannot be read: {error}", who=f"installing {request.name!r}",
            fix="name the requirements.lock of an environment: --locked FILE", phase="stage",
        ) from error  # fmt: skip


def _check(request: InstallRequest) -> None:
    """Check everything that becomes an argument of uv, before anything is made.

    Raises:
        InstallFailed: Something is not what it should be.
    """
    _check_name(request.name)
    values = [
        ("--from", request.source, checked_source, "a folder, a wheel, an address or a requirement"),
        ("--python", request.python, checked_argument, "a version such as 3.11, or a path"),
        ("--torch", request.torch, _checked_build, f"one of {', '.join(building.BUILDS)}"),
        *(("--extra", extra, checked_name, "the name of an extra of the plugin") for extra in request.extras),
        *(("--find-links", link, checked_argument, "a folder, or an address of a page") for link in request.links),
    ]
    for option, value, check, fix in values:
        try:
            if value is not None:
                check(value)
        except ValueError as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise InstallFailed(
                f"{option} is {value!r}, which is refused: {reason}", who=f"installing {request.name!r}",
                fix=f"give {fix}", phase="stage",
            ) from error  # fmt: skip
    if request.locked is not None:
        _pins(request)


def _checked_build(torch: str) -> str:
    if torch not in building.BUILDS:
        raise ValueError("there is no such build")
    return torch


def _check_name(name: str) -> None:
    if re.fullmatch(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*", name) is None:
        raise InstallFailed(
            "is no name of a provider", who=repr(name), phase="stage",
            fix="give lower case letters, digits, '-' and '_'; a path belongs to --from",
        )  # fmt: skip


def _of_system(name: str, error: OSError) -> InstallFailed:
    from realtts.isolation.install.failures import failure

    return failure(name, "install", error.errno or 0, (f"error: {error.strerror or error} (os error {error.errno})",))
