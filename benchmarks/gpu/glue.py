"""What stands between a decoder's products, as it is and compiled, and the parts of the sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu.setup import Setup

__all__ = ["measure"]

_VOCABULARIES = (2048, 8194, 65_537)


def measure(setup: Setup) -> None:
    """Write down the parts' microseconds."""
    import torch

    with torch.inference_mode():
        with setup.findings.measuring("glue", "functions of the decoder") as result:
            parts = _pointwise(setup)
            result["functions"] = sorted(parts)
        if "error" not in result:
            for name, (function, arguments) in parts.items():
                _one(setup, name, function, arguments)
        for vocabulary in _VOCABULARIES[:1] if setup.dry else _VOCABULARIES:
            _sampler(setup, vocabulary)


def _pointwise(setup: Setup) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Return the decoder's functions with tensors of Qwen3-TTS 0.6B's talker."""
    import torch

    from realtts.accel.decoder.pointwise import gated, heads, normed

    def random(*shape: int) -> Any:
        return torch.randn(*shape, device=setup.device).to(torch.bfloat16)

    weight, norm, turned = random(1024), random(128), random(1, 1, 128)
    return {
        "normed": (normed, (random(1, 1024), weight, None, 1e-6)),
        "heads": (heads, (random(1, 32, 128), norm, norm, 1e-6, turned, turned, 8)),
        "gated": (gated, (random(1, 6144),)),
    }


def _one(setup: Setup, name: str, function: Any, arguments: tuple[Any, ...]) -> None:
    for form in ("eager",) if setup.dry else ("eager", "compiled"):
        with setup.findings.measuring("glue", f"{name} | {form}") as result:
            call = function
            if form == "compiled":
                from realtts.accel.compile import compiled

                call = compiled(function, mode="default", dynamic=False)
            result.update(setup.per_call(lambda call=call: call(*arguments), 100))  # type: ignore[misc]


def _sampler(setup: Setup, vocabulary: int) -> None:
    import torch

    from realtts.accel.sampling import processors

    scores, rest = torch.randn(1, vocabulary, device=setup.device), torch.full((1, 1), 0.1, device=setup.device)
    parts = {
        "top_p": lambda: processors.top_p(scores, rest),
        "topk": lambda: scores.topk(64, -1),
        "softmax": lambda: scores.softmax(-1),
    }
    for name, work in parts.items():
        with setup.findings.measuring("glue", f"sampler {name} | {vocabulary}") as result:
            result.update(setup.per_call(work, 50))
