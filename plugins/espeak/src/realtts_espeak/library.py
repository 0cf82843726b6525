"""The shared library: one lock for the process, and a fresh copy of its state for every use.

espeak-ng keeps everything in static variables, and some of them (the phase of the pitch flutter, what an
aborted call left behind) are reset by nothing but unloading it. So the library is loaded for each sentence
and unloaded after it, which takes 0.3 ms and makes equal requests give equal samples, whatever other threads
said in between.

What espeak_Terminate forgets must be freed before the unloading, or nobody ever can: the second and third
dictionary of sentences such as "Привет iPhone", 180 KB each time, and a list of the voices. Nothing that espeak
exports frees them, so they are found by the symbol table of its file.

It is loaded from a private copy of its file: another package of this process that uses espeakng-loader keeps
its own instance, with its own callback and voice, which we could neither share nor unload.
"""

from __future__ import annotations

import _ctypes
import contextlib
import ctypes
import locale
import os
import shutil
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import espeakng_loader

from realtts.errors import BrokenProvider
from realtts_espeak import binding, symbols
from realtts_espeak.hazards import needs_another_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["BUFFER_MS", "SAMPLE_RATE", "data_folder", "fresh_library", "select_voice"]

SAMPLE_RATE = 22050
BUFFER_MS = 100
"""Audio per callback: how soon a cancellation is seen."""

_MAX_PATH_BYTES = 140
"""espeak keeps the path of its data in 160 bytes, and tries it with "/espeak-ng-data" behind it first."""

_ANCHOR = "espeak_Terminate"
_DELETE = "DeleteTranslator"
_TRANSLATORS = ("translator2", "translator3")
"""Static pointers to the translators of other languages inside a sentence; each holds its dictionary."""

_VOICES = "voices"
"""Static pointer to the list that espeak_ListVoices returns: 2 KB."""

_lock = threading.RLock()  # reentrant, so that a fork from inside a callback does not wait for itself
if hasattr(os, "register_at_fork"):
    # No fork in the middle of a call: the child would inherit half a state and a lock that nobody opens.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@contextlib.contextmanager
def fresh_library() -> Iterator[ctypes.CDLL]:
    """Hold espeak-ng in its initial state, alone in the process, and unload it at the end.

    Never yield to a caller inside: other threads wait.

    Raises:
        BrokenProvider: Library or data are missing, or cannot be loaded.
    """
    with _lock:
        ctype = locale.setlocale(locale.LC_CTYPE)
        library = _load()
        try:
            _initialize(library)
            yield library
        finally:
            _free_forgotten(library)
            library.espeak_Terminate()
            _unload(library)
            _restore_ctype(ctype)


def select_voice(library: ctypes.CDLL, voice: str, *, ssml: bool = False) -> int:
    """Select a voice, the quick way where there is one, behind another one where it could not speak first.

    espeak looks for a file of that name in lower case, and where that is none ("gmw/en-US", the default) it reads
    all voice files first, which takes 3 ms. So it gets a name of the file that has no capitals. SSML needs the voice's
    own name, to come back to it.

    Args:
        library: From `fresh_library`.
        voice: espeak's identifier, with ``+variant``.
        ssml: Whether SSML comes.

    Returns:
        espeak's status, 0 for success.
    """
    if needs_another_first(voice):
        library.espeak_SetVoiceByName(b"en")
    if ssml:
        return int(library.espeak_SetVoiceByName(voice.encode()))
    identifier, plus, variant = voice.partition("+")
    if identifier != identifier.lower():
        with contextlib.suppress(OSError):
            descriptor = os.open(os.path.join(os.fsdecode(_files().data), "lang", identifier), os.O_RDONLY)  # noqa: PTH118
            try:
                path = f"/proc/self/fd/{descriptor}"
                if library.espeak_SetVoiceByFile(f"{path}{plus}{variant}".encode()) == 0:
                    return 0
            finally:
                os.close(descriptor)
    return int(library.espeak_SetVoiceByName(voice.encode()))


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_files().library)
        binding.declare(library)
    except (OSError, AttributeError) as error:
        raise _broken(f"the library of espeak-ng cannot be loaded ({error})") from error
    return library


def _initialize(library: ctypes.CDLL) -> None:
    data = _files().data
    rate = library.espeak_Initialize(binding.OUTPUT_SYNCHRONOUS, BUFFER_MS, data, binding.INITIALIZE_DONT_EXIT)
    if rate != SAMPLE_RATE:
        raise _broken(f"espeak-ng does not start with the data in {os.fsdecode(data)} (it says {rate})")
    used = ctypes.c_char_p()
    library.espeak_Info(ctypes.byref(used))
    # espeak falls back on ESPEAK_DATA_PATH, HOME and its build machine's path without a word.
    if used.value != data:
        raise _broken(f"espeak-ng reads its data from {used.value!r} instead of {data!r}")


