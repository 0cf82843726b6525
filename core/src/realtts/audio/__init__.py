"""Audio in and out: files, sample rates, joins, speed and level.

Samples are float32 of shape (n,), nominally in [-1, 1].

May import errors, contract and kit.
"""

from __future__ import annotations

from realtts.audio.files import Writer, encode, open_writer, write
from realtts.audio.join import Joiner
from realtts.audio.level import clipped_fraction, is_silent, peak, rms_dbfs
from realtts.audio.reading import read
from realtts.audio.stretch import Stretcher, stretch
from realtts.resample import Resampler, resample

__all__ = [
    "Joiner",
    "Resampler",
    "Stretcher",
    "Writer",
    "clipped_fraction",
    "encode",
    "is_silent",
    "open_writer",
    "peak",
    "read",
    "resample",
    "rms_dbfs",
    "stretch",
    "write",
]
