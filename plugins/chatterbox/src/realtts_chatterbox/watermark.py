"""Upstream's inaudible watermark, on by default; the option ``watermark`` switches it off."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from realtts.accel.upstream.calls import quiet
from realtts.accel.upstream.networks import Unfilled, fill
from realtts.contract import timing
from realtts.errors import MissingExtra
from realtts_chatterbox.constants import RATE
from realtts_chatterbox.upstream import module

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts_chatterbox.frontend import Ask

__all__ = ["Watermarker", "marked"]


_networks: weakref.WeakValueDictionary[str, torch.nn.Module] = weakref.WeakValueDictionary()
_reading = threading.Lock()


class Watermarker:
    """Marks audio as generated, with the network of resemble-perth, on the CPU.

    Upstream uses ``perth.PerthImplicitWatermarker``, which is None, without an error, where one of its imports fails.
    Here the module behind it is imported, so that the failure is raised. All that are there share one network.

    Raises:
        MissingExtra: resemble-perth, or something that it needs, is not installed.
    """

    def __init__(self) -> None:
        try:
            perth = module("perth.perth_net.perth_net_implicit.perth_watermarker")
        except MissingExtra as error:
            raise MissingExtra(
                f"upstream's watermark cannot be made: {error.what}", who="chatterbox",
                fix="install resemble-perth>=1.0.1",
            ) from error  # fmt: skip
        self._perth: Any = perth.PerthImplicitWatermarker(run_name=None, perth_net=_network())

    def warm_up(self) -> None:
        """Mark a second of silence: the first call compiles code, which takes seconds."""
        self(np.zeros(24_000, np.float32), 24_000)

    def __call__(self, samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
        """Return the samples with the mark, as many as before."""
        with quiet():
            marked = self._perth.apply_watermark(samples, sample_rate=sample_rate)
        whole = np.zeros_like(samples)
        whole[: len(marked)] = marked[: len(samples)]
        return whole

    def confidence(self, samples: NDArray[np.float32], sample_rate: int) -> float:
        """Return the confidence that the mark is in the samples, 0 to 1."""
        with quiet():
            return float(np.mean(self._perth.get_watermark(samples, sample_rate=sample_rate)))


def _network() -> Any:
    """Return upstream's network, read where no watermarker has it yet."""
    with _reading:
        network = _networks.get("implicit")
        if network is None:
            net = module("perth.perth_net.perth_net_implicit.model.perth_net")
            with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
                manager = net.CheckpointManager(module("perth.perth_net").PREPACKAGED_MODELS_DIR, "implicit")
                network = net.PerthNet(manager.hp)
            fill(network, manager.load_latest()["model"], "cpu", "resemble-perth's network")
            _networks["implicit"] = network
    return network


def marked(
    context: Context,
    watermarker: Watermarker | None,
    ask: Ask,
    samples: NDArray[np.float32],
    *,
    rows: Collection[int] | None = None,
) -> NDArray[np.float32]:
    """Return the samples, with the mark if the request has the option on and there are any.

    Args:
        context: Of the hook.
        watermarker: The model's.
        ask: The request.
        samples: Of the request.
        rows: Number of its row, for the metrics; None: all that are spoken.
    """
    if not ask.watermark or not len(samples):
        return samples
    assert watermarker is not None, "used after unload"
    with timing.timed(context, "watermark", dtype="float32", rows=rows):
        return watermarker(samples, RATE)
