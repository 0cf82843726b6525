"""The environment in which uv runs: its own variables, and those of pip, which it would not read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["find_links", "variables"]

_LEFT_OUT = (
    "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__",
    "UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "UV_WORKING_DIR", "UV_SYSTEM_PYTHON", "UV_PYTHON", "UV_OVERRIDE",
    "UV_FIND_LINKS", "UV_VENV_SEED", "UV_VENV_CLEAR", "UV_RESOLUTION", "UV_EXCLUDE", "UV_TORCH_BACKEND",
)  # fmt: skip
"""What would lead uv to another environment, or is decided here. Folders with wheels are given as arguments."""

_RENAMED = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_DEFAULT_TIMEOUT": "UV_HTTP_TIMEOUT",
    "PIP_TIMEOUT": "UV_HTTP_TIMEOUT",
    "PIP_CERT": "SSL_CERT_FILE",
    "PIP_PROXY": "ALL_PROXY",
}
_SAME_AS = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
"""Older names, which count as well."""

_FALSE = {"", "0", "no", "false", "off", "n", "f"}


def find_links(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the folders and pages of ``UV_FIND_LINKS`` and ``PIP_FIND_LINKS``, folders as absolute paths."""
    links = [*environ.get("UV_FIND_LINKS", "").split(","), *environ.get("PIP_FIND_LINKS", "").split()]
    return tuple(dict.fromkeys(absolute(link.strip()) for link in links if link.strip()))


def absolute(link: str) -> str:
    """Return a folder's absolute path, since uv runs in another folder; an address as it is."""
    return link if "://" in link else str(Path(link).expanduser().absolute())


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for uv. Its own win over pip's."""
    result = {name: value for name, value in environ.items() if name not in _LEFT_OUT}
    for pip_name, name in _RENAMED.items():
        value = environ.get(pip_name, "").strip()
        if value and not result.get(name) and not result.get(_SAME_AS.get(name, name)):
            result[name] = value
            if pip_name == "PIP_EXTRA_INDEX_URL":
                # pip takes the newest of all indexes, uv what the first one has that knows the name.
                result.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    for pip_name, name in (("PIP_NO_INDEX", "UV_NO_INDEX"), ("PIP_PRE", "UV_PRERELEASE")):
        if environ.get(pip_name, "").strip().lower() not in _FALSE:
            result.setdefault(name, "1" if name == "UV_NO_INDEX" else "allow")
    constraints = [*environ.get("UV_CONSTRAINT", "").split(), *environ.get("PIP_CONSTRAINT", "").split()]
    if constraints:
        result["UV_CONSTRAINT"] = " ".join(absolute(path) for path in constraints)
    result.update(NO_COLOR="1", UV_NO_PROGRESS="1")
    return result
