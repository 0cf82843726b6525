"""The optimizer: the order of the steps, and the account of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel import attention
from realtts.accel.backends import torch_flags
from realtts.accel.compile import compiled
from realtts.accel.optimizer.buffers import BufferPool
from realtts.accel.optimizer.config import OptimizationConfig
from realtts.accel.optimizer.converter import PrecisionConverter, device_of
from realtts.accel.optimizer.embeddings import VoiceEmbeddings
from realtts.accel.optimizer.graphs import ShapeGraph
from realtts.accel.optimizer.model import OptimizedModel
from realtts.accel.optimizer.record import Record
from realtts.accel.optimizer.threads import compute_threads
from realtts.accel.precision import check_finite
from realtts.errors import NotFinite
from realtts.machine import memory
from realtts.settings_sources import resolve_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import nn

__all__ = ["AdvancedTTSOptimizer"]

_HEAD_DIM = 64
"""Head size that the attention kernels are tried with: the usual one, since a module does not tell its own."""


class AdvancedTTSOptimizer:
    """Makes any ``nn.Module`` run the fastest way that works here: precision, attention, compilation, CUDA graphs.

    The switches of `realtts.Settings` (environment, ``realtts.toml``) win over the configuration: ``optimize``,
    ``dtype``, ``compile``, ``cuda_graphs``, ``attention``, ``buffer_pool``, ``voice_cache_disk_mb``.

    Args:
        config: What may be tried; by default everything.

    Attributes:
        config: The configuration; may be changed.
        precision_manager: Its `convert_model(model, name)` applies hybrid precision alone.
    """

    def __init__(self, config: OptimizationConfig | None = None) -> None:
        self.config = config if config is not None else OptimizationConfig()
        self._settings = resolve_settings().settings
        self._records: dict[str, Record] = {}
        self._models: dict[str, OptimizedModel] = {}
        forced = self._settings.dtype if self._settings.optimize else "float32"
        self.precision_manager = PrecisionConverter(
            lambda: self.config, self.record_of, None if forced == "auto" else forced
        )
        self._pool = BufferPool(
            enabled=self.config.preallocate_buffers and self._settings.buffer_pool, pinned=self.config.pin_memory
        )
        self._voices = VoiceEmbeddings(self._settings)

    def optimize_model(
        self,
        model: nn.Module,
        model_name: str,
        example_inputs: Mapping[str, torch.Tensor] | None = None,
        skip_compile: bool = False,
    ) -> OptimizedModel:
        """Apply every step that works, and note the others.

        Args:
            model: The model, on its device. Its weights are cast in place; nothing else of it changes.
            model_name: Its name in the statistics; the same name again replaces the former model's.
            example_inputs: Keyword tensors to try the model with. With them, half precision is proved (an error or a
                NaN goes back to float32) and, on CUDA, a graph is captured for their shapes.
            skip_compile: Leave torch.compile out.

        Returns:
            A module that is called like the model.
        """
        model = model.base if isinstance(model, OptimizedModel) else model
        self._records.pop(model_name, None)
        record = self.record_of(model_name)
        self.precision_manager.convert_model(model, model_name)
        if self.config.preload_weights:
            record.steps["preload_weights"] = _touch(model)
        optimized = self._wrap(model, skip_compile=skip_compile, graphed=example_inputs is not None)
        self._models[model_name] = optimized
        if example_inputs is not None:
            self._prove(optimized, record, example_inputs)
        self.note_attention(record, model)  # of the precision that was proved
        self._capture(optimized, record, example_inputs)
        return optimized

    def get_voice_embedding(
        self, audio_path: str | Path, embedding_fn: Callable[[str | Path], Any], model_name: str
    ) -> Any:
        """Return what the function makes of a recording, computed once per content of the file.

        Args:
            audio_path: The recording.
            embedding_fn: Called with the path as given.
            model_name: Part of the key, as is the function: two models make two things of one voice. Of a function
                of a module the name is the key, and its embeddings are kept on disk. Of anything else, such as a
                lambda, a method or a partial, the object itself is, and they are kept in memory.

        Raises:
            VoiceNotFound: There is no such file.
        """
        return self._voices.get(audio_path, embedding_fn, model_name)

    def get_buffer(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Lend a buffer with undefined contents, on the last optimized model's device, else on CUDA if there is one."""
        if self._models:
            device = device_of(next(reversed(self._models.values())).base)
        else:
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return self._pool.get(shape, dtype, device)

    def return_buffer(self, buffer: torch.Tensor) -> None:
        """Give a buffer of `get_buffer` back.

        Raises:
            BufferMisuse: It was returned before, or is not from `get_buffer`.
        """
        self._pool.give_back(buffer)

    def clear_caches(self) -> None:
        """Free idle buffers, embeddings (on disk too), captured graphs and compiled code; the models stay usable."""
        self._pool.clear()
        self._voices.clear()
        for optimized in self._models.values():
            if optimized.graph is not None:
                optimized.graph.reset()
                optimized.graph = None
            optimized.compiled.reset()
        memory.release()

    def get_stats(self) -> dict[str, Any]:
        """Return what was done and what was given up, JSON-able.

        ``config``; ``models``: name -> step -> details; ``given_up``: ``model``, ``step``, ``reason`` and ``fix``;
        ``buffers``; ``voice_cache``; ``threads``.
        """
        for name, optimized in self._models.items():
            self._note_compile(optimized, self.record_of(name))
        return {
            "config": self.config.as_dict(),
            "models": {name: dict(record.steps) for name, record in self._records.items()},
            "given_up": [step.as_dict() for record in self._records.values() for step in record.given_up],
            "buffers": self._pool.stats(),
            "voice_cache": self._voices.stats(),
            "threads": self.config.num_threads if self.config.num_threads is not None else self._settings.threads,
        }

    def record_of(self, name: str) -> Record:
        """Return the record of a model; a new one for a new name."""
        return self._records.setdefault(name, Record(name))

    @contextlib.contextmanager
    def scope(self, model: nn.Module | None) -> Iterator[None]:
        """Set flags, threads, attention and inference mode for one call of a model; all are restored after it."""
        threads = self.config.num_threads if self.config.num_threads is not None else self._settings.threads
        variant = "optimized" if self._settings.optimize else "plain"
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch_flags(self._settings, variant))
            stack.enter_context(compute_threads(threads))
            stack.enter_context(attention.prefer(self._attention(), *self._placed(model), _HEAD_DIM))
            if self.config.use_inference_mode:
                stack.enter_context(torch.inference_mode())
            yield

    def note_attention(self, record: Record, model: nn.Module) -> None:
        """Note which attention kernel is preferred for a model, and why not a faster one."""
        record.take_back("flash_attention_2")
        choice = attention.choose(self._attention(), *self._placed(model), _HEAD_DIM)
        record.steps["attention"] = choice.as_dict()
        if self.config.enable_flash_attention and "flash_attention_2" in choice.unavailable:
            record.give_up(
                "flash_attention_2",
                choice.unavailable["flash_attention_2"],
                f"nothing to do: torch's kernel {choice.chosen!r} is used; enable_flash_attention=False lets torch "
                "choose",
            )

    def _placed(self, model: nn.Module | None) -> tuple[torch.device, torch.dtype]:
        """Return where a model computes, and in which type."""
        if model is None:
            return torch.device("cpu"), torch.float32
        return device_of(model), self.precision_manager.dtype_of(model)

    def _attention(self) -> str:
        if not self.config.enable_flash_attention or not self._settings.optimize:
            return "sdpa"
        return self._settings.attention

    def _wrap(self, model: nn.Module, *, skip_compile: bool, graphed: bool) -> OptimizedModel:
        allowed = self.config.enable_compile and self._settings.compile is not False and self._settings.optimize
        # Graphs of torch.compile's own would be captured inside ours.
        own_graph = graphed and self._graphs_allowed() and device_of(model).type == "cuda"
        return OptimizedModel(
            model,
            compiled(
                model,
                mode="default" if own_graph else self.config.compile_mode,
                fallback=True,
                enabled=allowed and not skip_compile,
            ),
            self.scope,
            pin_memory=self.config.pin_memory,
            move_inputs=self.config.batch_preprocessing,
        )

    def _prove(self, optimized: OptimizedModel, record: Record, inputs: Mapping[str, torch.Tensor]) -> None:
        """Run once; half precision that fails goes back to float32, and an error that stays is the model's own."""
        model = optimized.base
        try:
            check_finite(optimized(**inputs), record.model)
        except Exception as error:
            if not self.precision_manager.to_float32(model, record.model, f"{type(error).__name__}: {error}"):
                if isinstance(error, NotFinite):
                    return  # float32 is not finite either: nothing that precision could mend
                raise
            optimized.compiled.reset()
            optimized(**inputs)
        self.precision_manager.settle(model)

    def _graphs_allowed(self) -> bool:
        return self.config.enable_cuda_graphs and self._settings.cuda_graphs is not False and self._settings.optimize

    def _capture(self, optimized: OptimizedModel, record: Record, inputs: Mapping[str, torch.Tensor] | None) -> None:
        device = device_of(optimized.base)
        reason = None
        if not self._graphs_allowed():
            reason = "switched off"
        elif device.type != "cuda":
            reason = f"CUDA graphs need a CUDA device, and the model is on {device.type}"
        elif inputs is None:
            reason = "no example_inputs were given"
        else:
            try:
                with self.scope(optimized.base):
                    optimized.graph = ShapeGraph(optimized.compiled, inputs)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
        record.steps["cuda_graphs"] = {"captured": reason is None}
        if reason is not None:
            record.give_up("cuda_graphs", reason, "set enable_cuda_graphs=False (REALTTS_CUDA_GRAPHS=false)")

    @staticmethod
    def _note_compile(optimized: OptimizedModel, record: Record) -> None:
        record.steps["compile"] = optimized.compiled.as_dict()
        if optimized.compiled.reason is not None:
            fix = "set enable_compile=False (REALTTS_COMPILE=false) or compile_mode='default'"
            record.give_up("compile", optimized.compiled.reason, fix)


def _touch(model: nn.Module) -> dict[str, int]:
    """Read every page of the weights that lie in host memory, so that none is read from a file later."""
    touched = 0
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.device.type == "cpu" and tensor.numel():
                raw = tensor.detach().reshape(-1).view(torch.uint8)
                raw[::4096].sum()
                touched += raw.numel()
    return {"bytes": touched}
