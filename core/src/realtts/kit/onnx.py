"""Graphs on ONNX Runtime, for plugins that need no torch: one session per graph, on one execution provider.

    def rungs(self, context):
        return onnx_rungs(context)

    def probe(self, context):
        return onnx_probe(context)

    def load(self, context):
        return OnnxGraph.open(folder / "model.onnx", context)

A rung is named after the execution provider it runs on, so that a step down from the GPU to the CPU stands in the
status with its reason. ONNX Runtime itself would step down without a word; here that is an error of the rung.

The extra ``realtts[onnx]`` brings `onnxruntime`, which is imported when a graph is opened; `onnxruntime-gpu` may stand
in its place.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realtts.contract.context import Rung
from realtts.errors import AccelError, CheckpointCorrupt, MissingExtra
from realtts.exception_text import describe_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from realtts.contract.context import Context

__all__ = [
    "ELEMENT_TYPES",
    "OnnxGraph",
    "RunCancelled",
    "expose_output",
    "message",
    "onnx_devices",
    "onnx_probe",
    "onnx_rungs",
    "output_message",
    "tensor_message",
    "varint",
]

_PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
"""By the name of their rung, fastest first."""

_DAMAGED = ("InvalidProtobuf", "InvalidGraph", "NoModel", "ModelLoaded", "NoSuchFile")
"""ONNX Runtime's exceptions for a file that is no graph; all others concern the machine."""

_DAMAGED_ON_CPU = (*_DAMAGED, "InvalidArgument")
"""A GPU may refuse its own settings so; of the CPU's there are none."""

ELEMENT_TYPES = {"float32": 1, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11}
"""Numbers of element types, as ONNX has them."""

_OUTPUT = 12
"""The outputs' field in GraphProto."""


_POLL_S = 0.02
"""How often a run asks whether it is cancelled."""


