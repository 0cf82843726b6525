"""The arithmetic of comparisons: tokens, outputs and samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from realtts.errors import InvalidPlugin

__all__ = [
    "TIE",
    "candidates",
    "count",
    "first_difference",
    "largest_difference",
    "precision_settings",
    "relative_error",
    "relative_gap",
]

TIE = 1e-4
"""Relative difference of p / e below which two candidates of a draw are as good as equal."""

_DTYPES = ("bfloat16", "float16", "float32")
_QUANTIZATIONS = ("int8", "fp8", "int4")


def count(tokens: Any) -> int:
    """Return the number of decisions."""
    return int(np.asarray(tokens).size)


def first_difference(expected: Any, actual: Any) -> int | None:
    """Return the index of the first differing decision of the flattened tokens; None when they are equal."""
    a, b = np.asarray(expected).ravel(), np.asarray(actual).ravel()
    shared = min(len(a), len(b))
    differ = np.flatnonzero(a[:shared] != b[:shared])
    if len(differ):
        return int(differ[0])
    return None if len(a) == len(b) else shared


def candidates(expected: Any, actual: Any, step: int) -> tuple[int, int] | None:
    """Return the two tokens at a difference; None when one of the sequences ends there."""
    a, b = np.asarray(expected).ravel(), np.asarray(actual).ravel()
    return (int(a[step]), int(b[step])) if step < min(len(a), len(b)) else None


def relative_gap(first: float, second: float) -> float:
    """Return the difference of two scores p / e, relative to the larger.

    Infinite for NaN and infinity, and for two of 0: a candidate that cannot be drawn is no tie with another one.
    """
    largest = float(max(abs(first), abs(second)))
    if not (np.isfinite(first) and np.isfinite(second)) or not largest:
        return float("inf")
    return float(abs(first - second)) / largest


def relative_error(actual: Any, expected: Any) -> float:
    """Return the norm of the difference over that of the expected values; infinite for other shapes, NaN, infinity."""
    a, b = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if a.shape != b.shape or not _finite(a, b):
        return float("inf")
    norm = float(np.linalg.norm(b))
    error = float(np.linalg.norm(a - b))
    return error / norm if norm else error


def largest_difference(actual: Any, expected: Any) -> float:
    """Return the largest difference between samples; infinite for other lengths, and for NaN or infinity in either."""
    a, b = np.asarray(actual), np.asarray(expected)
    if a.shape != b.shape or not _finite(a, b):
        return float("inf")
    return float(np.abs(a - b).max(initial=0.0))


def _finite(*arrays: np.ndarray[Any, Any]) -> bool:
    """Tell whether there is neither NaN, which no comparison and no `max` would find, nor infinity."""
    return all(bool(np.isfinite(array).all()) for array in arrays)


def precision_settings(name: str) -> dict[str, str]:
    """Return the settings of a precision: ``"bfloat16"``, ``"int8"``, or both as ``"bfloat16+int8"``.

    Raises:
        InvalidPlugin: The name is none of them.
    """
    settings = {}
    for part in name.split("+"):
        if part in _DTYPES:
            settings["dtype"] = part
        elif part in _QUANTIZATIONS:
            settings["quantization"] = part
        else:
            choices = ", ".join((*_DTYPES, *_QUANTIZATIONS))
            raise InvalidPlugin(f"TOLERANCES has {name!r}", who="the testing module", fix=f"use names from {choices}")
    # One that is not named stays out: int8 alone is int8 over float32.
    return {"dtype": "float32", "quantization": "none", **settings}
