"""The one place that imports chatterbox-tts, so that what its import needs or does to the process is mended once.

- torchaudio beside another torch than it was built for: `realtts.accel.torchaudio_import`.
- perth, the watermarker, looks up its folder with ``pkg_resources``, which setuptools 81 has no more; perth then gives
  None for the watermarker without a word. A stand-in answers that one question while perth is imported.
- ``logging.info`` on the root logger, as the flow's constructor calls it, installs a handler for the whole process.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
import threading
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.accel.torchaudio_import import usable_torchaudio
from realtts.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["load_upstream", "module", "quiet"]

_lock = threading.Lock()


def load_upstream() -> None:
    """Import chatterbox-tts. Its modules can be imported as usual from then on.

    Raises:
        MissingExtra: It, or something that it needs, is not installed.
    """
    module("chatterbox")


def module(name: str) -> Any:
    """A module of chatterbox-tts or of what it brings.

    Raises:
        MissingExtra: It is not installed, or something that it needs.
    """
    with _lock:
        if name in sys.modules:
            return sys.modules[name]
        usable_torchaudio()
        try:
            with _pkg_resources(), quiet():
                return importlib.import_module(name)
        except ImportError as error:
            raise MissingExtra(
                f"{error.name or name} cannot be imported: {error}", who="chatterbox",
                fix="install chatterbox-tts with what it needs: realtts-chatterbox's README lists the versions",
            ) from error  # fmt: skip


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, warnings that are upstream's own affair do not reach the user, and the root logger gets no handler."""
    root, guard = logging.getLogger(), logging.NullHandler()
    root.addHandler(guard)
    transformers = logging.getLogger("transformers")
    level = transformers.level
    transformers.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for kind in (FutureWarning, DeprecationWarning, UserWarning):
                warnings.simplefilter("ignore", kind)
            yield
    finally:
        transformers.setLevel(level)
        root.removeHandler(guard)


@contextlib.contextmanager
def _pkg_resources() -> Iterator[None]:
    """Inside, ``pkg_resources.resource_filename`` can be imported, whatever setuptools is installed."""
    if "pkg_resources" in sys.modules:
        yield
        return
    stand_in = types.ModuleType("pkg_resources")
    stand_in.resource_filename = _resource_filename  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = stand_in
    try:
        yield
    finally:
        if sys.modules.get("pkg_resources") is stand_in:
            del sys.modules["pkg_resources"]


def _resource_filename(package: str, name: str) -> str:
    return str(Path(str(sys.modules[package].__file__)).parent / name)
