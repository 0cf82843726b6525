"""Samples from a spectrum, block by block: pulses at the pitch, noise and a free part, by an inverse STFT.

The spectrum of a frame is ``exp(harmonics) * exp(i pi tanh(phase)) * STFT(pulses) + exp(noise) * Z + exp(rest) *
exp(i rest_phase)``, as the model card of hibari defines it; magnitudes end at ``exp(7)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from realtts_hibari.network import Spectrum

__all__ = ["HOP", "RATE", "samples_of"]

RATE = 24000
HOP = 300
_SIZE = 1200
_OVERLAP = _SIZE // HOP
_BINS = _SIZE // 2 + 1
_WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_SIZE) / _SIZE)).astype(np.float32)

_LOUDEST = 7.0
_LOWEST_PITCH = 40.0
_HIGHEST_HARMONIC = 11000.0
_NEARLY_ZERO = 2e-3
"""Of the sine in the denominator of the pulses, below which the limit is taken."""

_FIRST_BLOCK, _BLOCK, _LEAST = 80, 240, 80
"""Frames: 1 s at first, then 3 s; a rest that is shorter than 1 s belongs to the block before it."""


def samples_of(spectrum: Spectrum, random: np.random.Generator) -> Iterator[NDArray[np.float32]]:
    """Yield the samples of a phrase in blocks, float32; together 300 per frame, whatever the blocks are.

    Args:
        spectrum: Of the graph.
        random: Draws the noise of the whole phrase at once.
    """
    frames = len(spectrum.pitch)
    noise = random.standard_normal((_BINS, 2 * frames), dtype=np.float32).view(np.complex64)
    padded = np.pad(_pulses(spectrum.pitch), _SIZE // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _SIZE)[::HOP]
    tail = np.zeros((_OVERLAP - 1, HOP), np.float32)
    for start, end in _blocks(frames):
        pulses = np.fft.rfft(windows[start:end] * (_WINDOW * (4 / _SIZE)), axis=1).astype(np.complex64).T
        whole = _spectrum(spectrum, pulses, noise, slice(start, end))
        sound = _overlapped(whole, tail)
        tail = sound[end - start :]
        done = sound if end == frames else sound[: end - start]
        scale = _scale(start, start + len(done), frames)
        samples = (done * scale).reshape(-1)
        half = _SIZE // 2
        yield samples[max(0, half - start * HOP) : (half + (frames - start) * HOP)]


def _blocks(frames: int) -> Iterator[tuple[int, int]]:
    start, size = 0, _FIRST_BLOCK
    while start < frames:
        end = frames if frames - start - size < _LEAST else start + size
        yield start, end
        start, size = end, _BLOCK


def _spectrum(
    spectrum: Spectrum, pulses: NDArray[np.complex64], noise: NDArray[np.complex64], part: slice
) -> NDArray[np.complex64]:
    """Return the spectrum of some frames, complex64 of shape (601, frames)."""
    turned = _polar(_magnitude(spectrum.harmonics[:, part]), np.float32(np.pi) * np.tanh(spectrum.phase[:, part]))
    free = _polar(_magnitude(spectrum.rest[:, part]), spectrum.rest_phase[:, part])
    whole: NDArray[np.complex64] = turned * pulses + _magnitude(spectrum.noise[:, part]) * noise[:, part] + free
    return whole


def _magnitude(logarithm: NDArray[np.float32]) -> NDArray[np.float32]:
    magnitude: NDArray[np.float32] = np.exp(np.minimum(logarithm, np.float32(_LOUDEST)))
    return magnitude


def _polar(magnitude: NDArray[np.float32], angle: NDArray[np.float32]) -> NDArray[np.complex64]:
    turned = np.empty(magnitude.shape, np.complex64)
    np.multiply(magnitude, np.cos(angle), out=turned.real)
    np.multiply(magnitude, np.sin(angle), out=turned.imag)
    return turned


def _overlapped(whole: NDArray[np.complex64], tail: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the windowed frames added up, (frames + 3, 300), onto what the frames before have left."""
    frames = whole.shape[1]
    each = (np.fft.irfft(whole.T, _SIZE, axis=1).astype(np.float32) * _WINDOW).reshape(frames, _OVERLAP, HOP)
    sound = np.zeros((frames + _OVERLAP - 1, HOP), np.float32)
    sound[: len(tail)] += tail
    for shift in range(_OVERLAP):
        sound[shift : shift + frames] += each[:, shift]
    return sound


def _scale(start: int, end: int, frames: int) -> NDArray[np.float32]:
    """Return one over the sum of squared windows for hops of the padded sound, (hops, 300)."""
    squares = (_WINDOW * _WINDOW).reshape(_OVERLAP, HOP)
    total = np.zeros((end - start, HOP), np.float32)
    for shift in range(_OVERLAP):
        first, last = max(start, shift), min(end, frames + shift)
        if first < last:
            total[first - start : last - start] += squares[shift]
    scale: NDArray[np.float32] = np.float32(1) / np.maximum(total, np.float32(1e-11))
    return scale


def _pulses(pitch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return cosines of all harmonics up to 11 kHz at a pitch per frame, 300 samples each; 0 where it is below 40 Hz.

    Their sum is ``sin((H + 1/2) t) / (2 sin(t / 2)) - 1/2`` for H harmonics and the phase t.
    """
    curve = np.maximum(hertz := _interpolated(pitch), np.float32(_LOWEST_PITCH))
    turns = np.cumsum(curve, dtype=np.float64) / RATE
    phase = (2 * np.pi * np.modf(turns)[0]).astype(np.float32)
    harmonics = np.floor(np.float32(_HIGHEST_HARMONIC) / curve) + np.float32(0.5)
    below = 2 * np.sin(phase * np.float32(0.5))
    limit = np.abs(below) <= _NEARLY_ZERO
    below[limit] = 1
    pulses: NDArray[np.float32] = np.sin(harmonics * phase) / below
    pulses[limit] = harmonics[limit]
    pulses -= np.float32(0.5)
    pulses[hertz <= _LOWEST_PITCH] = 0
    return pulses


def _interpolated(pitch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the pitch per sample, straight between the middles of frames."""
    around = np.pad(np.asarray(pitch, np.float32), 1, mode="edge")
    share = (((np.arange(HOP) + 0.5) / HOP - 0.5) % 1.0).astype(np.float32)
    rest = (1.0 - share).astype(np.float32)
    half = HOP // 2
    curve = np.empty((len(pitch), HOP), np.float32)
    curve[:, :half] = around[:-2, None] * rest[:half] + around[1:-1, None] * share[:half]
    curve[:, half:] = around[1:-1, None] * rest[half:] + around[2:, None] * share[half:]
    return curve.reshape(-1)
