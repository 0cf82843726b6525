"""For tests and benchmarks: a model with random weights, in Kokoro's own files."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.errors import InvalidOption, MissingExtra
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
    if size not in _SIZES:
        raise InvalidOption(f"size is {size!r}", who="realtts_kokoro.testing", fix=f"choose one of {', '.join(_SIZES)}")
    folder = Path(path)
    (folder / "voices").mkdir(parents=True, exist_ok=True)
    graph = _Graph(_SIZES[size], seed)
    (folder / "model.onnx").write_bytes(graph.write(tokens, speed, noise=noise, lengths=lengths))
    for name in voices:
        styles = graph.random.standard_normal((_LENGTHS, 1, STYLE)).astype("<f4") * np.float32(0.2)
        (folder / "voices" / f"{name}.bin").write_bytes(styles.tobytes())
    return folder


class _Graph:
    """The nodes and weights of a graph that is being written.

    Args:
        channels: Of its layers.
        seed: Of the weights.
    """

    def __init__(self, channels: int, seed: int) -> None:
        try:
            self._onnx: Any = importlib.import_module("onnx")
        except ImportError as error:
            raise MissingExtra(
                "the package onnx is not installed", who="realtts_kokoro.testing",
                fix="pip install 'realtts-kokoro[testing]'",
            ) from error  # fmt: skip
        self._channels = channels
        self.random = np.random.default_rng(seed)
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def write(self, tokens: str, speed: str, *, noise: bool, lengths: bool) -> bytes:
        helper, types = self._onnx.helper, self._onnx.TensorProto
        text = self._add("Gather", self._normal(_SYMBOLS, self._channels), tokens)
        text = self._add("Add", text, self._add("MatMul", "style", self._normal(STYLE, self._channels, scale=0.1)))
        frames = self._frames(text, lengths=lengths)
        latent = self._spread(text, frames)
        if noise:
            latent = self._add("Add", latent, self._add("RandomNormalLike", latent, dtype=1))
        self._sound(latent)
        kind = {"float32": types.FLOAT, "int32": types.INT32}[speed]
        inputs = [(tokens, types.INT64, [1, "n"]), ("style", types.FLOAT, [1, STYLE]), ("speed", kind, [1])]
        graph = helper.make_graph(
            self._nodes,
            "kokoro",
            [helper.make_tensor_value_info(*each) for each in inputs],
            [helper.make_tensor_value_info("audio", types.FLOAT, ["samples"])],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
        self._onnx.checker.check_model(model)
        content: bytes = model.SerializeToString()
        return content

    def _frames(self, text: str, *, lengths: bool) -> str:
        """Return the frames of each symbol, (1, n): some 3, divided by the speed."""
        own = self._add("Sigmoid", self._add("ReduceMean", text, axes=[2], keepdims=0))
        own = self._add("Mul", own, self._weight(np.float32(6)))
        own = self._add("Div", own, self._add("Cast", "speed", to=1))
        rounded = self._add("Round" if lengths else "Ceil", own)
        return self._add("Clip", rounded, self._weight(np.float32(1)))

    def _spread(self, text: str, frames: str) -> str:
        """Return each symbol's values for as long as it lasts, (1, channels, frames)."""
        flat = self._add("Reshape", frames, self._weight(np.asarray([-1], np.int64)))
        ends = self._add("CumSum", flat, self._weight(np.int64(0)))
        total = self._add("Cast", self._add("ReduceMax", ends, keepdims=0), to=7)
        steps = self._add("Range", self._weight(np.int64(0)), total, self._weight(np.int64(1)))
        steps = self._add("Unsqueeze", self._add("Cast", steps, to=1), self._weight(np.asarray([1], np.int64)))
        passed = self._add("Cast", self._add("GreaterOrEqual", steps, ends), to=7)
        index = self._add("ReduceSum", passed, self._weight(np.asarray([1], np.int64)), keepdims=0)
        return self._add("Gather", self._add("Transpose", text, perm=[0, 2, 1]), index, axis=2)

    def _sound(self, latent: str) -> None:
        # A frame's samples are a few waves, so that it sounds like something and joins do not click.
        turns = np.arange(2 * FRAME, dtype=np.float32) / (2 * FRAME)
        waves = np.sin(2 * np.pi * turns * np.arange(4, 4 + self._channels)[:, None]) * np.hanning(2 * FRAME)
        kernel = self._weight((waves[:, None] * 0.1).astype(np.float32))
        pads = [FRAME // 2, FRAME // 2]
        sound = self._add("ConvTranspose", latent, kernel, strides=[FRAME], pads=pads, kernel_shape=[2 * FRAME])
        self._add("Reshape", self._add("Tanh", sound), self._weight(np.asarray([-1], np.int64)), out="audio")

    def _add(self, op: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        out = out or f"/{op}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(op, list(inputs), [out], **attributes))
        return out

    def _weight(self, value: Any) -> str:
        name = f"weight_{len(self._weights)}"
        self._weights.append(self._onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def _normal(self, *shape: int, scale: float = 1.0) -> str:
        return self._weight((self.random.standard_normal(shape) * scale).astype(np.float32))
