"""Whole speech by other engines: one line of JSON for each line on standard input, with the seconds of a frame.

Run by `compare.py` with a Python that has the engine: ``vox-tts==0.19.5`` or ``realtimetts-qwen-native-cpu==0.4.2``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]

_TEXT = "The birch canoe slid on the smooth planks."
_FRAME_S = 0.08
_RATE = 24_000


def main() -> None:
    """Load an engine, and speak whenever a line comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("vox", "qwentts", "realtts"), required=True)
    parser.add_argument("--model", required=True, help="vox: a .tmod; qwentts: talker and codec, apart by a comma")
    parser.add_argument("--kind", default="int8", help="of realtts: its setting quantization")
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    speak = {"vox": _vox, "qwentts": _qwentts, "realtts": _realtts}[arguments.engine](arguments)
    for _ in sys.stdin:
        before = time.perf_counter()
        seconds = speak()
        took = time.perf_counter() - before
        record = {"seconds_per_frame": took * _FRAME_S / seconds, "rtf": took / seconds}
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()


def _voice() -> Any:
    """Return two seconds that sound like a voice: random weights do not care whose."""
    time_s = np.arange(2 * _RATE) / _RATE
    wave = sum(np.sin(2 * np.pi * 120 * part * time_s) / part for part in range(1, 20))
    return np.asarray(0.1 * wave * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time_s)), np.float32)


def _vox(arguments: argparse.Namespace) -> Callable[[], float]:
    import vox

    engine = vox.Engine(arguments.model, device="cpu", threads=arguments.threads)
    voice = engine.clone_voice((_voice(), _RATE), xvector_only=True)

    def speak() -> float:
        audio = engine.synthesize(_TEXT, voice=voice, seed=1, max_new_tokens=arguments.frames)
        return len(audio) / float(engine.sample_rate)

    return speak


def _qwentts(arguments: argparse.Namespace) -> Callable[[], float]:
    from qwentts_cpp_cpu import QwenTTS

    talker, _, codec = arguments.model.partition(",")
    engine = QwenTTS(talker, codec, cpu_threads=arguments.threads)

    def speak() -> float:
        audio, rate = engine.synthesize(text=_TEXT, ref_audio_24k=_voice(), seed=1, max_new_tokens=arguments.frames)
        return len(audio) / float(rate)

    return speak


def _realtts(arguments: argparse.Namespace) -> Callable[[], float]:
    from realtts import RealProvider

    engine = RealProvider(
        "qwen3", model=arguments.model, isolation="never", device="cpu", threads=arguments.threads,
        quantization=arguments.kind, force_tokens_per_char=arguments.frames / len(_TEXT),
    )  # fmt: skip
    return lambda: engine.generate(_TEXT, voice=(_voice(), _RATE), seed=1).duration


if __name__ == "__main__":
    main()
