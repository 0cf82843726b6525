"""Speaks a text with Piper through realtts, plain and optimized, and with piper-tts itself, side by side.

Run it from the root of the repository, where realtts-piper and a voice are installed::

    python benchmarks/piper_speed.py --model en_US-joe-medium --threads 2 --repeats 5

Each runs once before it is measured. ``rtf`` is wall seconds per second of audio, ``first_audio_s`` the seconds to the
first samples of a stream, ``memory_mb`` the resident memory of this process at the end. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import TYPE_CHECKING, Any

import onnxruntime
import psutil
from piper.voice import PiperVoice

from realtts import RealProvider
from realtts.synthesis.model_choice import resolve_checkpoint
from realtts_piper import spec
from realtts_piper.files import find_files

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
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--text", default=_TEXT)
    arguments = parser.parse_args()
    results = {"piper-tts": _measured(_upstream(arguments.model, arguments.threads), arguments)}
    for name, optimize in (("plain", False), ("optimized", True)):
        with RealProvider("piper", model=arguments.model, threads=arguments.threads, optimize=optimize) as tts:
            results[name] = _measured(_ours(tts), arguments)
            results[f"{name}, inside sentences"] = _measured(_ours(tts, normalize_audio=False), arguments)
    memory = psutil.Process().memory_info().rss / (1 << 20)
    about = {"model": arguments.model, "threads": arguments.threads, "repeats": arguments.repeats}
    print(json.dumps({**about, "results": results, "memory_mb": round(memory)}))


def _ours(tts: RealProvider, **options: Any) -> Callable[[str], Iterator[float]]:
    def speak(text: str) -> Iterator[float]:
        yield from (chunk.duration for chunk in tts.stream(text, seed=1, **options) if len(chunk.samples))

    return speak


def _upstream(model: str, threads: int) -> Callable[[str], Iterator[float]]:
    voice = PiperVoice.load(find_files(resolve_checkpoint(model, spec)).graph)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    voice.session = onnxruntime.InferenceSession(voice.session._model_path, options, ["CPUExecutionProvider"])
    return lambda text: (len(chunk.audio_float_array) / chunk.sample_rate for chunk in voice.synthesize(text))


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
