"""torch.compile for one function or module: modes, a way back, a cache on disk, and a count of what was compiled.

Switch: the setting ``compile=False`` (``REALTTS_COMPILE=false``), which gives the function back as it is.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import torch

from realtts.errors import CompileFailed
from realtts.settings_sources import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["CompiledCallable", "compile_cache", "compiled", "cpp_compiler", "recompilations", "reset_all"]

_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_ENVIRONMENT_LOCK = threading.RLock()


class CompiledCallable:
    """A function or module with its compiled form; made by `compiled`. Compilation happens in the first call.

    Call it from one thread at a time; with ``reduce-overhead`` on CUDA always from the same thread, because its graphs
    belong to the thread that made them. The number of threads, TF32 and the gradient mode are part of what the code
    was compiled for: calls under other values compile again, so run all calls under one `torch_flags`.

    Attributes:
        function: What was given.
        mode: The mode of torch.compile.
        reason: None while the compiled form is used, else why it is not.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        mode: str = "default",
        dynamic: bool | None = None,
        fullgraph: bool = False,
        fallback: bool = False,
        backend: str | Callable[..., Any] = "inductor",
        folder: Path | None = None,
        enabled: bool = True,
    ) -> None:
        self.function = function
        self.mode = mode
        self.reason: str | None = None if enabled else "switched off by compile=False"
        self._fallback = fallback
        self._options: dict[str, Any] = {"dynamic": dynamic, "fullgraph": fullgraph}
        self._backend = _Backend(backend, mode, dynamic, folder)
        self._call: Callable[..., Any] | None = None

    @property
    def graphs(self) -> int:
        """Graphs compiled for it since it was made or reset. It stays the same while nothing is compiled."""
        return self._backend.graphs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the compiled form, or the function itself where there is none.

        Raises:
            CompileFailed: It cannot be compiled and no fallback is allowed. An error of the function is its own.
        """
        if self.reason is not None:
            return self.function(*args, **kwargs)
        if self._call is None:
            self._call = torch.compile(_with_own_code(self.function), backend=self._backend, **self._options)
        try:
            return self._call(*args, **kwargs)
        except Exception as error:
            if not _is_of_the_compiler(error):
                raise
            return self._give_up(error, args, kwargs)

    def reset(self) -> None:
        """Free the compiled code; the next call compiles again."""
        self._call = None
        self._backend.graphs = 0
        gc.collect()  # guards and code refer to each other

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, for the status."""
        return {"compiled": self.reason is None, "mode": self.mode, "graphs": self.graphs, "reason": self.reason}

    def _give_up(self, error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the function's own result if that is allowed; raise its own error if it is the one at fault."""
        reason = _why(error)
        if not self._fallback:
            if isinstance(error, torch._dynamo.exc.TorchRuntimeError):
                self.function(*args, **kwargs)  # raises if its own input is wrong, as a shape may be
            raise CompileFailed(
                reason,
                who="torch.compile",
                fix="set compile=False (REALTTS_COMPILE=false) or compile_mode='default', or install Triton (CUDA) "
                "or a C++ compiler (CPU)",
            ) from error
        result = self.function(*args, **kwargs)
        self.reason = reason
        self.reset()
        return result


class _Backend:
    """What torch.compile hands its graphs to. torch keeps it for ever, so it knows nothing of the model."""

    def __init__(self, inner: str | Callable[..., Any], mode: str, dynamic: bool | None, folder: Path | None) -> None:
        self.graphs = 0
        self._inner = inner
        self._mode = mode
        self._dynamic = dynamic
        self._folder = folder

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[torch.Tensor], **options: Any) -> Any:
        self.graphs += 1
        if callable(self._inner):
            return self._inner(graph, inputs, **options)
        inner: Any = torch._dynamo.lookup_backend(self._inner)
        if self._inner != "inductor":
            return inner(graph, inputs, **options)
        patches = torch._inductor.list_mode_options(self._mode, self._dynamic)
        with compile_cache(self._folder):
            return inner(graph, inputs, config_patches=patches, **options)


