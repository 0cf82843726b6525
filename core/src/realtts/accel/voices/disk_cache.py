"""Speaker conditioning on disk: what a model makes of a reference recording, kept between processes.

A layer below `realtts.voices.VoiceCache`. Values are safetensors files named by a hash of their key; nothing in them
is ever executed.

Switch: the setting ``voice_cache_disk_mb=0`` (``REALTTS_VOICE_CACHE_DISK_MB=0``), with which only memory is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError

from realtts.accel.voices.values import NotStorable, pack, unpack
from realtts.contract.voice_cache import VoiceCache
from realtts.documents import MALFORMED, parse_json
from realtts.folders import PART, trim, write_whole
from realtts.settings_sources import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from realtts.settings import Settings

__all__ = ["DiskVoiceCache"]

T = TypeVar("T")

FORMAT = "1"
"""Version of the files' layout; files of another one are made again."""

_SWITCH = "voice_cache_disk_mb=0 (REALTTS_VOICE_CACHE_DISK_MB=0) does without the disk"
_DAMAGED = (SafetensorError, *(kind for kind in MALFORMED if kind is not MemoryError))
"""What reading a file raises when the fault lies in its bytes; a device that is full is no fault of theirs."""

_log = logging.getLogger("realtts.voice_cache")


class DiskVoiceCache:
    """A `VoiceCache` with a folder below it. Safe to use from many threads and processes.

    A value is looked up in memory, then on disk, then computed. What cannot be stored (see `get_or_compute`) is kept
    in memory alone. A file that is damaged, of another version or of another key is deleted and made again. A folder
    that cannot be written is told of once in the log, and done without. A file that cannot be read stays as it is.

    Args:
        memory: The layer above, such as `Context.voice_cache`; its statistics then count this layer too.
        max_bytes: Bound of the folder; the files used least recently go first. 0: the disk is not touched.
        folder: Where; by default ``voices`` in the user's cache folder.
        device: Where tensors from disk are put.
    """

    def __init__(
        self,
        memory: VoiceCache | None = None,
        *,
        max_bytes: int = 256 * 2**20,
        folder: Path | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.memory = memory if memory is not None else VoiceCache()
        self.folder = folder if folder is not None else cache_dir() / "voices"
        self._max_bytes = max_bytes
        self._device = torch.device(device)
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(("disk_hits", "disk_misses", "disk_evictions", "disk_discarded"), 0)
        self._works = max_bytes > 0
        self.memory.count_also(self._counters)

    @classmethod
    def of(
        cls, settings: Settings, memory: VoiceCache | None = None, *, device: torch.device | str = "cpu"
    ) -> DiskVoiceCache:
        """Make the cache that the settings ask for: ``voice_cache_disk_mb``, ``voice_cache_mb`` and ``data_dir``.

        Args:
            settings: Such as `Context.settings`.
            memory: Such as `Context.voice_cache`.
            device: Where tensors from disk are put, such as `Context.device`.

        Raises:
            SettingsError: ``data_dir`` cannot be a path.
        """
        return cls(
            memory if memory is not None else VoiceCache(settings.voice_cache_mb << 20),
            max_bytes=settings.voice_cache_disk_mb << 20,
            folder=cache_dir(settings) / "voices",
            device=device,
        )

    def get_or_compute(self, key: str, compute: Callable[[], T], size: Callable[[T], int] | None = None) -> T:
        """Return the value of the key: from memory, from disk, or computed.

        Dictionaries (with text as keys), lists and tuples of tensors, numpy arrays, text, numbers, booleans and None
        are stored on disk and come back equal, tensors on the cache's device; anything else is kept in memory only.

        Args:
            key: Everything that the value depends on: the voice's digest, checkpoint and revision, dtype.
            compute: Makes the value.
            size: Bytes of the value, by default those of all arrays and tensors in it.
        """
        return self.memory.get_or_compute(key, lambda: self._read_or_compute(key, compute), size)

    def clear(self, *, disk: bool = False) -> None:
        """Forget what is in memory and, if asked, delete the files."""
        self.memory.clear()
        if disk:
            for path in self._files():
                path.unlink(missing_ok=True)

    def stats(self) -> dict[str, int]:
        """Return the memory's counts, and ``disk_hits``, ``disk_misses``, ``disk_evictions`` and ``disk_discarded``."""
        return {**self.memory.stats(), **self._counters()}

    def path_of(self, key: str) -> Path:
        """Return the file that holds, or would hold, the value of a key."""
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"

    def _read_or_compute(self, key: str, compute: Callable[[], T]) -> T:
        if not self._works:
            return compute()
        path = self.path_of(key)
        try:
            value: T = self._read(path, key)
        except (FileNotFoundError, NotADirectoryError):  # of a folder that is none, writing tells
            self._count("disk_misses")
        except OSError as error:
            self._count("disk_misses")
            _log.warning("%s cannot be read (%s); its voice is made again and kept in memory only. %s", path, error,
                         _SWITCH)  # fmt: skip
            return compute()
        except _DAMAGED as error:
            self._count("disk_misses")
            self._count("disk_discarded")
            _log.warning("%s is of no use (%s) and is made again", path.name, error)
            with contextlib.suppress(OSError):
                path.unlink()
        else:
            self._count("disk_hits")
            return value
        value = compute()
        self._write(path, key, value)
        return value

    def _read(self, path: Path, key: str) -> Any:
        content = path.read_bytes()  # not mapped: the file may be replaced under the tensors
        tensors = safetensors.torch.load(content)
        about = parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
        if about.get("realtts_voice_cache") != FORMAT:
            raise ValueError("it is not of this version's making")
        if about.get("key") != key:
            raise ValueError("it belongs to another key")
        if about.get("digest") != _digest(tensors, about["value"]):
            raise ValueError("its contents are damaged")
        value = unpack(json.loads(about["value"]), tensors, self._device)
        with contextlib.suppress(OSError):
            os.utime(path)  # the time of last use: access times are switched off on many systems
        return value

    def _write(self, path: Path, key: str, value: object) -> None:
        try:
            tree, tensors = pack(value)
            text = json.dumps(tree)
            metadata = {
                "realtts_voice_cache": FORMAT,
                "key": key,
                "value": text,
                "digest": _digest(tensors, text),
            }
            content = safetensors.torch.save(tensors, metadata)
        except NotStorable as error:
            _log.debug("not kept on disk: %s", error)
            return
        if len(content) > self._max_bytes:
            return
        try:
            self._store(path, content)
            self._count("disk_evictions", trim(self.folder, {".safetensors"}, self._max_bytes))
        except OSError as error:
            self._works = False
            _log.warning("the folder %s cannot be used (%s); voices are kept in memory only. %s", self.folder, error,
                         _SWITCH)  # fmt: skip

    def _store(self, path: Path, content: bytes) -> None:
        """Write beside, then rename: readers see the old file, the new one or none, never a part."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # a voice is personal data
        write_whole(path, content)

    def _files(self) -> list[Path]:
        """List the files of this cache; anything else in the folder is left alone."""
        try:
            return [path for path in self.folder.iterdir() if path.suffix in {".safetensors", PART}]
        except FileNotFoundError:
            return []

    def _count(self, name: str, number: int = 1) -> None:
        with self._lock:
            self._counts[name] += number

    def _counters(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)


def _digest(tensors: dict[str, torch.Tensor], text: str) -> str:
    """Compute a checksum: safetensors has none of its own, and a voice with flipped bits would be heard."""
    checksum = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        checksum.update(name.encode())
        checksum.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return checksum.hexdigest()
