"""Weights that wait in host memory and are on the device only while they are used: one module, or several in turn.

Switch: the setting ``cpu_offload=False`` (``REALTTS_CPU_OFFLOAD=false``): weights go to the device once and stay.

The CUDA path (pinned memory, side stream) has not been run on a GPU yet.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from realtts.accel.offload.offloaded import OffloadedModule
from realtts.errors import OffloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import torch

__all__ = ["OffloadedModule", "TakingTurns", "on_device"]

_T = TypeVar("_T")


class TakingTurns:
    """Several modules that compute one after the other; one at a time has the device.

    The one used last stays until another is asked for, so using it again costs nothing.

    Args:
        modules: Name -> module, in the order in which they usually run; see `OffloadedModule`.
        device: Where they compute.
        enabled: The setting ``cpu_offload``. False: all go to the device at first use and stay.
        copy: As in `OffloadedModule`.
    """

    def __init__(
        self,
        modules: Mapping[str, Any],
        device: torch.device | str,
        *,
        enabled: bool = True,
        copy: Callable[[torch.Tensor, torch.device], torch.Tensor] | None = None,
    ) -> None:
        self._device, self._enabled, self._copy = device, enabled, copy
        self._lock = threading.RLock()
        self._members: dict[str, OffloadedModule] = {}
        for name, module in modules.items():
            self.add(name, module)

    def add(self, name: str, module: Any) -> None:
        """Let another module take turns, or one in the place of another."""
        with self._lock:
            member = OffloadedModule(module, self._device, enabled=self._enabled, copy=self._copy)
            self._members[name] = member

    def drop(self, name: str) -> None:
        """Forget a module, if it is there; nobody has the device then.

        Raises:
            OffloadError: One is in use.
        """
        with self._lock:
            self.release()
            self._members.pop(name, None)

    def each(self, name: str, items: Iterable[_T]) -> Iterator[_T]:
        """Items that a module makes one by one: it has its turn while it makes one, and not while a reader holds it.

        Raises:
            OffloadError: As `use`.
        """
        made = iter(items)
        while True:
            with self.use(name):
                try:
                    item = next(made)
                except StopIteration:
                    return
            yield item

    @contextlib.contextmanager
    def use(self, name: str, *, then: str | None = None) -> Iterator[Any]:
        """One of the modules, on the device for the body at least. Another thread's turn waits for its end.

        Args:
            name: Which one.
            then: Which one comes next: its weights travel while this one computes (on CUDA), and both have the memory.

        Raises:
            OffloadError: There is no such module, or somebody else moved its weights.
        """
        with self._lock:
            member = self._member(name)
            following = self._member(then) if then is not None else None
            if self._enabled:
                for other in self._members.values():
                    if other is not member and not other._users:
                        other.release()
            member.load()
            if following is not None:
                following.prefetch()
            member._users += 1
            try:
                yield member.module
            finally:
                member._users -= 1

    def loaded(self) -> list[str]:
        """Names of those on the device."""
        return [name for name, member in self._members.items() if member.is_loaded]

    def release(self) -> None:
        """Bring all back to the host.

        Raises:
            OffloadError: One is in use.
        """
        with self._lock:
            for member in self._members.values():
                member.release()

    def _member(self, name: str) -> OffloadedModule:
        if name not in self._members:
            raise OffloadError(
                f"there is no module {name!r}",
                who="offload",
                fix=f"choose from {', '.join(self._members)}, or set cpu_offload=False (REALTTS_CPU_OFFLOAD=false)",
            )
        return self._members[name]


@contextlib.contextmanager
def on_device(module: Any, device: torch.device | str, *, enabled: bool = True) -> Iterator[Any]:
    """A module on the device for the body of one ``with`` statement, and on the host after it.

    To go there often, keep an `OffloadedModule`: it pins host memory once.

    Args:
        module: The module.
        device: Where it computes.
        enabled: The setting ``cpu_offload``. False: it stays on the device.
    """
    with OffloadedModule(module, device, enabled=enabled).use() as there:
        yield there
