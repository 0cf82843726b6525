"""Names and shapes of the tensors of the flow's speaker encoder, CAM++ (Wang et al., 2023, arXiv:2303.00332).

Source: ``models/s3gen/xvector.py`` of github.com/resemble-ai/chatterbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    Pairs = Iterator[tuple[str, tuple[int, ...]]]

__all__ = ["speaker_shapes"]

_CHANNELS, _BANDS = 32, 80
_BLOCKS = (12, 24, 16)
"""Layers of each dense block."""

_NARROWED = 4
"""Width inside a dense layer, in growths."""


def speaker_shapes(width: int, growth: int, embedding: int) -> Pairs:
    """Yield the shapes of all tensors.

    Args:
        width: Channels of the first layer in time.
        growth: Channels that each of the later layers adds.
        embedding: Width of the embedding.
    """
    yield from _head()
    yield "xvector.tdnn.linear.weight", (width, _CHANNELS * _BANDS // 8, 5)
    yield from _batch_norm("xvector.tdnn.nonlinear.batchnorm", width)
    for number, layers in enumerate(_BLOCKS, start=1):
        for index in range(layers):
            yield from _dense(f"xvector.block{number}.tdnnd{index + 1}.", width + index * growth, growth)
        width += layers * growth
        yield from _batch_norm(f"xvector.transit{number}.nonlinear.batchnorm", width)
        yield f"xvector.transit{number}.linear.weight", (width // 2, width, 1)
        width //= 2
    yield from _batch_norm("xvector.out_nonlinear.batchnorm", width)
    yield "xvector.dense.linear.weight", (embedding, 2 * width, 1)
    yield from _batch_norm("xvector.dense.nonlinear.batchnorm", embedding, affine=False)


def _head() -> Pairs:
    yield "head.conv1.weight", (_CHANNELS, 1, 3, 3)
    yield from _batch_norm("head.bn1", _CHANNELS)
    for layer in ("layer1", "layer2"):
        for block in ("0", "1"):
            for half in ("1", "2"):
                yield f"head.{layer}.{block}.conv{half}.weight", (_CHANNELS, _CHANNELS, 3, 3)
                yield from _batch_norm(f"head.{layer}.{block}.bn{half}", _CHANNELS)
        yield f"head.{layer}.0.shortcut.0.weight", (_CHANNELS, _CHANNELS, 1, 1)
        yield from _batch_norm(f"head.{layer}.0.shortcut.1", _CHANNELS)
    yield "head.conv2.weight", (_CHANNELS, _CHANNELS, 3, 3)
    yield from _batch_norm("head.bn2", _CHANNELS)


def _dense(layer: str, inputs: int, growth: int) -> Pairs:
    inner, context = _NARROWED * growth, _NARROWED * growth // 2
    yield from _batch_norm(f"{layer}nonlinear1.batchnorm", inputs)
    yield f"{layer}linear1.weight", (inner, inputs, 1)
    yield from _batch_norm(f"{layer}nonlinear2.batchnorm", inner)
    yield f"{layer}cam_layer.linear_local.weight", (growth, inner, 3)
    yield f"{layer}cam_layer.linear1.weight", (context, inner, 1)
    yield f"{layer}cam_layer.linear1.bias", (context,)
    yield f"{layer}cam_layer.linear2.weight", (growth, context, 1)
    yield f"{layer}cam_layer.linear2.bias", (growth,)


def _batch_norm(name: str, width: int, *, affine: bool = True) -> Pairs:
    for part in ("weight", "bias") if affine else ():
        yield f"{name}.{part}", (width,)
    yield f"{name}.running_mean", (width,)
    yield f"{name}.running_var", (width,)
    yield f"{name}.num_batches_tracked", ()
