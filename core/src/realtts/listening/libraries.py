"""Whether the libraries of the extra ``realtts[listen]`` are installed."""

from __future__ import annotations

import importlib.util

from realtts.errors import MissingExtra

__all__ = ["check_libraries", "check_library"]


def check_libraries() -> None:
    """Check that words can be counted. Raises as `check_library`."""
    check_library("jiwer", "jiwer")
    check_library("whisper-normalizer", "whisper_normalizer")


def check_library(name: str, module: str) -> None:
    """Check that a library is installed.

    Args:
        name: Of its distribution.
        module: Of its module.

    Raises:
        MissingExtra: It is not.
    """
    if importlib.util.find_spec(module) is None:
        raise MissingExtra(f"{name} is not installed", who="listening", fix='uv pip install "realtts[listen]"')
