"""The one place that imports chatterbox-tts, so that side effects and faults of its import are handled once.

- torchaudio may have been built for another torch: `realtts.accel.upstream.torchaudio_import`.
- perth, the watermarker, looks up its folder with ``pkg_resources``, which setuptools 81 removed; perth then has None
  for the watermarker, without an error. A stand-in for that one function is there while perth is imported.
- Two modules log by ``logging.info``, which adds a handler to the root logger, for the whole process: they get loggers
  of their own instead.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.accel.upstream.packages import Package, stand_ins

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["load_upstream", "module"]

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
    fix="install chatterbox-tts with what it needs: realtts-chatterbox's README lists the versions",
    around=_mended,
    torchaudio=True,
).module
"""A module of chatterbox-tts or of what it brings; `realtts.accel.upstream.packages.Package.module`."""


def load_upstream() -> None:
    """Import chatterbox-tts. Its modules can be imported as usual from then on.

    Raises:
        MissingExtra: It, or something that it needs, is not installed.
    """
    module("chatterbox")
