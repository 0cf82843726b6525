"""Requirements as PEP 508 has them: of a spec, of the user, of a lock.

uv reads requirements as lines of a file, in which options, variables and names of further files count as well. So no
string that others wrote reaches it as it came: each is parsed, and what was understood is written anew.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from realtts.contract.spec import Environment
from realtts.errors import InstallFailed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Pin", "checked_address", "checked_argument", "checked_environment", "checked_name", "checked_requirement",
    "checked_version", "name_of", "read_lock",
]  # fmt: skip

_SCHEMES = ("https", "http", "file", "git+https", "git+http", "git+ssh", "git+file")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_HASH = re.compile(r"--hash=((?:sha256|sha384|sha512):[0-9a-f]{64,128})")
_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


class Pin(NamedTuple):
    """One line of a lock.

    Attributes:
        requirement: A distribution with its version or address.
        hashes: ``"sha256:..."`` of every file that may be installed for it; empty: any.
    """

    requirement: str
    hashes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The distribution, as indexes compare names."""
        return name_of(self.requirement)

    def line(self) -> str:
        """Return it as a lock has it."""
        return " \\\n    ".join([self.requirement, *(f"--hash={value}" for value in self.hashes)])


def name_of(requirement: str) -> str:
    """Return the name in a requirement, as indexes compare it; empty when it begins with none."""
    match = _NAME.match(requirement)
    return canonicalize_name(match[1]) if match else ""


def checked_requirement(text: object) -> str:
    """Return a requirement, written anew.

    Raises:
        ValueError: It is no requirement of PEP 508, or its address is none that is followed.
    """
    _check_text(text)
    if "$" in str(text):  # uv fills in variables, so that a requirement could carry a secret away
        raise ValueError("it has a variable")
    requirement = Requirement(str(text))  # InvalidRequirement is a ValueError
    if requirement.url is not None:
        _check_address(requirement.url)
    return str(requirement)


def checked_name(text: object) -> str:
    """Return a distribution's name, as indexes compare it.

    Raises:
        ValueError: It is none.
    """
    return _anew(text, functools.partial(canonicalize_name, validate=True), "name of a distribution")


def checked_version(text: object) -> str:
    """Return a version, written anew.

    Raises:
        ValueError: It is none.
    """
    return _anew(text, Version, "version")


def checked_specifier(text: object) -> str:
    """Return a range of versions, written anew; an empty one stays empty.

    Raises:
        ValueError: It is none.
    """
    return _anew(text, SpecifierSet, "range of versions")


def checked_argument(text: object) -> str:
    """Return what is to be a value on uv's command line.

    Raises:
        ValueError: It would be read as an option, or as nothing.
    """
    _check_text(text)
    if not str(text).strip() or str(text).lstrip().startswith("-"):
        raise ValueError("it is empty, or looks like an option")
    return str(text)


def checked_address(text: str) -> str:
    """Return the address that a plugin comes from.

    Raises:
        ValueError: It is none that is followed.
    """
    _check_text(text)
    _check_address(text)
    return text


def checked_environment(environment: Environment, name: str) -> Environment:
    """Return what a spec says of its environment, every string written anew.

    Raises:
        InstallFailed: One of them is not what it should be; the error names it.
    """

    def each(values: object, kind: str, check: Callable[[object], str]) -> tuple[str, ...]:
        if not isinstance(values, (tuple, list)):
            return (one(values, kind, _no_list),)
        return tuple(one(value, kind, check) for value in values)

    def one(value: object, kind: str, check: Callable[[object], str]) -> str:
        try:
            return check(value)
        except ValueError as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise InstallFailed(
                f"its spec's environment has the {kind} {_shown(value)}, which is refused: {reason}",
                who=f"provider {name!r}", fix="report it to the plugin's authors: give a requirement of PEP 508",
                phase="stage",
            ) from error  # fmt: skip

    return Environment(
        python=one(environment.python, "Python", checked_specifier),
        requirements=each(environment.requirements, "requirement", checked_requirement),
        overrides=each(environment.overrides, "override", checked_requirement),
        exclude=each(environment.exclude, "exclusion", checked_name),
    )


def read_lock(text: str) -> list[Pin]:
    """Read a lock: pinned requirements, each with its hashes; comments and empty lines are left out.

    Raises:
        ValueError: A line is something else.
    """
    pins = []
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        content = re.sub(r"(^|\s)#.*", "", line).strip()
        if not content:
            continue
        requirement, *hashes = re.split(r"\s+(?=--hash=)", content)
        try:
            pin = Pin(checked_requirement(requirement), tuple(_checked_hash(value) for value in hashes))
            if not re.search(r"@|===?", pin.requirement):
                raise ValueError("it names no version")
        except ValueError as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise ValueError(f"the line {_shown(content)} is refused: {reason}") from error
        pins.append(pin)
    return pins


def _anew(text: object, parse: Callable[[str], object], what: str) -> str:
    """Return what a class of `packaging` makes of a text; its errors are kinds of ValueError."""
    _check_text(text)
    try:
        return str(parse(str(text)))
    except ValueError:
        raise ValueError(f"it is no {what}") from None


def _checked_hash(text: str) -> str:
    match = _HASH.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{_shown(text)} is no hash")
    return match[1]


def _no_list(_: object) -> str:
    raise ValueError("it stands where a list should")


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise ValueError(f"it is a {type(text).__name__}")
    if _CONTROL.search(text):
        raise ValueError("it has a line break or a control character")


def _check_address(text: str) -> None:
    """Check an address. A secret in it would be kept in the lock, which is passed on."""
    try:
        parts = urlsplit(text)
        secret = parts.password or (parts.username and parts.scheme != "git+ssh")
    except ValueError as error:
        raise ValueError(f"its address cannot be read ({error})") from None
    if parts.scheme not in _SCHEMES or text.startswith("-"):
        raise ValueError(f"its address begins with none of {', '.join(_SCHEMES)}")
    if secret:
        raise ValueError("its address holds a user or a password, which belong into netrc or git's credential helper")
    if re.search(r"[\s$]", text):
        raise ValueError("its address has white space or a variable")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