class RunCancelled(Exception):
    """A run of a graph that was cancelled before its end."""


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """A graph that is ready to run; several threads may run it at once.

    Attributes:
        session: The session of ONNX Runtime.
        inputs: Names of the inputs, in their order.
        outputs: Names of the outputs, in their order.
        provider: The execution provider, such as ``"CPUExecutionProvider"``.
    """

    session: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    provider: str

    @classmethod
    def open(cls, graph: Path | bytes, context: Context, *, threads: int | None = None, name: str = "") -> OnnxGraph:
        """Open a graph on the execution provider of the context's rung.

        Args:
            graph: A file, or what stands in one; graphs with weights in files beside them need the file.
            context: Its rung names the execution provider, its setting ``threads`` the number of threads.
            threads: Number of threads where the setting is ``"auto"``; None: as many as ONNX Runtime takes.
            name: What is opened, for messages; default: the file's name.

        Raises:
            CheckpointCorrupt: It is no graph that ONNX Runtime can read.
            AccelError: The execution provider cannot be used here.
            MissingExtra: ONNX Runtime is not installed.
        """
        name = name or ("a graph" if isinstance(graph, bytes) else graph.name)
        runtime, kind = _runtime(), _kind(context)
        try:
            session = runtime.InferenceSession(
                graph if isinstance(graph, bytes) else str(graph),
                _options(runtime, context, threads),
                providers=[_provider(kind, context)],
            )
        except Exception as error:
            raise _open_error(error, name, kind, context) from error
        used = session.get_providers()[0]
        if used != _PROVIDERS[kind]:
            raise AccelError(
                f"{name}: ONNX Runtime opened it on {used} instead of {_PROVIDERS[kind]}",
                who=f"provider {context.spec.name!r}",
                fix=_remedy(kind),
            )
        inputs, outputs = session.get_inputs(), session.get_outputs()
        return cls(session, tuple(each.name for each in inputs), tuple(each.name for each in outputs), used)

    def run(
        self,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Sequence[str] | None = None,
        *,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[NDArray[Any]]:
        """Run the graph once; inputs and outputs are bound, so that the CPU copies neither.

        Args:
            inputs: Contiguous arrays of the graph's own types, by name.
            outputs: Names of what is wanted; None: all.
            cancelled: Asked from another thread while the graph runs; the run ends behind the node that is at work.

        Returns:
            One array per name, in that order.

        Raises:
            RunCancelled: ``cancelled`` has said so.
        """
        binding = self.session.io_binding()
        for name, array in inputs.items():
            binding.bind_cpu_input(name, array)
        for name in self.outputs if outputs is None else outputs:
            binding.bind_output(name, "cpu")
        if cancelled is None:
            self.session.run_with_iobinding(binding)
        else:
            with _stoppable(cancelled) as options:
                self.session.run_with_iobinding(binding, options)
        arrays: list[NDArray[Any]] = binding.copy_outputs_to_cpu()
        return arrays


@contextlib.contextmanager
def _stoppable(cancelled: Callable[[], bool]) -> Iterator[Any]:
    """Give options of a run that ends early once ``cancelled`` says so."""
    options, over = _runtime().RunOptions(), threading.Event()

    def watch() -> None:
        while not over.wait(_POLL_S):
            if cancelled():
                options.terminate = True
                return

    watcher = threading.Thread(target=watch, name="realtts-onnx-cancel", daemon=True)
    watcher.start()
    try:
        yield options
    except Exception as error:
        if not options.terminate:
            raise
        raise RunCancelled from error
    finally:
        over.set()
        watcher.join()


def onnx_rungs(context: Context) -> tuple[Rung, ...]:
    """Propose the GPU and behind it the CPU, or the CPU alone.

    The GPU is proposed where the spec's ``devices`` has ``"cuda"``, and either the setting ``device`` names it, or that
    is ``"auto"`` and ONNX Runtime as installed knows it.
    """
    device = context.settings.device.partition(":")[0]
    if "cuda" not in context.spec.devices or device not in {"cuda", "auto"}:
        return (Rung("cpu"),)
    if device == "auto" and _PROVIDERS["cuda"] not in _available():
        return (Rung("cpu"),)
    return (Rung("cuda"), Rung("cpu"))


def onnx_devices() -> frozenset[str] | None:
    """Return the kinds of device, such as ``"cuda"``, that ONNX Runtime as installed can use; None: there is none."""
    try:
        available = _available()
    except MissingExtra:
        return None
    return frozenset(kind for kind, provider in _PROVIDERS.items() if provider in available)


def onnx_probe(context: Context) -> str | None:
    """Say why ONNX Runtime as installed cannot run the context's rung, or None."""
    kind = _kind(context)
    if _PROVIDERS[kind] in _available():
        return None
    return f"ONNX Runtime as installed has no {_PROVIDERS[kind]}: {_remedy(kind)}"


def expose_output(graph: bytes, name: str, element_type: str) -> bytes:
    """Return a graph that gives one of its inner tensors too, as its last output.

    Serialized messages that stand behind each other are read as one, so the output is appended, and the graph itself
    is neither parsed nor copied apart.

    Args:
        graph: What stands in the file.
        name: The tensor's name in the graph; opening it fails where there is none.
        element_type: A key of `ELEMENT_TYPES`.
    """
    return graph + message(7, tensor_message(_OUTPUT, name, element_type))  # ModelProto.graph.output


def tensor_message(field: int, name: str, element_type: str) -> bytes:
    """Return a serialized input or output of a graph, a tensor of any shape.

    Args:
        field: 11 for an input, 12 for an output.
        name: The tensor's.
        element_type: A key of `ELEMENT_TYPES`.
    """
    tensor = varint(1 << 3) + varint(ELEMENT_TYPES[element_type])  # TypeProto.Tensor.elem_type
    return message(field, message(1, name.encode()) + message(2, message(1, tensor)))  # name, type.tensor_type


def output_message(name: str) -> bytes:
    """Return a serialized output of a graph, whose type is found out when it is opened."""
    return message(_OUTPUT, message(1, name.encode()))


def message(number: int, payload: bytes) -> bytes:
    """Return a serialized field that holds bytes, text or a message."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(number: int) -> bytes:
    """Return a serialized whole number that is not negative."""
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _kind(context: Context) -> str:
    return context.rung.name if context.rung is not None and context.rung.name in _PROVIDERS else "cpu"


def _provider(kind: str, context: Context) -> str | tuple[str, dict[str, str]]:
    """Return an execution provider, with the number of the GPU where it is not the first one."""
    index = context.device.partition(":")[2] if kind == "cuda" else ""
    return (_PROVIDERS[kind], {"device_id": index}) if index not in {"", "0"} else _PROVIDERS[kind]


def _available() -> list[str]:
    names: list[str] = _runtime().get_available_providers()
    return names


def _runtime() -> Any:
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtra(
            f"ONNX Runtime cannot be imported: {describe_error(error)}",
            who="onnxruntime",
            fix="pip install 'realtts[onnx]', or pip install onnxruntime",
        ) from error


def _options(runtime: Any, context: Context, threads: int | None) -> Any:
    options = runtime.SessionOptions()
    wanted = threads if context.settings.threads == "auto" else context.settings.threads
    if wanted is not None:
        options.intra_op_num_threads = wanted
    options.inter_op_num_threads = 1
    # Threads that wait would otherwise burn a core each between two sentences.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def _open_error(error: Exception, name: str, kind: str, context: Context) -> Exception:
    who, what = f"provider {context.spec.name!r}", describe_error(error)
    if type(error).__name__ in (_DAMAGED_ON_CPU if kind == "cpu" else _DAMAGED):
        return CheckpointCorrupt(
            f"{name} cannot be read as a graph: {what}", who=who, fix="get the file again: what lies there is damaged"
        )
    return AccelError(f"{name} cannot be opened on {_PROVIDERS[kind]}: {what}", who=who, fix=_remedy(kind))


def _remedy(kind: str) -> str:
    if kind == "cuda":
        return "install onnxruntime-gpu in place of onnxruntime, for the CUDA of this machine, or set device='cpu'"
    return "install a newer onnxruntime"
