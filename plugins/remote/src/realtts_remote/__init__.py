"""Speech servers of OpenAI's protocol as a provider: vLLM-Omni, SGLang-Omni, Kokoro-FastAPI, realtts serve, OpenAI."""

from __future__ import annotations

from realtts.contract.spec import ProviderSpec

__all__ = ["spec"]

spec = ProviderSpec(
    name="openai-compatible",
    summary="Any OpenAI-compatible speech server: vLLM-Omni, SGLang-Omni, Kokoro-FastAPI, realtts serve, OpenAI",
    # The first is OpenAI's for raw samples; a WAV header or the content type may name another one.
    sample_rates=(24_000, 8_000, 11_025, 12_000, 16_000, 22_050, 32_000, 44_100, 48_000),
    plain="realtts_remote.plain:Plain",
    options="realtts_remote.options:RemoteOptions",
    capabilities=frozenset({"clone", "voices", "unlisted_voices", "speed", "instruct", "streaming"}),
    remote=True,
    licence="Apache-2.0",
    max_chars=4096,
    batch_size=16,
    reference_seconds=(0.5, 60.0),
    reference_text="optional",
    upstream_names=(
        ("base_url", "give the address as model=, or set OPENAI_BASE_URL"),
        ("api_key", "set OPENAI_API_KEY, or OPENAI_API_KEY_FILE to a file that holds it"),
        ("input", "text"),
        ("ref_audio", "voice"),
        ("timeout", "timeout_s"),
        ("max_retries", "retries"),
    ),
)
