"""``POST /tts``: the endpoint of F5-TTS servers, with upstream's own names of the fields."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from realtts.audio import encode
from realtts.synthesis.validate import options_class
from realtts_http.bodies import SpeechFields
from realtts_http.calls import make_call
from realtts_http.encoding import CONTENT_TYPES
from realtts_http.problems import header_value
from realtts_http.server_state import Server
from realtts_http.speech import speech_of

__all__ = ["router"]

router = APIRouter(tags=["speech"])


class TtsBody(BaseModel):
    """A request as F5-TTS' servers take it; further fields are options of the model by upstream's names or ours."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    gen_text: str = Field(description="The text to speak.")
    ref_text: str = Field("", max_length=10_000, description="The words of the recording; empty: found out, or none.")
    ref_audio: str | None = Field(None, description="A saved voice's name or a recording as base64; never a path.")
    model: str = ""
    voice: str | None = Field(None, min_length=1, max_length=256)
    speed: float = Field(1.0, ge=0.25, le=4.0)
    seed: int | None = Field(None, ge=0, le=2**63 - 1)
    language: str | None = Field(None, max_length=100)


@router.post(
    "/tts",
    summary="Speak a text (as F5-TTS' servers do)",
    response_class=Response,
    responses={200: {"content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def tts(body: TtsBody, server: Server) -> Response:
    """Speak a text and return the whole as a WAV file.

    ``nfe_step``, ``cfg_strength`` and other options are the model's; ``use_fp16`` and what the model has no use for is
    named in the header ``x-realtts-ignored``: the precision is chosen when a model is loaded.
    """
    served = server.models.find(body.model)
    options, ignored = _options(body.model_extra or {}, served.provider.spec)
    fields = SpeechFields(
        voice=body.voice,
        speed=body.speed,
        seed=body.seed,
        language=body.language,
        ref_audio=body.ref_audio,
        reference_text=body.ref_text or None,
        options=options,
    )
    call = await make_call(server.models, server.config, body.model, body.gen_text, fields)
    speech = await speech_of(call, server.models)
    data = await asyncio.to_thread(encode, speech.samples, speech.sample_rate, "wav")
    headers = {"x-realtts-model": served.name, "x-realtts-seed": str(call.seed)}
    if ignored:
        headers["x-realtts-ignored"] = header_value(*ignored)
    return Response(data, media_type=CONTENT_TYPES["wav"], headers=headers)


def _options(extra: dict[str, Any], spec: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the options among the further fields, and the names of those that mean nothing here."""
    ours, names = options_class(spec).model_fields, dict(spec.upstream_names)
    options: dict[str, Any] = {}
    ignored = []
    for name, value in extra.items():
        option = name if name in ours else names.get(name)
        if option in ours:
            options[str(option)] = value
        else:
            ignored.append(name[:80])
    return options, ignored
