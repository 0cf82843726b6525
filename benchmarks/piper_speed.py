"""Speaks a text with Piper through realtts, plain and optimized, and with piper-tts itself, side by side.

Run it from the root of the repository, where realtts-piper and a voice are installed::

    python benchmarks/piper_speed.py --model en_US-joe-medium --threads 2 --repeats 5

Each runs once before, and then all in turn. ``rtf`` is wall seconds per second of audio (the median, and the least),
``first_audio_s`` the seconds to the first samples of a stream, ``memory_mb`` the resident memory of this process at the
end, with all models in it. The last line is JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from piper.voice import PiperVoice

from realtts.synthesis.model_choice import resolve_checkpoint
from realtts_piper import spec
from realtts_piper.files import find_files
from side_by_side import compare, read_arguments, session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def main() -> None:
    """Run it."""
    arguments = read_arguments(__doc__, spec.checkpoints[0].name)
    upstream = _upstream(arguments.model, arguments.threads)
    compare("piper", arguments, upstream, ways={"": {}, ", inside sentences": {"normalize_audio": False}}, seed=1)


def _upstream(model: str, threads: int) -> Callable[[str], Iterator[float]]:
    graph = find_files(resolve_checkpoint(model, spec)).graph
    voice = PiperVoice.load(graph)
    voice.session = session_of(str(graph), threads)
    return lambda text: (len(chunk.audio_float_array) / chunk.sample_rate for chunk in voice.synthesize(text))


if __name__ == "__main__":
    main()
