"""Every failure that users know from these models has a remedy that names the setting."""

import pytest

from realtts.errors import WorkerDied
from realtts.ladder.remedies import find_remedy

OOM = type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch"})

KNOWN = {
    "oom": (OOM("CUDA out of memory. Tried to allocate 2 GiB"), "generate", "cpu_offload=True", True),
    "killed": (WorkerDied("its worker ended (SIGKILL) while loading", who="x", fix=""), "load", "memory ran out", True),
    "crashed": (
        WorkerDied("its worker ended (SIGSEGV); CUDA error", who="x", fix=""),
        "warmup",
        "optimize=False",
        False,
    ),
    "host memory": (MemoryError(), "load", "Free memory", True),
    "compile": (
        RuntimeError("backend='inductor' raised: Cannot find a working triton installation"),
        "warmup",
        "compile=False",
        False,
    ),
    "graph": (
        RuntimeError("CUDA error: operation not permitted when stream is capturing"),
        "compile",
        "cuda_graphs=False",
        False,
    ),
    "graph memory": (
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        "warmup",
        "cuda_graphs=False",
        False,
    ),
    "flash": (
        ImportError("FlashAttention2 has been toggled on, but flash_attn seems to be not installed"),
        "load",
        "attention='sdpa'",
        False,
    ),
    "half": (RuntimeError("\"LayerNormKernelImpl\" not implemented for 'Half'"), "generate", "dtype='float32'", False),
    "nan": (ValueError("the samples hold NaN or infinity (not finite)"), "generate", "dtype='float32'", False),
    "kernel image": (
        RuntimeError("CUDA error: no kernel image is available for execution on the device"),
        "load",
        "newer torch",
        False,
    ),
    "no gpu": (RuntimeError("No CUDA GPUs are available"), "load", "device='cpu'", False),
    "numpy": (
        ValueError("numpy.dtype size changed, may indicate binary incompatibility"),
        "load",
        "environment of its own",
        False,
    ),
    "torchaudio": (OSError("Could not load this library: /x/_torchaudio.abi3.so"), "load", "torchaudio", False),
    "import": (ModuleNotFoundError("No module named 'chatterbox'"), "load", "install it here", False),
    "checkpoint": (FileNotFoundError(2, "No such file or directory", "t3.safetensors"), "load", "model=", False),
    "network": (ConnectionError("Max retries exceeded"), "load", "local folder", True),
    "disk": (OSError(28, "No space left on device"), "load", "disk is full", True),
    "permission": (PermissionError(13, "Permission denied"), "load", "owner", False),
    "silence": (ValueError("the audio is silent"), "generate", "silence", False),
}


@pytest.mark.parametrize("case", KNOWN, ids=str)
def test_known_failure_has_its_remedy(case):
    """By type and message, with the flag whether it may pass by itself."""
    error, stage, sentence, retryable = KNOWN[case]
    remedy = find_remedy(error, stage)
    assert sentence in remedy.sentence
    assert remedy.retryable is retryable
    assert remedy.sentence.endswith(".")


@pytest.mark.parametrize("stage", ["load", "convert_precision", "compile", "warmup", "generate", "probe"])
def test_unknown_failure_gets_advice_for_its_stage(stage):
    """There is always something to do."""
    assert find_remedy(RuntimeError("something odd"), stage).sentence


def test_cause_is_looked_at():
    """A wrapped exception is recognised by its cause."""
    error = ValueError("could not prepare")
    error.__cause__ = OOM("CUDA out of memory")
    assert find_remedy(error, "load").retryable
