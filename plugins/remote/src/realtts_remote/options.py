"""The options of the provider ``openai-compatible``."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field, field_validator

from realtts.contract.options import Options
from realtts_remote import spec

__all__ = ["RemoteOptions", "ServerKind"]

ServerKind = Literal["auto", "realtts", "vllm-omni", "sglang", "kokoro", "openai", "other"]

_OURS = frozenset({"input", "model", "voice", "response_format", "stream", "stream_format", "speed"})
_MOST_CHARS = 65_536


class RemoteOptions(Options):
    """How a server is asked."""

    instructions: str = Field("", max_length=4096, description="How to speak, in words, where the model follows such.")
    response_format: Literal["auto", "pcm", "wav"] = Field(
        "auto",
        description="Format that is asked for: 'pcm', or 'wav', whose header tells the rate; 'auto': by the server.",
    )
    sample_rate: int | None = Field(
        None,
        ge=8000,
        le=48_000,
        description="Hz of samples without a header, where the server does not name it; None: 24000, as OpenAI's.",
    )
    server: ServerKind = Field("auto", description="What the server is; 'auto': its list of models tells.")
    extra_body: dict[str, Any] = Field(
        {},
        description="Further fields of the request, as the server's own documentation has them, which JSON can hold.",
    )
    timeout_s: float = Field(
        300.0, gt=0, le=3600, description="Seconds in which the server must send something: the answer, or more of it."
    )
    retries: int = Field(2, ge=0, le=10, description="Times that a request is sent again before anything was heard.")

    @field_validator("sample_rate")
    @classmethod
    def _check_rate(cls, value: int | None) -> int | None:
        """Refuse what the spec does not list."""
        if value is not None and value not in spec.sample_rates:
            raise ValueError(f"it is none of {', '.join(map(str, sorted(spec.sample_rates)))}")
        return value

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
