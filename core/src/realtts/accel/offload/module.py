"""One module whose weights wait in host memory and are on the device only while it is used.

The host copy is kept (pinned, on CUDA) while the device has the weights, so going back is free: the device's tensors
are dropped. Buffers, and parameters that were changed in place meanwhile, are the exception: they are copied back.

Switch: the setting ``cpu_offload=False`` (``REALTTS_CPU_OFFLOAD=false``): weights go to the device once and stay.

The CUDA path (pinned memory, side stream) has not been run on a GPU yet.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from realtts.accel.offload.tensors import entangled, give_memory, host_copy, weights_of
from realtts.errors import OffloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["OffloadedModule", "on_device"]


class _Weight(NamedTuple):
    name: str
    tensor: torch.Tensor  # the module's own parameter or buffer; only its storage changes
    host: torch.Tensor
    is_buffer: bool


class _OnDevice(NamedTuple):
    data: torch.Tensor
    version: int


class OffloadedModule:
    """A module whose weights are in host memory until it is used.

    Parameters and buffers stay the same objects; ties, hooks and references hold.

    Args:
        module: An ``nn.Module``, or any object whose weights lie on the device already
            (`realtts.accel.offload.tensors`): they are moved to the host now.
            Tensors that such an object gets later stay where they are.
        device: Where it computes. The host itself is allowed: then nothing is ever copied.
        enabled: The setting ``cpu_offload``. False: it goes to the device at first use and stays there.
        copy: How one weight gets to a device that is not CUDA, by default ``Tensor.to``.

    Raises:
        OffloadError: A weight was made in inference mode, is a view, or lies on another one's memory, so that it cannot
            get other memory.

    Attributes:
        module: The module.
        device: Where it computes.
        nbytes: Bytes that it takes on the device.
    """

    def __init__(
        self,
        module: Any,
        device: torch.device | str,
        *,
        enabled: bool = True,
        copy: Callable[[torch.Tensor, torch.device], torch.Tensor] | None = None,
    ) -> None:
        self.module = module
        self.device = torch.device(device)
        self._enabled = enabled
        self._copy = copy or torch.Tensor.to
        self._lock = threading.RLock()
        self._users = 0
        self._loaded: list[_OnDevice] | None = None
        on_cuda = self.device.type == "cuda"
        self._stream: torch.cuda.Stream | None = torch.cuda.Stream(self.device) if on_cuda else None
        self._arrived: torch.cuda.Event | None = None
        weights = list(weights_of(module, self.device))
        for name, tensor, _ in weights:
            if tensor.is_inference():
                raise self._error(f"{name!r} was made in inference mode", "load the weights outside of it")
        reason = entangled((name, tensor) for name, tensor, _ in weights)
        if reason is not None:
            raise self._error(reason, "give each weight memory of its own, with clone()")
        self._weights = [
            _Weight(name, tensor, host_copy(tensor, pinned=on_cuda), is_buffer) for name, tensor, is_buffer in weights
        ]
        for weight in self._weights:
            give_memory(weight.tensor, weight.host)
        self.nbytes = sum(weight.host.nbytes for weight in self._weights)

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are on the device, or on their way."""
        return self._loaded is not None

    @property
    def in_use(self) -> bool:
        """Whether a body of `use` or `hold` is running."""
        return self._users > 0

    @contextlib.contextmanager
    def use(self) -> Iterator[Any]:
        """Yield the module, on the device for the body and on the host after it; nested uses share one stay.

        Raises:
            OffloadError: The weights were moved or replaced from outside.
        """
        try:
            with self.hold():
                yield self.module
        finally:
            with self._lock:
                if not self._users and self._enabled:
                    self.release()

    @contextlib.contextmanager
    def hold(self) -> Iterator[Any]:
        """Yield the module, on the device for the body and until `release` after it.

        Raises:
            OffloadError: The weights were moved or replaced from outside.
        """
        with self._lock:  # both at once: a user that leaves in between would take the weights away
            self.load()
            self._users += 1
        try:
            yield self.module
        finally:
            with self._lock:
                self._users -= 1

    def prefetch(self) -> None:
        """Start copying the weights to the device: asynchronously on CUDA, at once elsewhere.

        Raises:
            OffloadError: The weights were moved or replaced from outside.
        """
        with self._lock:
            if self._loaded is not None:
                return
            self._check([weight.host for weight in self._weights])
            with torch.inference_mode(mode=False), torch.no_grad():
                copies = self._copy_all()
            for weight, copy in zip(self._weights, copies, strict=True):
                give_memory(weight.tensor, copy)
            self._loaded = [
                _OnDevice(copy, weight.tensor._version) for weight, copy in zip(self._weights, copies, strict=True)
            ]

    def load(self) -> None:
        """Move the weights to the device; work enqueued on the current stream afterwards may use them.

        Raises:
            OffloadError: The weights were moved or replaced from outside.
        """
        with self._lock:
            self.prefetch()
            self._wait()

    def release(self) -> None:
        """Move the weights back to the host and free the device's memory; no change if they are on the host.

        Raises:
            OffloadError: It is in use, or its weights were moved or replaced from outside.
        """
        with self._lock:
            if self._loaded is None:
                return
            if self._users:
                raise self._error("it is in use", "release it after its with block")
            self._wait()
            self._check([there.data for there in self._loaded])
            self._copy_back(self._loaded)
            for weight in self._weights:
                give_memory(weight.tensor, weight.host)
            self._loaded = None

    def _copy_all(self) -> list[torch.Tensor]:
        if self._stream is None:
            return [self._copy(weight.host, self.device) for weight in self._weights]
        # Memory comes from the stream that will compute, so that freeing it needs no bookkeeping across streams; the
        # copy waits for what still uses that memory.
        with torch.cuda.device(self.device):
            copies = [torch.empty_like(weight.host, device=self.device) for weight in self._weights]
            self._stream.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(self._stream):
                for weight, copy in zip(self._weights, copies, strict=True):
                    copy.copy_(weight.host, non_blocking=True)
            self._arrived = self._stream.record_event()
        return copies

    def _copy_back(self, loaded: list[_OnDevice]) -> None:
        """Copy to the host what was changed on the device."""
        with torch.inference_mode(mode=False), torch.no_grad():
            for weight, there in zip(self._weights, loaded, strict=True):
                # Batch normalization moves its buffers without telling the version counter.
                changed = weight.is_buffer or weight.tensor._version != there.version
                if changed and there.data is not weight.host:
                    weight.host.copy_(there.data)

    def _wait(self) -> None:
        if self._arrived is not None:
            torch.cuda.current_stream(self.device).wait_event(self._arrived)
            self._arrived = None

    def _check(self, expected: list[torch.Tensor]) -> None:
        for weight, data in zip(self._weights, expected, strict=True):
            if weight.tensor.device != data.device or weight.tensor.data_ptr() != data.data_ptr():
                raise self._error(
                    f"{weight.name!r} was moved or replaced by somebody else", "leave the weights where they are"
                )

    def _error(self, what: str, fix: str) -> OffloadError:
        who = f"offloaded {type(self.module).__name__}"
        return OffloadError(what, who=who, fix=f"{fix}, or set cpu_offload=False (REALTTS_CPU_OFFLOAD=false)")


@contextlib.contextmanager
def on_device(module: Any, device: torch.device | str, *, enabled: bool = True) -> Iterator[Any]:
    """Yield a module that is on the device for the body of one ``with`` statement, and on the host after it.

    For repeated use, keep an `OffloadedModule`, which pins host memory once.

    Args:
        module: The module.
        device: Where it computes.
        enabled: The setting ``cpu_offload``. False: it stays on the device.
    """
    with OffloadedModule(module, device, enabled=enabled).use() as loaded:
        yield loaded
