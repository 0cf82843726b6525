"""For tests and benchmarks: a model with random weights, in Kokoro's own files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from realtts.testing.onnx_writer import GraphWriter, check_size
from realtts_kokoro.network import FRAME
from realtts_kokoro.voices import STYLE

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["write_random_checkpoint"]

_SIZES = {"tiny": 8, "full": 128}
"""Channels."""

_SYMBOLS = 178
_LENGTHS = 510
_SPEEDS = {"float32": "FLOAT", "int32": "INT32"}


def write_random_checkpoint(
    path: str | os.PathLike[str],
    size: str = "tiny",
    seed: int = 0,
    *,
    voices: Sequence[str] = ("af_heart", "af_sky", "bm_lewis", "ef_dora", "jf_alpha", "zf_xiaobei"),
    tokens: str = "tokens",
    speed: str = "float32",
    noise: bool = False,
    lengths: bool = True,
) -> Path:
    """Write a model with random weights: a graph that rounds lengths as Kokoro's does, and voices.

    Args:
        path: The folder.
        size: ``"tiny"`` or ``"full"``.
        seed: Of the weights.
        voices: Names.
        tokens: Name of the graph's first input.
        speed: Type of its last one, ``"float32"`` or ``"int32"``.
        noise: Whether it draws noise.
        lengths: Whether it rounds the lengths in one place, where they can be read.

    Returns:
        The folder.

    Raises:
        InvalidOption: No such size.
        MissingExtra: The package onnx is not installed.
    """
    check_size(size, _SIZES, "realtts_kokoro.testing")
    folder = Path(path)
    (folder / "voices").mkdir(parents=True, exist_ok=True)
    made = GraphWriter(seed, "realtts-kokoro")
    graph = _graph(made, _SIZES[size], (tokens, speed), noise=noise, lengths=lengths)
    (folder / "model.onnx").write_bytes(graph)
    for name in voices:
        styles = made.random.standard_normal((_LENGTHS, 1, STYLE)).astype("<f4") * np.float32(0.2)
        (folder / "voices" / f"{name}.bin").write_bytes(styles.tobytes())
    return folder


def _graph(made: GraphWriter, channels: int, names: tuple[str, str], *, noise: bool, lengths: bool) -> bytes:
    tokens, speed = names
    text = made.add("Gather", made.normal(_SYMBOLS, channels), tokens)
    text = made.add("Add", text, made.add("MatMul", "style", made.normal(STYLE, channels, scale=0.1)))
    frames = _frames(made, text, lengths=lengths)
    latent = made.spread(made.add("Transpose", text, perm=[0, 2, 1]), frames)
    if noise:
        latent = made.add("Add", latent, made.add("RandomNormalLike", latent, dtype=1))
    sound = made.add("Tanh", made.sound(latent, channels, FRAME))
    made.add("Reshape", sound, made.numbers(-1), out="audio")
    inputs: list[tuple[str, str, list[object]]] = [
        (tokens, "INT64", [1, "n"]),
        ("style", "FLOAT", [1, STYLE]),
        ("speed", _SPEEDS[speed], [1]),
    ]
    return made.write("kokoro", inputs, ("audio", "FLOAT", ["samples"]))


def _frames(made: GraphWriter, text: str, *, lengths: bool) -> str:
    """Return the frames of each symbol, (1, n): some 3, divided by the speed."""
    own = made.add("Sigmoid", made.add("ReduceMean", text, axes=[2], keepdims=0))
    own = made.add("Mul", own, made.weight(np.float32(6)))
    own = made.add("Div", own, made.add("Cast", "speed", to=1))
    rounded = made.add("Round" if lengths else "Ceil", own)
    return made.add("Clip", rounded, made.weight(np.float32(1)))
