"""Conformance: status, cancellation, unloading, threads, and leaving the process as it was."""

from __future__ import annotations

import gc
import json
import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from realtts import errors
from realtts.registry.variants import register
from realtts.testing.conformance.speaking import assert_same
from realtts.testing.faults import interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import Chunk
    from realtts.provider.facade import RealProvider

__all__ = ["LifeTests"]

STATUS_KEYS = {
    "provider", "state", "variant", "rung", "optimization_enabled", "optimization_details", "attempts", "checkpoint",
    "versions", "timings", "memory", "cache", "queue", "isolation", "worker", "settings",
}  # fmt: skip
DETAILS = {"device", "dtype", "compile", "cuda_graphs", "attention", "quantization", "offload"}


class LifeTests:
    """Tests from registration to unload."""

    def test_registers(self, spec: ProviderSpec) -> None:
        """Both variants keep the contract of the hooks."""
        variants = register(spec)
        assert variants.optimized_error is None
        assert variants.implements("plain", "generate")

    def test_status_never_loads(self, provider: RealProvider, text: str, options: dict[str, Any]) -> None:
        """The status is complete and JSON-able before and after loading, and asking for it loads nothing."""
        before = provider.get_provider_status()
        assert (before["state"], before["variant"]) == ("unloaded", None)
        provider.generate(text, **options)
        after = provider.get_provider_status()
        assert (after["state"], after["provider"]) == ("ready", provider.spec.name)
        for status in (before, after):
            assert status.keys() >= STATUS_KEYS
            assert status["optimization_details"].keys() >= DETAILS
            json.dumps(status)

    def test_cancellation_ends_within_a_step(
        self, spec: ProviderSpec, make: Callable[..., RealProvider], long_text: str, options: dict[str, Any]
    ) -> None:
        """Once a request is cancelled its provider speaks no further step."""
        heard: list[Chunk] = []
        make(interrupted(spec, heard)).generate(long_text, **options)
        # One step may have been under way; what it made may still come.
        assert len([chunk for chunk in heard if len(chunk.samples)]) <= 1

    def test_cancelled_stream_ends(
        self, spec: ProviderSpec, make: Callable[..., RealProvider], long_text: str, options: dict[str, Any]
    ) -> None:
        """After cancel() a stream hands out what is finished and ends; the provider then serves others."""
        provider = make(spec, stream_buffer=1)
        whole = provider.generate(long_text, seed=2, **options)
        stream = provider.stream(long_text, seed=2, **options)
        heard = next(stream).duration
        provider.cancel()
        rest = list(stream)
        if heard + sum(chunk.duration for chunk in rest) < whole.duration - 0.01:
            assert rest[-1].finish_reason == "cancelled"
        assert_same(provider.generate(long_text, seed=2, **options).samples, whole.samples, 0.0)

    def test_closed_stream_leaves_the_provider_usable(
        self, provider: RealProvider, long_text: str, options: dict[str, Any]
    ) -> None:
        """A stream that is closed early gives the model back at once."""
        whole = provider.generate(long_text, seed=2, **options)
        for _ in range(3):
            with provider.stream(long_text, seed=2, **options) as stream:
                next(stream)
        assert_same(provider.generate(long_text, seed=2, **options).samples, whole.samples, 0.0)

    def test_unload_and_load_again(self, provider: RealProvider, text: str, options: dict[str, Any]) -> None:
        """After unload() nothing is loaded, and the next use speaks as before."""
        first = provider.generate(text, seed=4, **options)
        provider.unload()
        assert provider.get_provider_status()["state"] == "unloaded"
        assert_same(provider.generate(text, seed=4, **options).samples, first.samples, 0.0)

    def test_closed_provider_refuses(self, provider: RealProvider, text: str, options: dict[str, Any]) -> None:
        """close() may be called twice; a request after it is a typed error; the status still answers."""
        provider.generate(text, **options)
        provider.close()
        provider.close()
        with pytest.raises(errors.ProviderClosed):
            provider.generate(text, **options)
        assert provider.get_provider_status()["state"] == "closed"

    def test_eight_threads(self, provider: RealProvider, text: str, options: dict[str, Any], tolerance: float) -> None:
        """Requests from eight threads give what they give alone, though they may share a batch."""
        alone = [provider.generate(text, seed=seed, **options).samples for seed in range(4)]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda n: provider.generate(text, seed=n % 4, **options).samples, range(16)))
        for n, samples in enumerate(together):
            assert_same(samples, alone[n % 4], tolerance)

    def test_leaves_no_global_state(
        self, spec: ProviderSpec, make: Callable[..., RealProvider], text: str, options: dict[str, Any]
    ) -> None:
        """Loading, speaking and closing leave the process as a first use left it."""
        first = make(spec)
        first.generate(text, **options)  # a first use may import modules and start libraries' own threads
        first.close()  # a caller has its speech before the provider's thread has restored torch's settings
        before = _process_state()
        provider = make(spec)
        provider.generate(text, **options)
        provider.close()
        assert _process_state() == before


def _process_state() -> dict[str, Any]:
    """Return the global state that a well-behaved library leaves alone."""
    gc.collect()
    state: dict[str, Any] = {
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        "random": random.getstate(),
        "numpy": str(np.random.get_state()),
        "errors": np.geterr(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "logging": (logging.root.level, list(logging.root.handlers)),
        "warnings": list(warnings.filters),
        "locale": locale.setlocale(locale.LC_ALL),
        "path": list(sys.path),
        "threads": sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("realtts-")),
        "recursion": sys.getrecursionlimit(),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        state["torch"] = (
            torch.get_num_threads(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.get_float32_matmul_precision(),
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.allow_tf32,
            torch.random.get_rng_state().tolist(),
        )
    return state
