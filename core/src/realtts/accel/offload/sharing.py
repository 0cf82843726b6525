"""Several parts of a model that share one device: the one that computes has its weights there, the others on the host.

Weights come and go at changing addresses, which CUDA graphs cannot follow: with offloading there are none. Not run on
a GPU yet. Kill switch: the setting ``cpu_offload=False`` (``REALTTS_CPU_OFFLOAD=false``).
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from realtts.accel.offload.module import OffloadedModule
from realtts.errors import OffloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import torch

    from realtts.contract.context import Context, Rung

__all__ = ["DeviceSharing", "SharedDevice", "device_sharing", "offload_rungs", "why_no_graphs_offloaded"]

_T = TypeVar("_T")


class SharedDevice:
    """Several modules that compute one after the other on one device, which holds one of them at a time.

    The module used last stays on the device until another one is used, so using it again costs nothing.

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
        """Add a module, or replace the one of that name."""
        with self._lock:
            self._members[name] = OffloadedModule(module, self._device, enabled=self._enabled, copy=self._copy)

    def drop(self, name: str) -> None:
        """Bring all modules back to the host and forget one, if there is one of that name.

        Raises:
            OffloadError: A module is in use.
        """
        with self._lock:
            self.release()
            self._members.pop(name, None)

    def each(self, name: str, items: Iterable[_T]) -> Iterator[_T]:
        """Yield items that a module computes one by one; it has the device while it computes one, not between them.

        Raises:
            OffloadError: As `use`.
        """
        iterator = iter(items)
        while True:
            with self.use(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    @contextlib.contextmanager
    def use(self, name: str, *, then: str | None = None) -> Iterator[Any]:
        """Yield one of the modules, on the device for the body at least. Other threads wait for the end of the body.

        Args:
            name: Which one.
            then: Which one comes next: its weights travel while this one computes (on CUDA), and both have the memory.

        Raises:
            OffloadError: There is no such module, or its weights were moved from outside.
        """
        with self._lock:
            member = self._member(name)
            following = self._member(then) if then is not None else None
            if self._enabled:
                for other in self._members.values():
                    if other is not member and not other.in_use:
                        other.release()
            member.load()
            if following is not None:
                following.prefetch()
            with member.hold() as module:
                yield module

    def loaded(self) -> list[str]:
        """Return the names of the modules on the device."""
        return [name for name, member in self._members.items() if member.is_loaded]

    def release(self) -> None:
        """Bring all modules back to the host.

        Raises:
            OffloadError: A module is in use.
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


class DeviceSharing:
    """The parts of a model on their device, which they share where the setting ``cpu_offload`` says so.

    Args:
        device: Moves the weights; None: nothing is offloaded, all weights stay where they are.
    """

    def __init__(self, device: SharedDevice | None = None) -> None:
        self._device = device

    @property
    def offloaded(self) -> bool:
        """Whether weights move."""
        return self._device is not None

    @property
    def details(self) -> dict[str, object]:
        """For the status: whether weights move, and that there are no graphs where they do."""
        why = {"no_cuda_graphs": "cpu_offload moves the weights"} if self.offloaded else {}
        return {"offload": self.offloaded, **why}

    def add(self, name: str, part: object) -> None:
        """Add a part whose weights lie on the device; with offloading they move to the host now."""
        if self._device is not None:
            self._device.add(name, part)

    def drop(self, name: str) -> None:
        """Forget a part before another is read in its place; with offloading all parts are on the host then."""
        if self._device is not None:
            self._device.drop(name)

    def use(self, name: str) -> contextlib.AbstractContextManager[object]:
        """Return a context in which the part is on the device."""
        return contextlib.nullcontext() if self._device is None else self._device.use(name)

    def each(self, name: str, items: Iterable[_T]) -> Iterator[_T]:
        """Return items that a part computes one by one, with the part on the device while it computes each."""
        return iter(items) if self._device is None else self._device.each(name, items)

    def clear(self) -> None:
        """Bring all parts back to the host, for a part that is about to be read."""
        if self._device is not None:
            self._device.release()


def device_sharing(context: Context) -> DeviceSharing:
    """Return the sharing that the settings ask for; none where the device is the host, which has nothing to move."""
    return DeviceSharing(SharedDevice({}, context.device) if _enabled(context) else None)


def offload_rungs(context: Context, rungs: Sequence[Rung]) -> Sequence[Rung]:
    """Leave out the rungs with graphs where weights move, unless graphs were asked for, which `probe` then refuses."""
    if not _enabled(context) or context.settings.cuda_graphs is True:
        return rungs
    return [rung for rung in rungs if not rung.settings["cuda_graphs"]]


def why_no_graphs_offloaded(context: Context) -> str | None:
    """Say, for `probe`, that graphs and offloading exclude each other; None unless both are asked for."""
    if not _enabled(context) or context.settings.cuda_graphs is not True:
        return None
    return (
        "CUDA graphs need weights that stay in their place: set cuda_graphs=False (REALTTS_CUDA_GRAPHS=false) or"
        " cpu_offload=False (REALTTS_CPU_OFFLOAD=false)"
    )


def _enabled(context: Context) -> bool:
    return context.settings.cpu_offload and context.device.startswith("cuda")
