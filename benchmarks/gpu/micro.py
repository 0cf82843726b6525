"""What a step is made of, each part in a graph: a node, the products, and the first convolution of a new length."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpu.setup import Setup

__all__ = ["measure"]

_PRODUCTS = (
    ("t3, 2 rows", 2, ((3072, 1024), (1024, 1024), (8192, 1024), (1024, 4096))),
    ("qwen3 0.6b", 1, ((4096, 1024), (1024, 2048), (6144, 1024), (1024, 3072))),
    ("qwen3 0.6b, 8 rows", 8, ((4096, 1024), (6144, 1024))),
)
"""Of whose step, rows, and the matrices, outputs by inputs."""

_BEYOND_L2 = 1 << 28
"""Bytes of matrices that are multiplied in turn: none is left in a cache from the last time."""


def measure(setup: Setup) -> None:
    """Write down the parts' microseconds."""
    import torch

    with torch.inference_mode():
        _nodes(setup)
        for label, rows, shapes in _PRODUCTS:
            for outputs, inputs in shapes:
                _product(setup, label, rows, outputs, inputs)
        for choosing in (False, True):
            _convolutions(setup, choosing=choosing)


def _nodes(setup: Setup) -> None:
    import torch

    with setup.findings.measuring("micro", "graph node") as result:
        for width in (1, 2048):
            x = torch.zeros(width, device=setup.device, dtype=torch.bfloat16)
            nodes = 20 if setup.dry else 1000
            result[f"us_per_node_{width}"] = setup.per_call(lambda x=x: x.add_(1), nodes)["us"]  # type: ignore[misc]


def _product(setup: Setup, label: str, rows: int, outputs: int, inputs: int) -> None:
    import torch
    from torch.nn import functional

    with setup.findings.measuring("micro", f"linear | {label} | {inputs} to {outputs}") as result:
        nbytes = outputs * inputs * 2
        count = 2 if setup.dry else max(8, _BEYOND_L2 // nbytes)
        weights = [torch.randn(outputs, inputs, device=setup.device).to(torch.bfloat16) for _ in range(count)]
        x = torch.randn(rows, inputs, device=setup.device).to(torch.bfloat16)
        replay, _ = setup.graphed(lambda: [functional.linear(x, weight) for weight in weights])
        us = setup.timed(replay) / count
        result.update(us=us, GBps=nbytes / us / 1e3)


def _convolutions(setup: Setup, *, choosing: bool) -> None:
    """Time the first convolution of a length: with cudnn.benchmark every length is timed by cuDNN, too."""
    import torch

    with setup.findings.measuring("micro", f"conv of a new length | cudnn.benchmark={choosing}") as result:
        before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = choosing
        try:
            weight = torch.randn(256, 256, 7, device=setup.device)
            for length in (500, 504) if setup.dry else (5000, 5040, 5080):
                x = torch.randn(1, 256, length, device=setup.device)
                setup.wait()
                began = time.perf_counter()
                torch.nn.functional.conv1d(x, weight, padding=3)
                setup.wait()
                result[f"first_ms_{length}"] = (time.perf_counter() - began) * 1e3
        finally:
            torch.backends.cudnn.benchmark = before
