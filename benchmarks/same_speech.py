"""Whether two commits speak the same: digests of a provider's speech in float32, with its time and memory.

``python benchmarks/same_speech.py qwen3 > before.json`` speaks with random weights, fixed seeds and one thread, plain
and optimized, whole, live and in a batch, and prints one JSON line. Run it on both commits, then
``python benchmarks/same_speech.py --compare before.json after.json`` prints a table and fails where a digest differs.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from realtts import RealProvider

TEXTS = ("Hello there, my friend.", "One, two, three, and then some more of it.", "Is this the end? It is.")

CHECKPOINTS: dict[str, tuple[str, ...]] = {
    "chatterbox": ("english", "turbo"),
    "f5": ("f5-v1-base", "e2-base"),
    "qwen3": ("0.6b-custom-voice",),
    "vieneu": ("v1", "v2"),
    "toylm": ("",),
    "espeak": ("",),
}
VOICES = {"qwen3": {"voice": "ryan"}}
EXACT = {"dtype": "float32", "quantization": "none"}


def digest(samples: list[np.ndarray[Any, Any]]) -> str:
    """Return the first half of the SHA-256 of float32 samples."""
    return hashlib.sha256(np.concatenate(samples).astype(np.float32).tobytes()).hexdigest()[:32]


def speak(tts: RealProvider, **options: Any) -> dict[str, str]:
    """Speak the texts in every way; return the digest of each."""
    texts = [text.replace("?", ".") for text in TEXTS]
    wholes = {f"whole {i}": digest([tts.generate(text, seed=i, **options).samples]) for i, text in enumerate(texts)}
    live = [chunk.samples for chunk in tts.stream(texts[1], seed=7, **options)]
    batch = tts.generate_batch(texts, seed=9, **options)
    return {**wholes, "live": digest(live), "batch": digest([speech.samples for speech in batch])}


def measure(name: str, size: str) -> dict[str, Any]:
    """Speak with every checkpoint and variant of a provider."""
    digests: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for model in CHECKPOINTS[name]:
        with tempfile.TemporaryDirectory() as folder:
            settings: dict[str, Any] = {"device": "cpu", "threads": 1, "strict": True}
            if name != "espeak":
                tools = importlib.import_module(f"realtts_{name}.testing")
                tools.write_random_checkpoint(Path(folder), size, **({"model": model} if model else {}))
                settings |= {"model": folder, "force_tokens_per_char": 1.0}
            for variant in ("plain", "optimized"):
                precision = {"optimize": False} if variant == "plain" else EXACT
                with RealProvider(name, **settings, **precision).load() as tts:
                    began = time.perf_counter()
                    for way, value in speak(tts, **VOICES.get(name, {})).items():
                        digests[f"{model} {variant} {way}".strip()] = value
                    seconds[f"{model} {variant}".strip()] = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"provider": name, "size": size, "digests": digests, "seconds": seconds, "peak_bytes": peak}


def compare(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Print what differs; return whether the speech is the same."""
    ways = sorted(before["digests"].keys() | after["digests"].keys())
    differing = [way for way in ways if before["digests"].get(way) != after["digests"].get(way)]
    print(f"{before['provider']}: {len(ways) - len(differing)} of {len(ways)} digests equal")
    for way in differing:
        print(f"  differs: {way}")
    for part, seconds in before["seconds"].items():
        print(f"  {part}: {seconds:.2f} s -> {after['seconds'][part]:.2f} s ({after['seconds'][part] / seconds:.2f})")
    peaks = before["peak_bytes"], after["peak_bytes"]
    print(f"  peak memory: {peaks[0] >> 20} MiB -> {peaks[1] >> 20} MiB ({peaks[1] / peaks[0]:.2f})")
    return not differing


def main(arguments: list[str] | None = None) -> int:
    """Measure one provider, or compare two measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("provider", nargs="?", choices=sorted(CHECKPOINTS))
    parser.add_argument("--size", default="tiny", choices=["tiny", "full"], help="of the random weights")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"))
    parsed = parser.parse_args(arguments)
    if parsed.compare:
        before, after = (json.loads(path.read_text(encoding="utf-8").splitlines()[-1]) for path in parsed.compare)
        return 0 if compare(before, after) else 1
    if parsed.provider is None:
        parser.error("name a provider, or --compare two files")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REALTTS_DATA_DIR"] = folder  # what other runs have cached would change memory and time
        print(json.dumps(measure(parsed.provider, parsed.size)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
