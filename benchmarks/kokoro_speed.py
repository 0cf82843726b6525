"""Speaks a text with Kokoro through realtts, plain and optimized, and with kokoro-onnx itself, side by side.

Run it from the root of the repository, where realtts-kokoro and kokoro-onnx are installed, with weights of a folder or
of packages::

    python benchmarks/kokoro_speed.py --model packages --voice jf_alpha --threads 2 --repeats 5

Each runs once before it is measured. ``rtf`` is wall seconds per second of audio, ``first_audio_s`` the seconds to the
first samples of a stream, ``memory_mb`` the resident memory of this process at the end. The phonemizers differ, so that
the audio is not of equal length. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kokoro_onnx
import numpy as np
import onnxruntime
import psutil

from realtts import RealProvider
from realtts.synthesis.model_choice import resolve_checkpoint
from realtts_kokoro import spec
from realtts_kokoro.files import find_files
from realtts_kokoro.voices import Voices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TEXT = (
    "The rain had stopped, but nobody went out. Although the harbour was full, the last boat found a place beside the "
    "old wall. Who would have thought that?"
)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=spec.checkpoints[0].name)
    parser.add_argument("--voice", default="af_heart")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--text", default=_TEXT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = {"kokoro-onnx": _measured(_upstream(arguments, Path(folder)), arguments)}
    for name, optimize in (("plain", False), ("optimized", True)):
        with RealProvider("kokoro", model=arguments.model, threads=arguments.threads, optimize=optimize) as tts:
            results[name] = _measured(_ours(tts, arguments.voice), arguments)
            results[f"{name}, by clauses"] = _measured(_ours(tts, arguments.voice, split="clause"), arguments)
    memory = psutil.Process().memory_info().rss / (1 << 20)
    about = {name: getattr(arguments, name) for name in ("model", "voice", "threads", "repeats")}
    print(json.dumps({**about, "results": results, "memory_mb": round(memory)}))


def _ours(tts: RealProvider, voice: str, **options: Any) -> Callable[[str], Iterator[float]]:
    def speak(text: str) -> Iterator[float]:
        stream = tts.stream(text, voice=voice, language="en-us", **options)
        yield from (chunk.duration for chunk in stream if len(chunk.samples))

    return speak


def _upstream(arguments: argparse.Namespace, folder: Path) -> Callable[[str], Iterator[float]]:
    files = find_files(resolve_checkpoint(arguments.model, spec))
    graph, voices = folder / "model.onnx", folder / "voices.npz"
    graph.write_bytes(files.content())
    arrays: dict[str, Any] = {arguments.voice: Voices(files.voices).styles(arguments.voice)[:, None]}
    np.savez(voices, **arrays)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    session = onnxruntime.InferenceSession(str(graph), options, ["CPUExecutionProvider"])
    kokoro = kokoro_onnx.Kokoro.from_session(session, str(voices))

    def speak(text: str) -> Iterator[float]:
        loop = asyncio.new_event_loop()
        try:
            stream = kokoro.create_stream(text, arguments.voice, lang="en-us", trim=False)
            while (item := loop.run_until_complete(_next(stream))) is not None:
                yield len(item[0]) / item[1]
        finally:
            loop.close()

    return speak


async def _next(stream: Any) -> Any:
    return await anext(stream, None)


def _measured(speak: Callable[[str], Iterator[float]], arguments: argparse.Namespace) -> dict[str, float]:
    sum(speak(arguments.text))
    rates, firsts = [], []
    for _ in range(arguments.repeats):
        began = time.perf_counter()
        chunks = speak(arguments.text)
        seconds = next(chunks)
        firsts.append(time.perf_counter() - began)
        seconds += sum(chunks)
        rates.append((time.perf_counter() - began) / seconds)
    return {"rtf": round(statistics.median(rates), 4), "first_audio_s": round(statistics.median(firsts), 4)}


if __name__ == "__main__":
    main()
