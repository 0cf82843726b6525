"""The options of the provider ``openai-compatible``."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field, field_validator

from realtts.contract.options import Options

__all__ = ["RemoteOptions", "ServerKind"]

ServerKind = Literal["auto", "realtts", "vllm-omni", "sglang", "kokoro", "openai", "other"]

_OURS = frozenset({"input", "model", "voice", "response_format", "stream", "stream_format", "speed"})
_MOST_CHARS = 65_536


class RemoteOptions(Options):
    """How a server is asked."""

    instructions: str = Field("", max_length=4096, description="How to speak, in words, where the model follows such.")
    response_format: Literal["pcm", "wav"] = Field(
        "pcm", description="Format that is asked for: 'pcm', or 'wav' where a server lacks it or has another rate."
    )
    sample_rate: Literal[8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000] | None = Field(
        None, description="Hz of samples without a header, where the server does not name it; None: 24000, as OpenAI's."
    )
    server: ServerKind = Field("auto", description="What the server is; 'auto': its list of models tells.")
    extra_body: dict[str, Any] = Field(
        default_factory=dict,
        description="Further fields of the request, as the server's own documentation has them, which JSON can hold.",
    )
    timeout_s: float = Field(
        300.0, gt=0, le=3600, description="Seconds in which the server must send something: the answer, or more of it."
    )
    retries: int = Field(2, ge=0, le=10, description="Times that a request is sent again before anything was heard.")

    @field_validator("extra_body")
    @classmethod
    def _check_extra_body(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Refuse what JSON cannot hold, and fields that realtts fills itself."""
        taken = sorted(_OURS & value.keys())
        if taken:
            raise ValueError(f"{taken[0]} is filled from the request's own arguments")
        try:
            text = json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise ValueError("it holds a value that JSON has no word for") from None
        if len(text) > _MOST_CHARS:
            raise ValueError(f"it is longer than {_MOST_CHARS} characters")
        return value
