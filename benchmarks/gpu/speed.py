"""A model whole, streamed and in a batch: with graphs and without, in several precisions, and plain."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from gpu.setup import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gpu.setup import Setup
    from realtts import RealProvider
    from realtts.synthesis.speech import Metrics

__all__ = ["forms_of", "measure"]

_ROWS = 8


def forms_of(name: str, *, dry: bool) -> dict[str, dict[str, Any]]:
    """Return the settings that are compared, by the name of the form; plain is the last."""
    if dry:
        return {"eager": {"dtype": "float32", "quantization": "none"}, "plain": {"optimize": False}}
    graphs = {"dtype": "bfloat16", "quantization": "none", "cuda_graphs": True}
    forms: dict[str, dict[str, Any]] = {
        "graphs": graphs,
        "graphs, cuDNN's attention": graphs,
        "graphs, compiled": {**graphs, "compile": True},
        "graphs, fp8": {**graphs, "quantization": "fp8"},
        "graphs, int8": {**graphs, "quantization": "int8"},
        "eager": {**graphs, "cuda_graphs": False},
        "graphs, float32": {**graphs, "dtype": "float32"},
        "plain": {"optimize": False},
    }
    if name == "f5":  # its weights are read once for a whole solver step: they are not what it waits for
        del forms["graphs, int8"]
    return forms


def measure(setup: Setup, name: str) -> None:
    """Write down load, memory and seconds of every form; one that fails costs no other."""
    findings, model = setup.findings, MODELS[name]
    folder = None
    with findings.measuring("speed", f"{name} | checkpoint") as result:
        folder = setup.checkpoint(name)
        result["bytes"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if folder is None:
        return
    common = {**setup.common, "model": str(folder), "force_tokens_per_char": model.rate}
    for form, settings in forms_of(name, dry=setup.dry).items():
        with _attention(setup, cudnn="cuDNN" in form):
            _form(setup, name, form, {**common, **settings})


def _form(setup: Setup, name: str, form: str, settings: dict[str, Any]) -> None:
    from realtts import RealProvider

    findings, options = setup.findings, dict(MODELS[name].options)
    tts = None
    try:
        with findings.measuring("speed", f"{name} | {form} | load") as result:
            setup.release()
            result["memory_before"] = setup.memory()
            tts = RealProvider(setup.spec(name), **settings)
            tts.load()
            status = tts.get_provider_status()
            result.update({key: status[key] for key in ("rung", "variant", "timings", "attempts")})
            result.update(details=status["optimization_details"], memory=setup.memory())
        if tts is None or "error" in result:
            return
        for label, run in _runs(tts, setup, options, form).items():
            with findings.measuring("speed", f"{name} | {form} | {label}") as result:
                first, *rest = [run() for _ in range(2 if setup.dry else 4)]
                result.update(cold=first, warm=rest, memory=setup.memory())
        with findings.measuring("speed", f"{name} | {form} | status") as result:
            result["attempts"] = tts.get_provider_status()["attempts"]
    finally:
        with findings.measuring("speed", f"{name} | {form} | after unload") as result:
            if tts is not None:
                tts.close()
            tts = None
            setup.release()
            result["memory"] = setup.memory()


@contextlib.contextmanager
def _attention(setup: Setup, *, cudnn: bool) -> Iterator[None]:
    """Let torch's attention choose cuDNN's kernel, or keep it from that: it builds a plan for each new shape."""
    if setup.dry:
        yield
        return
    import torch

    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(cudnn)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


def _runs(
    tts: RealProvider, setup: Setup, options: dict[str, Any], form: str
) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what is timed, by its label."""

    def whole(text: str, seed: int) -> dict[str, Any]:
        began = time.perf_counter()
        speech = tts.generate(text, seed=seed, **options)
        return _figures(speech.metrics, speech.duration, began, None)

    def stream() -> dict[str, Any]:
        began, first, audio = time.perf_counter(), None, 0.0
        with tts.stream(setup.text, seed=1, **options) as chunks:
            for chunk in chunks:
                first = first or time.perf_counter() - began
                audio += chunk.duration
        assert chunks.metrics is not None
        return _figures(chunks.metrics, audio, began, first)

    def batch() -> dict[str, Any]:
        began = time.perf_counter()
        speeches = tts.generate_batch([setup.text] * _ROWS, seed=1, **options)
        return _figures(speeches[0].metrics, sum(speech.duration for speech in speeches), began, None)

    runs: dict[str, Callable[[], dict[str, Any]]] = {"whole": lambda: whole(setup.text, 1)}
    if form != "plain":
        runs["stream"] = stream
    if form != "plain" and not setup.dry and "float32" not in form:
        runs["another length"] = lambda: whole(setup.text * 2, 2)
        runs[f"batch of {_ROWS}"] = batch
    return runs


def _figures(metrics: Metrics, audio_s: float, began: float, first: float | None) -> dict[str, Any]:
    total = time.perf_counter() - began
    work = {name: {"s": each.seconds, "steps": each.steps} for name, each in metrics.work.items()}
    return {
        "total_s": total,
        "audio_s": audio_s,
        "rtf": total / audio_s if audio_s else None,
        "first_audio_s": first,
        "tokens": metrics.tokens,
        "work": work,
    }
