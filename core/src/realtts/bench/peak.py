"""Peak memory of a stretch of work: resident size sampled in a thread, and the device allocator's own peak."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from realtts.machine import memory

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["PeakMemory", "fits_beside"]

_INTERVAL_S = 0.01


class PeakMemory:
    """A sampler of memory while its body runs.

    What was freed before is given back first, so that the growth is the body's own. Peaks between two samples (10 ms)
    are missed on the host; the device's are exact.

    Attributes:
        rss_before: Resident bytes at the start.
        rss_peak: Largest resident size seen.
        device_peak: Most bytes that torch had allocated on CUDA, less those at the start; None without CUDA.
    """

    def __init__(self) -> None:
        self.rss_before = self.rss_peak = 0
        self.device_peak: int | None = None
        self._device_before = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="realtts-peak-memory", daemon=True)

    def __enter__(self) -> Self:
        memory.release()
        self.rss_before = self.rss_peak = _rss()
        cuda = _cuda()
        if cuda is not None:
            for index in range(cuda.device_count()):
                cuda.reset_peak_memory_stats(index)
                self._device_before += int(cuda.memory_allocated(index))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        cuda = _cuda()
        if cuda is not None:
            peak = sum(int(cuda.max_memory_allocated(index)) for index in range(cuda.device_count()))
            self.device_peak = peak - self._device_before

    @property
    def rss_growth(self) -> int:
        """Bytes that the body added to the resident size at its peak."""
        return self.rss_peak - self.rss_before

    def _sample(self) -> None:
        while True:
            self.rss_peak = max(self.rss_peak, _rss())
            if self._end.wait(_INTERVAL_S):
                self.rss_peak = max(self.rss_peak, _rss())
                return


def fits_beside(peak: PeakMemory) -> bool:
    """Tell whether there is room for a second model like one that has grown so much, with a fifth to spare."""
    import psutil

    if psutil.virtual_memory().available < 1.2 * peak.rss_growth:
        return False
    torch = sys.modules.get("torch")
    if peak.device_peak and torch is not None:
        return bool(torch.cuda.mem_get_info()[0] >= 1.2 * peak.device_peak)
    return True


def _rss() -> int:
    return int(memory.memory_report("cpu")["rss"])


def _cuda() -> Any:
    """Return torch.cuda where it is in use, else None."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