def compiled(
    function: Callable[..., Any],
    *,
    mode: str = "default",
    dynamic: bool | None = None,
    fullgraph: bool = False,
    fallback: bool = False,
    backend: str | Callable[..., Any] = "inductor",
    folder: Path | None = None,
    enabled: bool = True,
) -> CompiledCallable:
    """Wrap a function or module so that calls run compiled. The function itself is not changed.

    Each wrapped callable has a code cache of its own: torch's limit of compilations per function counts for it alone,
    also when many models share a class, and `CompiledCallable.reset` frees what is its own.

    Args:
        function: A function or ``nn.Module``. With ``fallback``, one that may be called again after it failed half-way.
        mode: ``"default"``, ``"reduce-overhead"`` (CUDA graphs around the compiled code; nothing more on CPU) or
            ``"max-autotune"``: the setting ``compile_mode``.
        dynamic: Whether sizes may differ between calls without a compilation; None finds out by compiling once more.
        fullgraph: Whether a part that cannot be compiled is an error. Without it, such parts run as they are.
        fallback: Run the function as it is when compilation fails, with the reason in `CompiledCallable.reason`.
        backend: Backend of torch.compile.
        folder: Where compiled code is kept between processes; by default a folder in the user's cache folder.
        enabled: The setting ``compile``; False never compiles.
    """
    return CompiledCallable(
        function,
        mode=mode,
        dynamic=dynamic,
        fullgraph=fullgraph,
        fallback=fallback,
        backend=backend,
        folder=folder,
        enabled=enabled,
    )


def recompilations() -> int:
    """Graphs that torch.compile has made in this process, the first ones too.

    The same number before and after some work proves that nothing was compiled in it.
    """
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def reset_all() -> None:
    """Free everything that torch.compile has made in this process, by anybody."""
    torch._dynamo.reset()
    gc.collect()


def cpp_compiler() -> str | None:
    """Find the C++ compiler that compiled CPU code needs; None when there is none."""
    usual = {"win32": "cl", "darwin": "clang++"}.get(sys.platform, "g++")
    return shutil.which(os.environ.get("CXX") or usual)


@contextlib.contextmanager
def compile_cache(folder: Path | None = None) -> Iterator[Path]:
    """Let what is compiled in the body be kept in a folder; the environment variable is restored after it.

    A folder that the user has chosen by ``TORCHINDUCTOR_CACHE_DIR`` wins.

    Args:
        folder: Where, by default ``compile`` in the user's cache folder of realtts.

    Yields:
        The folder in force.
    """
    from pathlib import Path

    with _ENVIRONMENT_LOCK:
        before = os.environ.get(_VARIABLE)
        if before is not None and before != _torch_default():
            yield Path(before)
            return
        place = folder if folder is not None else cache_dir() / "compile"
        os.environ[_VARIABLE] = str(place)
        try:
            yield place
        finally:
            if before is None:
                os.environ.pop(_VARIABLE, None)
            else:
                os.environ[_VARIABLE] = before


def _torch_default() -> str | None:
    """Return the folder that torch itself writes into the variable when it compiles, which is nobody's choice."""
    try:
        from torch._inductor.runtime.cache_dir_utils import default_cache_dir
    except ImportError:  # pragma: no cover - private to torch, it may move
        return None
    return os.path.abspath(default_cache_dir())  # noqa: PTH100 - spelt as torch does it, to be compared


def _with_own_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function in a new code object, since torch keeps compiled code and its limits per code object."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return types.FunctionType(call.__code__.replace(), call.__globals__, call.__name__, None, call.__closure__)


def _is_of_the_compiler(error: BaseException) -> bool:
    """Whether it comes from torch's compiler and not from the function."""
    link: BaseException | None = error
    while link is not None:
        modules = (kind.__module__ for kind in type(link).__mro__)
        if any(module.startswith(("torch._dynamo", "torch._inductor", "triton")) for module in modules):
            return True
        link = link.__cause__
    return False


def _why(error: BaseException) -> str:
    """Describe the failure in one line: the inner one, where torch only says that its backend raised."""
    inner = getattr(error, "inner_exception", error)
    first = next((line.strip() for line in str(inner).splitlines() if line.strip()), "").rstrip(".:")
    reason = f"{type(inner).__name__}: {first}" if first else type(inner).__name__
    return reason if cpp_compiler() else f"there is no C++ compiler ({reason})"
