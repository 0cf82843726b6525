"""faster-qwen3-tts on the same weights, where it is installed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu.setup import Setup

__all__ = ["measure"]


def measure(setup: Setup) -> None:
    """Write down its seconds, whole and to the first audio."""
    with setup.findings.measuring("rival", "faster-qwen3-tts") as result:
        import torch
        from faster_qwen3_tts import FasterQwen3TTS

        folder = setup.checkpoint("qwen3")
        began = time.perf_counter()
        model = FasterQwen3TTS.from_pretrained(str(folder), device=setup.kind, dtype=torch.bfloat16)
        result["load_s"] = time.perf_counter() - began
        # As many frames as our provider is made to speak.
        frames = 8 if setup.dry else round(0.85 * len(setup.text))
        request = {
            "text": setup.text, "language": "English", "speaker": "ryan",
            "max_new_tokens": frames, "min_new_tokens": frames,
        }  # fmt: skip
        result["warm"] = [_whole(setup, model, request) for _ in range(1 if setup.dry else 4)]
        result["first_audio_s"] = [_first(setup, model, request) for _ in range(1 if setup.dry else 3)]
        result["memory"] = setup.memory()


def _whole(setup: Setup, model: Any, request: dict[str, Any]) -> dict[str, float]:
    began = time.perf_counter()
    audio, sample_rate = model.generate_custom_voice(**request)
    setup.wait()
    total, seconds = time.perf_counter() - began, len(audio[0]) / sample_rate
    return {"total_s": total, "audio_s": seconds, "rtf": total / seconds}


def _first(setup: Setup, model: Any, request: dict[str, Any]) -> float:
    began = time.perf_counter()
    chunks = model.generate_custom_voice_streaming(**request, chunk_size=4)
    next(iter(chunks))
    setup.wait()
    seconds = time.perf_counter() - began
    chunks.close()
    return seconds
