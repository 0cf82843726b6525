"""Times ways of speaking a text, for the scripts that compare a plugin on ONNX Runtime with its model's own package."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import time
from typing import TYPE_CHECKING, Any

import onnxruntime
import psutil

from realtts import RealProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Speak = Callable[[str], Iterator[float]]
    """Speaks a text, and yields the seconds of audio of each chunk."""

_TEXT = (
    "The rain had stopped, but nobody went out. Although the harbour was full, the last boat found a place beside the "
    "old wall. Who would have thought that?"
)


def read_arguments(doc: str | None, model: str, voice: str | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        doc: What the script says of itself.
        model: The default model.
        voice: The default voice; None: there is no choice.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=model)
    if voice is not None:
        parser.add_argument("--voice", default=voice)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--text", default=_TEXT)
    return parser.parse_args()


def compare(
    provider: str,
    arguments: argparse.Namespace,
    upstream: Speak,
    *,
    ways: dict[str, dict[str, Any]],
    **common: Any,
) -> None:
    """Time the model's own package, then the provider, plain and optimized; print a line of JSON.

    Args:
        provider: Name of the provider.
        arguments: Of the command line.
        upstream: Speaks with the model's own package.
        ways: Arguments of `RealProvider.stream`, by what to call the way in the record.
        **common: Arguments of all ways.
    """
    package = {"kokoro": "kokoro-onnx", "piper": "piper-tts"}[provider]
    speakers = {package: upstream}
    with contextlib.ExitStack() as stack:
        for variant, optimize in (("plain", False), ("optimized", True)):
            tts = stack.enter_context(
                RealProvider(provider, model=arguments.model, threads=arguments.threads, optimize=optimize)
            )
            speakers |= {variant + way: _speak(tts, **common, **options) for way, options in ways.items()}
        results = _measured(speakers, arguments)
    memory = psutil.Process().memory_info().rss / (1 << 20)
    about = {name: value for name, value in vars(arguments).items() if name != "text"}
    print(json.dumps({**about, "results": results, "memory_mb": round(memory)}))


def session_of(graph: str, threads: int) -> onnxruntime.InferenceSession:
    """Open a graph as the model's own package does, with a number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])


def _speak(tts: RealProvider, **options: Any) -> Speak:
    def speak(text: str) -> Iterator[float]:
        yield from (chunk.duration for chunk in tts.stream(text, **options) if len(chunk.samples))

    return speak


def _measured(speakers: dict[str, Speak], arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Time them in turn, so that what else the machine does hits all alike; each has spoken once before."""
    for speak in speakers.values():
        sum(speak(arguments.text))
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in speakers}
    for _ in range(arguments.repeats):
        for name, speak in speakers.items():
            times[name].append(_timed(speak, arguments.text))
    return {name: _figures(each) for name, each in times.items()}


def _timed(speak: Speak, text: str) -> tuple[float, float]:
    """Return the real-time factor and the seconds to the first audio."""
    began = time.perf_counter()
    chunks = speak(text)
    seconds = next(chunks)
    first = time.perf_counter() - began
    seconds += sum(chunks)
    return (time.perf_counter() - began) / seconds, first


def _figures(times: list[tuple[float, float]]) -> dict[str, float]:
    rates, firsts = zip(*times, strict=True)
    return {
        "rtf": round(statistics.median(rates), 4),
        "rtf_least": round(min(rates), 4),
        "first_audio_s": round(statistics.median(firsts), 4),
    }