def _free_forgotten(library: ctypes.CDLL) -> None:
    linked = _files().linked
    if _ANCHOR not in linked:
        return
    base = (ctypes.cast(library.espeak_Terminate, ctypes.c_void_p).value or 0) - linked[_ANCHOR]
    if _DELETE in linked:
        delete = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(base + linked[_DELETE])
        for name in _TRANSLATORS:
            _free(delete, base, linked.get(name))
    _free(ctypes.CFUNCTYPE(None, ctypes.c_void_p)(("free", ctypes.CDLL(None))), base, linked.get(_VOICES))


def _free(function: Callable[[ctypes.c_void_p], None], base: int, linked: int | None) -> None:
    if linked is None:
        return
    pointer = ctypes.c_void_p.from_address(base + linked)
    if pointer.value:
        function(pointer)
        pointer.value = None


def _unload(library: ctypes.CDLL) -> None:
    close = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary  # type: ignore[attr-defined, unused-ignore]
    close(library._handle)


def _restore_ctype(value: str) -> None:
    # espeak_Initialize sets the character type locale of the whole process to C.UTF-8.
    if locale.setlocale(locale.LC_CTYPE) != value:
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_CTYPE, value)


class _Files:
    """The paths of library and data, looked up once per process.

    Attributes:
        library: Path to load the library from.
        data: Folder of the data as espeak takes it, short enough for its buffer.
        linked: Addresses that the linker gave to what `_free_forgotten` needs, as far as they are known; none if the
            library is no copy of our own.
    """

    def __init__(self) -> None:
        library, data = Path(espeakng_loader.get_library_path()), data_folder()
        if not library.is_file():
            raise _broken(f"the library of espeak-ng is missing: {library}")
        self._folder: str | None = None
        private = self._in_memory(library) or self._in_folder(library)
        self.library = private or str(library)
        names = (_ANCHOR, _DELETE, *_TRANSLATORS, _VOICES)
        self.linked = symbols.addresses(Path(private).read_bytes(), names) if private else {}
        self.data = _encoded(data)
        if len(self.data) > _MAX_PATH_BYTES:
            self.data = self._short(data)

    def _in_memory(self, library: Path) -> str | None:
        """Copy the library into memory: nothing stays behind, and folders mounted noexec do not matter."""
        if not sys.platform.startswith("linux"):
            return None
        try:
            # The descriptor stays open for good: the library is loaded from it again and again.
            descriptor = os.memfd_create("realtts-espeak")
            with open(descriptor, "wb", closefd=False) as file:
                file.write(library.read_bytes())
        except OSError:
            return None
        path = f"/proc/self/fd/{descriptor}"
        return path if _loads(path) else None

    def _in_folder(self, library: Path) -> str | None:
        try:
            path = str(shutil.copy2(library, self._scratch()))
        except OSError:
            return None
        return path if _loads(path) else None

    def _short(self, data: Path) -> bytes:
        try:
            link = Path(self._scratch()) / "data"
            link.symlink_to(data, target_is_directory=True)
        except OSError as error:
            link, reason = data, f" ({error})"
        else:
            reason = ""
        if len(_encoded(link)) > _MAX_PATH_BYTES:
            raise BrokenProvider(
                f"the path of its data is too long, and no short link to it can be made{reason}: {data}",
                who="espeak",
                fix=f"install into a folder whose path is shorter than {_MAX_PATH_BYTES - 60} characters",
            )
        return _encoded(link)

    def _scratch(self) -> str:
        """Make a folder that is removed when this process ends (but not when a forked child does)."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="realtts-espeak-")
            weakref.finalize(self, _remove, self._folder, os.getpid())
        return self._folder


def _files() -> _Files:
    global _found  # noqa: PLW0603 - one per process, like the library
    if _found is None:
        _found = _Files()
    return _found


_found: _Files | None = None


def data_folder() -> Path:
    """Return the folder with espeak's data.

    Raises:
        BrokenProvider: Files are missing in it.
    """
    # Looked for here because get_data_path() raises a bare RuntimeError, and espeak itself prints and exits.
    data = Path(espeakng_loader.__file__).parent / "espeak-ng-data"
    missing = [name for name in ("phontab", "phonindex", "phondata", "intonations") if not (data / name).is_file()]
    if missing:
        raise _broken(f"the data of espeak-ng is incomplete, {', '.join(missing)} missing in {data}")
    return data


def _encoded(path: Path) -> bytes:
    return str(path).encode("mbcs") if sys.platform == "win32" else os.fsencode(path)


def _loads(path: str) -> bool:
    try:
        _unload(ctypes.CDLL(path))
    except OSError:
        return False
    return True


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _broken(what: str) -> BrokenProvider:
    return BrokenProvider(what, who="espeak", fix="reinstall it with `pip install --force-reinstall espeakng-loader`")
