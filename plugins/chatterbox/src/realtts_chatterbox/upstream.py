"""The one place that imports chatterbox-tts, so that side effects and faults of its import are handled once.

- torchaudio may have been built for another torch: `realtts.accel.upstream.torchaudio_import`.
- perth, the watermarker, looks up its folder with ``pkg_resources``, which setuptools 81 removed; perth then has None
  for the watermarker, without an error. A stand-in for that one function is there while perth is imported.
- Two modules log by ``logging.info``, which adds a handler to the root logger, for the whole process: they get loggers
  of their own instead.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.accel.upstream.packages import Package, stand_ins
from realtts.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_installed", "load_upstream", "module"]

_FIX = "install chatterbox-tts with what it needs: realtts-chatterbox's README lists the versions"
_LOGS_AT_ROOT = ("chatterbox.models.s3gen.flow", "chatterbox.models.s3gen.s3gen")


def _resource_filename(package: str, name: str) -> str:
    return str(Path(str(sys.modules[package].__file__)).parent / name)


@contextlib.contextmanager
def _mended() -> Iterator[None]:
    """Apply the fixes around an import."""
    with stand_ins({"pkg_resources": {"resource_filename": _resource_filename}}):
        yield
    for name in _LOGS_AT_ROOT:
        if name in sys.modules:
            vars(sys.modules[name])["logging"] = logging.getLogger(name)


module = Package(
    "chatterbox",
    fix=_FIX,
    around=_mended,
    torchaudio=True,
).module
"""A module of chatterbox-tts or of what it brings; `realtts.accel.upstream.packages.Package.module`."""


def check_installed() -> None:
    """Check that chatterbox-tts is there, without importing it: that takes seconds, and few requests need it.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        found = importlib.util.find_spec("chatterbox") is not None
    except ValueError:  # a module that says of itself that it was not imported
        found = sys.modules.get("chatterbox") is not None
    if not found:
        raise MissingExtra("chatterbox cannot be imported: it is not installed", who="chatterbox", fix=_FIX)


def load_upstream() -> None:
    """Import chatterbox-tts. Its modules can be imported as usual from then on.

    Raises:
        MissingExtra: It, or something that it needs, is not installed.
    """
    module("chatterbox")
