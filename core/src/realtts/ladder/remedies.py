"""What to do about a failed stage: one sentence per known failure.

The entries come from the troubleshooting sections that users of these models know, turned into settings of realtts.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from realtts.exception_text import describe_error, linked

__all__ = ["Remedy", "find_remedy", "is_out_of_memory"]


class Remedy(NamedTuple):
    """What to do about a failure.

    Attributes:
        sentence: What to do, naming the setting.
        retryable: True when the same rung may work later without any change.
    """

    sentence: str
    retryable: bool = False


class _Known(NamedTuple):
    pattern: re.Pattern[str]
    remedy: Remedy
    stages: frozenset[str] = frozenset()


def _known(pattern: str, sentence: str, *, retryable: bool = False, stages: str = "") -> _Known:
    return _Known(re.compile(pattern, re.IGNORECASE), Remedy(sentence, retryable), frozenset(stages.split()))


_OUT_OF_MEMORY = r"out of memory|OutOfMemory|MemoryError|can't allocate memory|bad_alloc|CUBLAS_STATUS_ALLOC_FAILED"

# Matched in this order against "ExceptionType: message"; the first that fits is taken.
_TABLE = (
    _known(
        r"WorkerDied: .*\(SIGKILL\)",
        "Its process was killed: if nobody did that, the machine's memory ran out; lower the demand by a smaller "
        "dtype, shorter texts and smaller batches.",
        retryable=True,
    ),
    _known(
        r"WorkerDied: ",
        "Its process crashed: set optimize=False to stay on the plain variant, and report its last lines to the "
        "plugin's author.",
    ),
    _known(
        r"Server(Unreachable|Busy|Failed): ",
        "The server of this provider did not answer as it should: see whether it runs, and try again.",
        retryable=True,
    ),
    _known(
        _OUT_OF_MEMORY,
        "Free memory or lower the demand: dtype='float16' or 'bfloat16', cpu_offload=True, compile=False, or shorter "
        "texts and smaller batches.",
        retryable=True,
    ),
    _known(
        r"no kernel image|not compatible with the current PyTorch|sm_\d+ is not",
        "This torch build has no kernels for the GPU: install a newer torch built for its compute capability, or set "
        "device='cpu'.",
    ),
    _known(
        r"flash.?attn|flash.?attention",
        "Flash attention is missing or does not fit this GPU: set attention='sdpa', or install a matching flash-attn.",
    ),
    _known(
        r"cuda ?graph|graph capture|capturing|illegal memory access|cudaErrorStreamCapture",
        "Capturing a CUDA graph failed: set cuda_graphs=False.",
    ),
    _known(
        r"triton|inductor|dynamo|torch\.?compile|BackendCompilerFailed|C\+\+ compiler|TorchRuntimeError",
        "torch.compile failed: set compile=False or compile_mode='default', or install Triton and a C++ compiler.",
    ),
    _known(
        r"numpy\.(dtype|ufunc) size changed|compiled using NumPy 1|_ARRAY_API not found|multiarray failed",
        "Packages here were built for another NumPy: give the provider a virtual environment of its own.",
    ),
    _known(
        r"libtorchaudio|_torchaudio|torchcodec",
        "The torchaudio binary does not fit this torch: install the same build of both, or give the provider a virtual "
        "environment of its own.",
    ),
    _known(
        r"\bNaN\b|not finite|non-finite|\binf\b.*values|half|bfloat16|float16|\bdtype\b.*mismatch|expected scalar type",
        "Half precision is unstable here: set dtype='float32'.",
    ),
    _known(r"silent", "The rung produced silence: set dtype='float32' or optimize=False, and report it."),
    _known(
        r"No CUDA GPUs|CUDA driver|not compiled with CUDA|CUDA error|cudnn|cublas",
        "CUDA does not work as installed: compare driver and torch build with 'realtts doctor', or set device='cpu'.",
    ),
    _known(
        r"ModuleNotFoundError|ImportError|No module named",
        "A package is missing or broken: install it here, or give the provider a virtual environment of its own.",
        stages="load",
    ),
    _known(
        r"FileNotFoundError|No such file|not a directory|Missing key|Unexpected key|size mismatch",
        "The checkpoint is incomplete or of another model: check model= and the files in its folder.",
        stages="load",
    ),
    _known(
        r"ConnectionError|Timeout|Max retries|offline|HTTPError|ConnectError",
        "The weights could not be fetched: check the network, or give a local folder as model=.",
        retryable=True,
        stages="load",
    ),
    _known(r"No space left", "The disk is full: free some space.", retryable=True),
    _known(r"PermissionError|Permission denied", "A file may not be read or written: check its owner and mode."),
)

_BY_STAGE = {
    "load": "Check the checkpoint and the plugin's installation with 'realtts doctor'.",
    "convert_precision": "Set dtype='float32'.",
    "compile": "Set compile=False and cuda_graphs=False.",
    "warmup": "Set compile=False and cuda_graphs=False, or dtype='float32'.",
    "generate": "Set optimize=False to stay on the plain variant, and report the traceback to the plugin's author.",
}


def find_remedy(error: BaseException, stage: str, variant: str = "optimized") -> Remedy:
    """Return the remedy for an exception of a stage, a general one for an unknown failure.

    Args:
        error: The exception; its causes and the members of its group are looked at too.
        stage: Where it happened.
        variant: The plain variant has no settings to step down with, and one text that it cannot speak says nothing
            about the next.
    """
    for link in linked(error):
        subject = describe_error(link)
        for failure in _TABLE:
            if (not failure.stages or stage in failure.stages) and failure.pattern.search(subject):
                return failure.remedy._replace(retryable=failure.remedy.retryable or _may_pass(stage, variant))
    if variant == "plain" and stage != "load":
        return Remedy("Report the traceback to the plugin's author.", retryable=_may_pass(stage, variant))
    return Remedy(_BY_STAGE.get(stage, "Report the traceback to the plugin's author."))


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception, or one of its causes, says that memory ran out."""
    return any(re.search(_OUT_OF_MEMORY, describe_error(link), re.IGNORECASE) for link in linked(error))


def _may_pass(stage: str, variant: str) -> bool:
    return variant == "plain" and stage in {"generate", "close"}
