"""What the optimizer may do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["OptimizationConfig"]


@dataclass
class OptimizationConfig:
    """Switches of `AdvancedTTSOptimizer`; each one says what the optimizer may try, not what the machine can do.

    May be changed at any time; a model is affected when it is optimized next.

    Attributes:
        enable_fp16: Allow float16 where bfloat16 is not to be had.
        enable_bf16: Allow bfloat16, which is preferred.
        enable_flash_attention: Prefer the fastest attention kernel that works; False leaves the choice to torch.
        enable_cuda_graphs: Capture the forward pass for the shapes of ``example_inputs``; CUDA only.
        enable_compile: Use torch.compile.
        compile_mode: ``"reduce-overhead"``, ``"default"`` or ``"max-autotune"``.
        pin_memory: Take host buffers and inputs through pinned memory; CUDA only.
        preload_weights: Read all weights once, so that none is fetched from a mapped file during the first request.
        batch_preprocessing: Take several texts in one `OptimizedTTSWrapper.generate`, and send all inputs of a call
            to the device together.
        use_inference_mode: Run every call in torch's inference mode.
        num_threads: Threads of torch's operators; None: physical cores.
        preallocate_buffers: Keep returned buffers for the next `get_buffer`.
    """

    enable_fp16: bool = True
    enable_bf16: bool = True
    enable_flash_attention: bool = True
    enable_cuda_graphs: bool = True
    enable_compile: bool = True
    compile_mode: str = "reduce-overhead"
    pin_memory: bool = True
    preload_weights: bool = True
    batch_preprocessing: bool = True
    use_inference_mode: bool = True
    num_threads: int | None = None
    preallocate_buffers: bool = True

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)
