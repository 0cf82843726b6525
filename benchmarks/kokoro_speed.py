"""Speaks a text with Kokoro through realtts, plain and optimized, and with kokoro-onnx itself, side by side.

Run it from the root of the repository, where realtts-kokoro and kokoro-onnx are installed, with weights of a folder or
of packages::

    python benchmarks/kokoro_speed.py --model packages --voice jf_alpha --threads 2 --repeats 5

Each runs once before, and then all in turn. ``rtf`` is wall seconds per second of audio (the median, and the least),
``first_audio_s`` the seconds to the first samples of a stream, ``memory_mb`` the resident memory of this process at the
end, with all models in it. The phonemizers differ, so that the audio is not of equal length. The last line is JSON.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kokoro_onnx
import numpy as np

from realtts.synthesis.model_choice import resolve_checkpoint
from realtts_kokoro import spec
from realtts_kokoro.files import find_files
from realtts_kokoro.voices import Voices
from side_by_side import compare, read_arguments, session_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator


def main() -> None:
    """Run it."""
    arguments = read_arguments(__doc__, spec.checkpoints[0].name, "af_heart")
    with tempfile.TemporaryDirectory() as folder:
        upstream = _upstream(arguments, Path(folder))
    ways: dict[str, dict[str, Any]] = {"": {}, ", by clauses": {"split": "clause"}}
    compare("kokoro", arguments, upstream, ways=ways, voice=arguments.voice, language="en-us")


def _upstream(arguments: argparse.Namespace, folder: Path) -> Callable[[str], Iterator[float]]:
    files = find_files(resolve_checkpoint(arguments.model, spec))
    graph, voices = folder / "model.onnx", folder / "voices.npz"
    graph.write_bytes(files.content())
    arrays: dict[str, Any] = {arguments.voice: Voices(files.voices).styles(arguments.voice)[:, None]}
    np.savez(voices, **arrays)
    kokoro = kokoro_onnx.Kokoro.from_session(session_of(str(graph), arguments.threads), str(voices))

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


if __name__ == "__main__":
    main()
