"""The testing module of a plugin: random weights in the model's own file format, and functions that show its insides.

By convention it is ``<package of the spec's module>.testing``; for a spec that no distribution brings, it is looked for
beside the plain class, from its package upwards, and in the class's own module last. Everything in it is optional; the
names are those of `PluginTools`.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.errors import InvalidOption, InvalidPlugin
from realtts.exception_text import describe_error
from realtts.registry import providers as registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from realtts.bench.workload import Workload
    from realtts.contract.spec import ProviderSpec

__all__ = ["SIZES", "PluginTools", "find_tools", "random_checkpoint", "weights", "write_random_weights"]

SIZES = ("tiny", "full")
"""Sizes of random checkpoints: for tests, and for timing."""

DEFAULT_TOKENS_PER_CHAR = 1.5
"""Tokens forced per character with random weights where the plugin names no rate: 22 a second at 15 characters."""

_NAMES = ("write_random_checkpoint", "tokens", "teacher_forced", "scores", "TOLERANCES", "TOKENS_PER_CHAR",
          "STREAM_OPTIONS")  # fmt: skip


@dataclass(frozen=True)
class PluginTools:
    """What a plugin's testing module offers; None for what it lacks.

    ``context``, ``model`` and ``request`` are those of the hook `generate`, of whichever variant is asked. Functions
    run under the rung's flags, in the thread that loaded the model.

    Attributes:
        module: The module's name.
        write_random_checkpoint: ``(path, size="tiny" | "full", seed=0) -> None`` writes a checkpoint with random
            weights into the existing folder ``path``, in upstream's own file format.
        tokens: ``(context, model, request) -> int array`` of shape (n,) or (n, codebooks): the tokens that `generate`
            would decode, forced in number where ``context.forced_tokens`` says so.
        teacher_forced: ``(context, model, request, tokens) -> float array``, time first: logits (or a mel, for models
            without tokens, where ``tokens`` is None) with the given tokens as the past. float32 on the host.
        scores: ``(context, model, request, tokens, step) -> float array`` of shape (vocabulary,): probability over
            noise (p / e) of every candidate of decision ``step`` (of the flattened tokens) after the given tokens.
        TOLERANCES: Largest relative error of the teacher-forced output by precision, such as ``{"float32": 1e-4,
            "bfloat16": 0.05, "int8": 0.1, "bfloat16+int8": 0.1}``: these precisions are what verify checks. Also
            ``"streaming"`` and ``"audio"``: largest difference of samples of streaming against whole, and of optimized
            against plain in float32.
        TOKENS_PER_CHAR: Rate that is forced with random weights when the user names none.
        STREAM_OPTIONS: Options with which a stream is cut as the whole is, for a provider whose streams begin with a
            shorter piece; what the workload itself sets wins.
    """

    module: str = ""
    write_random_checkpoint: Callable[..., Any] | None = None
    tokens: Callable[..., Any] | None = None
    teacher_forced: Callable[..., Any] | None = None
    scores: Callable[..., Any] | None = None
    TOLERANCES: Mapping[str, float] = field(default_factory=dict)
    TOKENS_PER_CHAR: float = DEFAULT_TOKENS_PER_CHAR
    STREAM_OPTIONS: Mapping[str, Any] = field(default_factory=dict)


def find_tools(spec: ProviderSpec) -> PluginTools:
    """Return the tools of a provider's plugin; all None when it ships no testing module.

    Raises:
        InvalidPlugin: The module is there and cannot be imported.
    """
    for name in _candidates(spec):
        if not _exists(name):
            continue
        try:
            module = importlib.import_module(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise InvalidPlugin(
                f"its testing module {name!r} cannot be imported: {describe_error(error)}",
                who=f"provider {spec.name!r}",
                fix="install what it needs, or correct it",
            ) from error
        offered = {key: getattr(module, key) for key in _NAMES if hasattr(module, key)}
        if offered:
            return PluginTools(module=name, **offered)
    return PluginTools()


@contextlib.contextmanager
def random_checkpoint(spec: ProviderSpec, size: str, seed: int = 0) -> Iterator[Path]:
    """Write random weights for a provider into a folder that is removed at the end.

    Args:
        spec: The provider.
        size: ``"tiny"`` or ``"full"``.
        seed: Of the weights.

    Yields:
        The folder, to be passed as ``model=``.

    Raises:
        InvalidOption: An unknown size, or the plugin cannot write random weights.
    """
    with tempfile.TemporaryDirectory(prefix="realtts-random-") as folder:
        write_random_weights(spec, Path(folder), size, seed)
        yield Path(folder)


def write_random_weights(spec: ProviderSpec, folder: Path, size: str, seed: int = 0) -> float:
    """Write random weights for a provider into a folder that exists.

    Returns:
        The tokens per character that its plugin forces with them.

    Raises:
        InvalidOption: An unknown size, or the plugin cannot write random weights.
    """
    if size not in SIZES:
        raise InvalidOption(f"size is {size!r}", who="--random-weights", fix=f"choose from {', '.join(SIZES)}")
    tools = find_tools(spec)
    if tools.write_random_checkpoint is None:
        raise InvalidOption(
            "its plugin has no testing module with write_random_checkpoint",
            who=f"provider {spec.name!r}",
            fix="leave --random-weights out, or give --model",
        )
    tools.write_random_checkpoint(folder, size=size, seed=seed)
    return tools.TOKENS_PER_CHAR


@contextlib.contextmanager
def weights(
    spec: ProviderSpec, workload: Workload, settings: Mapping[str, Any], random_weights: str | None
) -> Iterator[tuple[Workload, Mapping[str, Any]]]:
    """Yield the workload and the settings with random weights in place of a model, where they are asked for.

    Random weights hardly ever draw the end token: without a number of tokens the plugin's rate is forced.

    Args:
        spec: The provider.
        workload: What is spoken.
        settings: Keywords of `RealProvider`; a ``model`` in them is taken for the random weights themselves.
        random_weights: ``"tiny"``, ``"full"``, or None for none.

    Raises:
        InvalidOption: As `random_checkpoint`.
    """
    if random_weights is None or settings.get("model") is not None:
        yield workload, settings
        return
    if workload.tokens is None:
        workload = workload.at_rate(find_tools(spec).TOKENS_PER_CHAR)
    with random_checkpoint(spec, random_weights) as folder:
        yield workload, {**settings, "model": str(folder)}


def _candidates(spec: ProviderSpec) -> list[str]:
    """Return the names of modules to look into, the likeliest first."""
    plain = spec.plain.partition(":")[0]
    parts = plain.split(".")
    packages = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    home = registry.module_of(spec.name)
    return [*dict.fromkeys(f"{package}.testing" for package in ([home] if home else []) + packages), plain]


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is missing, or is no package
        return False
