"""The command that installs a distribution into this environment."""

from __future__ import annotations

import importlib.metadata
import sys

__all__ = ["installs_with_pip", "pip_command"]


def installs_with_pip() -> bool:
    """Whether this environment holds pip; those that uv makes do not.

    Its metadata is read instead of asking for the module: setuptools answers that question by replacing ``distutils``
    for the whole process, which breaks whoever has imported it, such as torch's compiler.
    """
    try:
        importlib.metadata.distribution("pip")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def pip_command() -> str:
    """Return ``pip install``, or what does the same where there is no pip."""
    return "pip install" if installs_with_pip() else f"uv pip install --python {sys.executable}"
