"""wyoming-bench, a program of others that measures servers, finds everything that it checks."""

from __future__ import annotations

import pytest

bench = pytest.importorskip("wyoming_bench.tts.bench", reason="wyoming-bench is not installed")
from wyoming_bench.info import advertised_streaming, available_services, fetch_info  # noqa: E402

TEXTS = ["Hello there.", "The lamp is on. The window is open. It is late."]


@pytest.mark.parametrize(("voice", "text_format"), [(None, None), ("espeak/de", "text"), ("espeak/en-gb", "ssml")])
async def test_its_checks(serve, voice, text_format):
    """Voices and streaming are announced, and every measurement has audio, whole and streamed."""
    from wyoming.tts import SynthesizeVoice

    async with serve(providers=("espeak",)) as server:
        info = await fetch_info("127.0.0.1", server.port, 5.0)
        assert available_services(info) == ["tts"]
        assert advertised_streaming(info, "tts")
        measurements = await bench.bench_server(
            "127.0.0.1", server.port, TEXTS, ["non_streaming", "streaming"],
            None if voice is None else SynthesizeVoice(voice), text_format, rounds=1, warmup=1, verbose=False,
            chunk_delay=0.0, connect_timeout=5.0, read_timeout=20.0, info=info,
        )  # fmt: skip
    assert len(measurements) == 4
    assert [measurement.error for measurement in measurements if not measurement.ok] == []
    assert all(measurement.n_audio_cycles == 1 for measurement in measurements)
