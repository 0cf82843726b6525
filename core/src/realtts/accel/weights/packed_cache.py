"""Packed weights on disk, so that the next start neither reads, nor quantizes, nor packs the checkpoint's.

What takes the time of a start is reading a checkpoint's float weights and rounding them. What a kernel keeps of them
(`realtts.accel.kernels.Storage`) is a quarter or less of the size, and is read in a fraction of the time. It is read
into memory, not mapped: see `docs/reference/accel/packed_cache.md` for the measurement.

Switch: the setting ``weight_cache_disk_mb=0`` (``REALTTS_WEIGHT_CACHE_DISK_MB=0``), with which the disk is not touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.weights.packed_file import PackedFile, PackedWriter
from realtts.accel.weights.tensorfile import paths_of
from realtts.contract.events import Event
from realtts.folders import check_private, make_private, trim
from realtts.settings_sources import packed_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor
    from typing_extensions import Self

    from realtts.accel.weights.tensorfile import State
    from realtts.settings import Settings

__all__ = ["NO_CACHE", "PackedCache", "PackedWeights", "source_of"]

_FORMAT = "1"
"""Version of how parts are put into a file; files of another one are made again."""

_SUFFIX = ".safetensors"

_READ = 1 << 20
"""Bytes at a file's beginning that tell it from another: its header, or most of it."""

_log = logging.getLogger("realtts.packed_cache")


class PackedCache:
    """The folder of packed weights. Safe to use from many threads and processes.

    A file that is damaged, of another version or of other weights is made again. A folder that cannot be written is
    told of in the log, and done without; what lies in it already is read all the same.

    Args:
        folder: Where.
        max_bytes: Its bound; the files used longest ago go first. 0: the disk is not touched.
        report: Takes the events ``weights.packing`` and ``weights.packed``.
    """

    def __init__(self, folder: Path | None, max_bytes: int, report: Callable[[Event], None] | None = None) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self._report = report

    @classmethod
    def of(cls, settings: Settings, report: Callable[[Event], None] | None = None) -> PackedCache:
        """Make the cache that the settings ask for: ``weight_cache_disk_mb`` and ``data_dir``.

        Args:
            settings: Such as `Context.settings`.
            report: Such as `Context.report`.

        Raises:
            SettingsError: ``data_dir`` cannot be a path.
        """
        most = settings.weight_cache_disk_mb << 20
        return cls(packed_dir(settings) if most else None, most, report)

    def open(self, state: State, part: str) -> PackedWeights:
        """Return where the packed weights of a part of a model are read from, or written to; a context manager.

        Args:
            state: The part's tensors. Of tensors that lie in memory nothing is stored.
            part: Its name, such as ``"talker"``.
        """
        return PackedWeights(self, paths_of(state), part)

    def tell(self, name: str, **data: Any) -> None:
        """Report an event."""
        if self._report is not None:
            self._report(Event(name, data=data))


class PackedWeights:
    """The packed weights of one part of a model: read where they are stored, else packed and stored.

    As a context manager it keeps what was packed once the body has ended without an error. Before `begin`, and where
    nothing can be stored, `group` only computes.

    Args:
        cache: Where they lie.
        paths: The files that the part is read from.
        part: Its name.
    """

    def __init__(self, cache: PackedCache, paths: Sequence[Path], part: str) -> None:
        self._cache, self._paths, self._part = cache, paths, part
        self._path: Path | None = None
        self._about: dict[str, str] = {}
        self._reader: PackedFile | None = None
        self._writer: PackedWriter | None = None
        self._stale = False
        self._device = torch.device("cpu")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._writer is not None:
            self._finish(keep=kind is None)
        elif self._stale and self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()

    @property
    def stored(self) -> bool:
        """Whether the weights are read from the cache."""
        return self._reader is not None

    def begin(self, question: Mapping[str, Any], device: torch.device | str = "cpu") -> None:
        """Find what is stored for these weights, else begin to store. May be called again with the same question.

        Args:
            question: All that packed weights depend on beside the files: precision, kernel and layout; JSON-able.
            device: Where what is stored is put.
        """
        self._device = torch.device(device)
        folder, source = self._cache.folder, source_of(self._paths)
        if folder is None or source is None:
            return
        key = json.dumps({**question, "part": self._part, "source": source}, sort_keys=True)
        about = {"realtts_packed": _FORMAT, "key": key}
        if about == self._about:
            return
        self._about = about
        self._path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}{_SUFFIX}"
        try:
            check_private(folder)
            self._reader = PackedFile(self._path, self._about)
        except FileNotFoundError:
            pass
        except OSError as error:
            _log.warning("%s cannot be read (%s): weights are packed anew", self._path, error)
            return
        except (ValueError, TypeError, AttributeError) as error:
            _log.warning("%s is of no use (%s) and is made again", self._path.name, error)
        if self._reader is None:
            self._start(folder)
        else:
            with contextlib.suppress(OSError):
                os.utime(self._path)  # the time of last use

    def group(self, name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return some tensors that belong together: as stored, or as they are made now.

        Args:
            name: Without a slash; once for each group.
            make: Makes the tensors.
        """
        if self._reader is not None:
            try:
                return {part: tensor.to(self._device) for part, tensor in self._reader.group(name).items()}
            except (OSError, ValueError) as error:
                self._stale = True
                _log.warning("%s is of no use (%s): %s is packed anew", self._path, error, name)
        made = make()
        if self._writer is not None:
            try:
                for part, tensor in made.items():
                    self._writer.add(f"{name}/{part}", tensor)
            except OSError as error:
                self._give_up(error)
        return made

    def _start(self, folder: Path) -> None:
        assert self._path is not None
        try:
            make_private(folder)
            self._writer = PackedWriter(self._path, self._cache.max_bytes)
        except OSError as error:
            self._give_up(error)
        else:
            self._cache.tell("weights.packing", part=self._part)

    def _finish(self, *, keep: bool) -> None:
        assert self._writer is not None
        assert self._path is not None
        if not keep:
            self._writer.abandon()
            return
        try:
            size = self._writer.size
            self._writer.finish(self._about)
        except OSError as error:
            self._give_up(error)
            return
        self._cache.tell("weights.packed", part=self._part, bytes=size)
        with contextlib.suppress(OSError):  # the next one tries again
            trim(self._path.parent, {_SUFFIX}, self._cache.max_bytes, keep=self._path)

    def _give_up(self, error: OSError) -> None:
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        _log.warning(
            "the packed weights of %s are not stored in %s (%s): the next start packs them again."
            " weight_cache_disk_mb=0 (REALTTS_WEIGHT_CACHE_DISK_MB=0) does without the disk",
            self._part, self._cache.folder, error,
        )  # fmt: skip


NO_CACHE = PackedCache(None, 0)
"""A cache that stores nothing."""


def source_of(paths: Sequence[Path]) -> str | None:
    """Return a text that changes with the files: size, time of change and beginning of each; None without files.

    Where they lie does not count, so that a folder may be moved.
    """
    facts = []
    try:
        for path in paths:
            about = path.stat()
            with path.open("rb") as file:
                beginning = hashlib.sha256(file.read(_READ)).hexdigest()
            facts.append(f"{path.name} {about.st_size} {about.st_mtime_ns} {beginning}")
    except OSError:  # whoever reads the weights tells
        return None
    return "\n".join(facts) or None
