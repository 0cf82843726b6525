"""Precision that the user has named, and rungs that would break it: a plugin may propose what it likes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.exception_text import shown
from realtts.settings import inexact_setting, plain_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["broken_promise"]

_POLICY = "precision_policy"
_BITS = {"none": 32, "int8": 8, "int4": 4}


def broken_promise(named: Mapping[str, Any], changes: Mapping[str, Any]) -> str | None:
    """Return why a rung breaks a precision that the user has named; None: it keeps it.

    A rung may be more exact than what is named, which is how the ladder steps down, but never less.

    Args:
        named: The settings that somebody has set, by field.
        changes: The settings that the rung changes.
    """
    for name, promise in (*_against_policy(named, changes), *_against_dtype(named, changes), *_coarser(named, changes)):
        return f"{name}={shown(changes.get(name))} is not what {promise} asks"
    return None


def _against_policy(named: Mapping[str, Any], changes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the rung's setting that breaks an exact policy, with what it breaks."""
    if named.get(_POLICY) != "exact":
        return
    wrong = inexact_setting({**named, **changes, _POLICY: "exact"})
    if changes.get(_POLICY, "exact") != "exact":
        wrong = _POLICY
    if wrong is not None:
        yield wrong, f"{_POLICY}='exact'"


def _against_dtype(named: Mapping[str, Any], changes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the rung's settings that compute in less than the type that is named."""
    dtype = named.get("dtype", "auto")
    if dtype == "auto":
        return
    asked = f"dtype={dtype!r}"
    if "dtype" in changes and plain_dtype(changes["dtype"]) not in {dtype, "float32"}:
        yield "dtype", asked
    if named.get("quantization", "auto") == "auto" and _bits(changes) < _BITS["none"]:
        yield "quantization", asked
    wanted = named.get("tf32", False) or "matmul_precision" in named  # whoever names TF32 as well wants it
    if dtype == "float32" and not wanted:
        if changes.get("tf32", False):
            yield "tf32", asked
        if changes.get("matmul_precision", "highest") != "highest":
            yield "matmul_precision", asked


def _coarser(named: Mapping[str, Any], changes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a rung's quantization that is coarser than the one that is named."""
    quantization = named.get("quantization", "auto")
    if quantization != "auto" and _bits(changes) < _BITS.get(quantization, 0):
        yield "quantization", f"quantization={quantization!r}"


def _bits(changes: Mapping[str, Any]) -> int:
    """Return the bits of the weights that a rung asks for; what is no kind of quantization is judged elsewhere."""
    kind = changes.get("quantization", "none")
    return _BITS.get(kind, _BITS["none"]) if isinstance(kind, str) else _BITS["none"]
