"""One variant in a benchmark: brought up cold, warmed up, and timed."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from realtts.bench.measure import Sample, speak
from realtts.bench.peak import PeakMemory
from realtts.provider.facade import RealProvider
from realtts.registry.variants import import_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.bench.workload import Workload
    from realtts.contract.spec import ProviderSpec

__all__ = ["Contender"]


class Contender:
    """A variant of a provider with a model of its own.

    Args:
        provider: Its spec.
        variant: ``"optimized"`` or ``"plain"``; what really runs stands in ``status``.
        settings: Keywords of `RealProvider`.
        workload: What it speaks.

    Attributes:
        asked: The variant that was asked for.
        cold: Its first request: seconds of import, load, first audio and total.
        samples: What was timed, one list per repeat.
        peak: Memory of load and first pass.
    """

    def __init__(self, provider: ProviderSpec, variant: str, settings: Mapping[str, Any], workload: Workload) -> None:
        self.asked = variant
        self.cold: dict[str, Any] = {}
        self.samples: list[list[Sample]] = []
        self.peak = PeakMemory()
        self._workload = workload
        self._status: dict[str, Any] = {}
        self._tts = RealProvider(provider, **{**settings, "optimize": variant == "optimized"})

    @property
    def spec(self) -> ProviderSpec:
        """The provider's spec."""
        return self._tts.spec

    @property
    def status(self) -> dict[str, Any]:
        """The provider's status now, or before it was closed."""
        return self._status or self._tts.get_provider_status()

    def start(self) -> None:
        """Load, speak the first text cold and the others once, all with the memory watched.

        Raises:
            RealTTSError: It cannot be loaded, or cannot speak.
        """
        with self.peak:
            began = time.perf_counter()
            self._import()
            imported = time.perf_counter()
            self._tts.load()
            loaded = time.perf_counter()
            texts = self._workload.texts
            first = speak(self._tts, texts[0], self._workload)
            self.cold = {
                "import_s": imported - began,
                "load_s": loaded - imported,
                "first_audio_s": loaded - imported + first.first_audio_s,
                "total_s": loaded - imported + first.total_s,
                "stages": dict(self.status["timings"]),
            }
            for item in texts[1:]:
                speak(self._tts, item, self._workload)

    def time_round(self) -> None:
        """Speak every text once, timed.

        Raises:
            RealTTSError: It cannot speak any more.
        """
        self.samples.append([speak(self._tts, item, self._workload) for item in self._workload.texts])

    def close(self) -> None:
        """Free the model. May be called again."""
        self._status = self.status
        self._tts.close()

    def _import(self) -> None:
        """Import the provider's classes; the ladder reports what is wrong with one."""
        spec = self.spec
        for path in (spec.plain, spec.optimized if self.asked == "optimized" else None):
            if path is not None:
                with contextlib.suppress(Exception):
                    import_object(path)
