"""Importing packages of models, with one remedy for what their imports need or do to the process.

What one package must not get while it is imported, another may need: stand-ins lie in `sys.modules`, which all threads
share. So there is one lock for all packages, and none is imported while another's stand-ins are there.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from realtts.accel.upstream.calls import quiet
from realtts.accel.upstream.torchaudio_import import usable_torchaudio
from realtts.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Package", "stand_ins"]

_lock = threading.RLock()


@dataclass(frozen=True)
class Package:
    """A package of a model, and what its import needs.

    Attributes:
        who: The plugin, for errors.
        fix: What errors advise; or what they do by the package that is imported.
        around: Entered around an import, under the lock; such as `stand_ins`.
        torchaudio: Whether imports may want torchaudio, which is then made usable first, if it is installed.
        why_not: Why nothing of it can be used here, told without importing it; None: it can.
    """

    who: str
    fix: str | Mapping[str, str]
    around: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    torchaudio: bool = False
    why_not: Callable[[], str | None] = lambda: None

    def module(self, name: str) -> Any:
        """Import a module silently, unless it has been imported before.

        Args:
            name: With its package.

        Raises:
            MissingExtra: It, or something that it needs, is not installed, or does not fit.
        """
        with _lock:
            try:
                return importlib.import_module(name) if name in sys.modules else self._imported(name)
            except (ImportError, OSError) as error:
                missing = getattr(error, "name", None) or name
                raise self._missing(f"{missing} cannot be imported: {error}", name) from error

    def _imported(self, name: str) -> ModuleType:
        if reason := self.why_not():
            raise self._missing(reason, name)
        unusable = _torchaudio_fault() if self.torchaudio else None
        try:
            with self.around(), quiet():
                warnings.simplefilter("ignore")
                return importlib.import_module(name)
        except Exception as error:
            if unusable is not None:  # not every module wants it; this one failed, and that is the likelier reason
                raise unusable from error
            raise

    def _missing(self, what: str, name: str) -> MissingExtra:
        fix = self.fix if isinstance(self.fix, str) else self.fix[name.partition(".")[0]]
        return MissingExtra(what, who=self.who, fix=fix)


def _torchaudio_fault() -> MissingExtra | None:
    """Return the error of an installed torchaudio; None if there is none: an import that needs one tells."""
    try:
        usable_torchaudio()
    except MissingExtra as error:
        return None if isinstance(error.__cause__, ModuleNotFoundError) else error
    return None


@contextlib.contextmanager
def stand_ins(modules: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Put stand-ins for modules that are not needed in `sys.modules` for the body.

    What was imported before stays as it is, and afterwards whoever imports one of them gets the real one.

    Args:
        modules: Name -> its content; parts of a package behind it.
    """
    with _lock:
        placed: dict[str, ModuleType] = {}
        for name, content in modules.items():
            whole = name.rpartition(".")[0]
            # A part stands in only beside its package: the real one may not have imported its parts yet.
            if name not in sys.modules and (whole not in modules or whole in placed):
                placed[name] = ModuleType(name)
                vars(placed[name]).update(content)
        sys.modules.update(placed)
        try:
            yield
        finally:
            for name, stand_in in placed.items():
                if sys.modules.get(name) is stand_in:
                    del sys.modules[name]
