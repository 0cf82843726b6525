"""Upstream's inaudible watermark, on by default; the option ``watermark`` switches it off.

It is the implicit watermark of resemble-perth: a network adds to the magnitudes below 2 kHz. The package brings the
network's weights and is not imported for it: its import, and the first call of a library that it resamples with, take
seconds. Source: ``perth_net/perth_net_implicit`` of github.com/resemble-ai/Perth.
"""

from __future__ import annotations

import importlib.util
import math
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
import torch
from torch.nn import functional

from realtts.accel.upstream.calls import quiet
from realtts.accel.upstream.networks import Unfilled, fill
from realtts.accel.weights.tensorfile import read_pickled
from realtts.contract import timing
from realtts.errors import MissingExtra
from realtts.kit.reading import MALFORMED, mismatch
from realtts_chatterbox.constants import RATE
from realtts_chatterbox.upstream import module

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray
    from torch import Tensor

    from realtts.contract.context import Context
    from realtts_chatterbox.frontend import Ask

    Samples = NDArray[np.float32]

__all__ = ["Watermarker", "marked"]

_FOLDER = Path("perth_net", "pretrained", "implicit")
_SUFFIX = ".pth.tar"
_RATE, _WINDOW, _HOP = 32_000, 2048, 320
_LAYERS, _PARTS = 7, ("weight", "bias")
_LEAST = 1e-9
"""Least magnitude."""
_LEAST_DB = 20 * math.log10(_LEAST)
_RANGE_DB = 15 - _LEAST_DB
_MOST = 10
"""Most of a magnitude's logarithm."""
_AUDIBLE = 0.05
"""Share of the loudest frame below which a frame is not marked."""
_FIX = "install resemble-perth>=1.0.1"

_networks: weakref.WeakValueDictionary[str, _Network] = weakref.WeakValueDictionary()
_reading = threading.Lock()


class Watermarker:
    """Marks audio as generated, on the CPU. All that are there share one network.

    Raises:
        MissingExtra: resemble-perth is not installed.
        CheckpointMismatch: It brings another network.
    """

    def __init__(self) -> None:
        with _reading:
            network = _networks.get("implicit")
            if network is None:
                network = _networks["implicit"] = _Network(_weights_file())
        self._network = network

    def warm_up(self) -> None:
        """Mark a second of silence: the first call prepares the transforms."""
        self(np.zeros(24_000, np.float32), 24_000)

    @torch.inference_mode()
    def __call__(self, samples: Samples, sample_rate: int) -> Samples:
        """Return the samples with the mark, as many as before."""
        wave = torch.from_numpy(_resampled(samples, sample_rate, _RATE))
        found = _resampled(self._network(wave).numpy(), _RATE, sample_rate)
        whole = np.zeros_like(samples)
        whole[: len(found)] = found[: len(samples)]
        return whole

    @staticmethod
    def confidence(samples: Samples, sample_rate: int) -> float:
        """Return the confidence that the mark is in the samples, 0 to 1, by upstream's own detector.

        Raises:
            MissingExtra: Something that it needs is not installed.
        """
        perth = module("perth.perth_net.perth_net_implicit.perth_watermarker")
        detector = perth.PerthImplicitWatermarker(run_name=None, perth_net=_upstream())
        with quiet():
            return float(np.mean(detector.get_watermark(samples, sample_rate=sample_rate)))


class _Network:
    """The network that marks magnitudes, without the one that finds the mark.

    Args:
        path: File of upstream's weights.

    Raises:
        CheckpointCorrupt: It cannot be read.
        CheckpointMismatch: A tensor is missing or misshapen.
    """

    def __init__(self, path: Path) -> None:
        try:
            state = read_pickled(path)["model"]
            names = [f"encoder.layers.{index}.conv" for index in range(_LAYERS)]
            # Copied, because the file is mapped.
            self._layers = [
                tuple(state[f"{name}.{part}"].float().clone() for part in ("weight", "bias")) for name in names
            ]
            self._bins = self._layers[0][0].shape[1]
        except (*MALFORMED, AttributeError) as error:
            raise mismatch(f"{error} is missing", "resemble-perth's network", _FIX) from error
        self._window = torch.hann_window(_WINDOW)

    def __call__(self, wave: Tensor) -> Tensor:
        """Mark samples at 32 kHz, (n,); as many whole hops of them come back."""
        spectrum = torch.stft(
            wave, _WINDOW, _HOP, window=self._window, center=True, pad_mode="reflect", return_complex=True
        )  # (bins, frames)
        decibels = 20 * torch.log10(spectrum.abs().clip(_LEAST))
        levels = (decibels - _LEAST_DB) / _RANGE_DB
        levels[: self._bins] += self._mark(levels)
        magnitude = 10.0 ** ((levels * _RANGE_DB + _LEAST_DB) / 20).clip(max=_MOST)
        marked = magnitude * torch.exp(1.0j * torch.angle(spectrum))
        return torch.istft(marked, _WINDOW, _HOP, window=self._window, center=True)

    def _mark(self, levels: Tensor) -> Tensor:
        """Compute what is added to the lowest bins, (bins, frames) to (marked bins, frames)."""
        loudness = levels.sum(0)
        x = levels[: self._bins]
        for index, (weight, bias) in enumerate(self._layers):
            x = functional.conv1d(x, weight, bias, padding=weight.shape[2] // 2)
            if index + 1 < _LAYERS:
                x = functional.leaky_relu(x)
        return x * (loudness > loudness.max() * _AUDIBLE)


def marked(
    context: Context,
    watermarker: Watermarker | None,
    ask: Ask,
    samples: Samples,
    *,
    rows: Collection[int] | None = None,
) -> Samples:
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


def _resampled(samples: Samples, source_rate: int, target_rate: int) -> Samples:
    """Resample, and cut or fill to the length that upstream's library gives."""
    if source_rate == target_rate:
        return samples
    found = soxr.resample(samples, source_rate, target_rate, quality="HQ")
    length = math.ceil(len(samples) * (target_rate / source_rate))
    found = found[:length] if len(found) >= length else np.pad(found, (0, length - len(found)))
    return np.ascontiguousarray(found, np.float32)


def _weights_file() -> Path:
    """Return the newest file of weights that resemble-perth brings, found without importing it.

    Raises:
        MissingExtra: There is none.
    """
    spec = importlib.util.find_spec("perth")
    folders = [Path(place) / _FOLDER for place in (spec.submodule_search_locations or () if spec is not None else ())]
    files = [path for folder in folders if folder.is_dir() for path in folder.glob(f"*_*{_SUFFIX}")]
    if not files:
        raise MissingExtra("resemble-perth, which makes upstream's watermark, is not installed", who="chatterbox",
                           fix=_FIX)  # fmt: skip
    return max(files, key=_step)


def _step(path: Path) -> int:
    number = path.name.removesuffix(_SUFFIX).rpartition("_")[2]
    return int(number) if number.isdecimal() else -1


def _upstream() -> Any:
    """Return upstream's network with its detector."""
    net = module("perth.perth_net.perth_net_implicit.model.perth_net")
    with quiet(), torch.random.fork_rng(devices=[]), Unfilled():
        manager = net.CheckpointManager(module("perth.perth_net").PREPACKAGED_MODELS_DIR, "implicit")
        network = net.PerthNet(manager.hp)
    fill(network, manager.load_latest()["model"], "cpu", "resemble-perth's network")
    return network
