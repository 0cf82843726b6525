"""Attention by kernel: microseconds inside a graph, and the first run of each length, in which plans are built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu.setup import Setup

__all__ = ["measure"]

_STEPS = {
    "t3 step": (2, 16, 1, 448, 64),
    "qwen3 talker step": (1, 8, 2, 320, 128),
    "qwen3 predictor step": (1, 8, 2, 9, 128),
    "vieneu step": (1, 2, 7, 704, 64),
    "vieneu step, 16 rows": (16, 2, 7, 704, 64),
}
"""Rows, key and value heads, queries for each of them, keys, width."""


def measure(setup: Setup) -> None:
    """Write down a step's attention of every model, and that of F5's whole sequences under every form of mask."""
    import torch

    with torch.inference_mode():
        for label, shape in _STEPS.items():
            for name, kernel in _kernels().items():
                _step(setup, label, shape, name, kernel)
        _whole(setup)


def _kernels() -> dict[str, Any]:
    from torch.nn.attention import SDPBackend

    return {
        "cudnn": SDPBackend.CUDNN_ATTENTION,
        "efficient": SDPBackend.EFFICIENT_ATTENTION,
        "flash": SDPBackend.FLASH_ATTENTION,
        "math": SDPBackend.MATH,
    }


def _step(setup: Setup, label: str, shape: tuple[int, int, int, int, int], name: str, kernel: Any) -> None:
    import torch
    from torch.nn import functional
    from torch.nn.attention import sdpa_kernel

    rows, heads, queries, keys, width = shape
    half = torch.bfloat16
    with setup.findings.measuring("attention", f"{label} | {name}") as result:
        q = torch.randn(rows, heads, queries, width, device=setup.device).to(half)
        cache = torch.randn(2, rows, heads, 1025, width, device=setup.device).to(half)
        for length in (keys, keys + 64):  # a second one: is a plan built anew?
            k, v = cache[0][:, :, :length], cache[1][:, :, :length]
            mask = None if name == "flash" else torch.zeros(rows, 1, 1, length, device=setup.device, dtype=half)

            def work(k: Any = k, v: Any = v, mask: Any = mask) -> Any:
                return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)

            with sdpa_kernel(kernel):
                times = setup.per_call(work, 50)
            result.update({f"{key}_{length}": value for key, value in times.items()})


def _whole(setup: Setup) -> None:
    import torch
    from torch.nn import functional
    from torch.nn.attention import sdpa_kernel

    frames = 64 if setup.dry else 1024
    half, at = torch.bfloat16, setup.device
    q, k, v = (torch.randn(2, 16, frames, 64, device=at).to(half) for _ in range(3))
    real = (torch.arange(frames, device=at) < frames - 50).expand(2, -1)[:, None, None]
    added = torch.zeros(2, 1, 1, frames, device=at, dtype=half).masked_fill(~real, -torch.inf)
    for form, mask in {"none": None, "boolean": real, "additive": added}.items():
        for name, kernel in _kernels().items():
            with setup.findings.measuring("attention", f"f5, mask {form} | {name}") as result, sdpa_kernel(kernel):

                def work(mask: Any = mask) -> Any:
                    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)

                result.update(setup.per_call(work, 10))
    with setup.findings.measuring("attention", "f5 | varlen") as result:
        from torch.nn.attention.varlen import varlen_attn

        q, k, v = (torch.randn(2 * frames, 16, 64, device=at).to(half) for _ in range(3))
        ends = torch.tensor([0, frames - 50, 2 * frames - 100], dtype=torch.int32, device=at)
        result.update(setup.per_call(lambda: varlen_attn(q, k, v, ends, ends, frames, frames), 10))
