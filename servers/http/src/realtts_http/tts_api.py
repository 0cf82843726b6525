"""``POST /tts``: the endpoint of F5-TTS servers, with upstream's own names of the fields."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from realtts.audio import encode
from realtts.errors import InputError
from realtts.synthesis.validate import options_class
from realtts.wire.answers import answer_to
from realtts_http.bodies import MAX_SEED, SpeechFields
from realtts_http.calls import make_call
from realtts_http.encoding import CONTENT_TYPES
from realtts_http.json_route import JsonRoute
from realtts_http.problems import ProblemError, header_value
from realtts_http.server_state import Server
from realtts_http.whole import for_client, speech_of

__all__ = ["router"]

router = APIRouter(tags=["speech"], route_class=JsonRoute)

_NAMES = {"input": "gen_text", "reference_text": "ref_text"}
"""What the fields of a request for speech are called here."""


class TtsBody(BaseModel):
    """A request as F5-TTS' servers take it; further fields are options of the model by upstream's names or ours."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    gen_text: str = Field(description="The text to speak.")
    ref_text: str = Field("", max_length=10_000, description="The words of the recording; empty: found out, or none.")
    ref_audio: str | None = Field(None, description="A saved voice's name or a recording as base64; never a path.")
    model: str = ""
    voice: str | None = Field(None, min_length=1, max_length=256)
    speed: float = Field(1.0, ge=0.25, le=4.0)
    seed: int | None = Field(None, ge=-1, le=MAX_SEED, strict=True, description="-1 is none, as upstream has it.")
    language: str | None = Field(None, max_length=100)


@router.post(
    "/tts",
    summary="Speak a text (as F5-TTS' servers do)",
    response_class=Response,
    responses={200: {"content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def tts(body: TtsBody, request: Request, server: Server) -> Response:
    """Speak a text and return the whole as a WAV file.

    ``nfe_step``, ``cfg_strength`` and other options are the model's; ``use_fp16`` and what the model has no use for is
    named in the header ``x-realtts-ignored``: the precision is chosen when a model is loaded.
    """
    try:
        return await _speak(body, request, server)
    except InputError as error:
        raise _renamed(ProblemError.of(answer_to(error))) from error
    except ProblemError as problem:
        raise _renamed(problem) from None


async def _speak(body: TtsBody, request: Request, server: Server) -> Response:
    served = server.models.find(body.model)
    options, ignored = _options(body.model_extra or {}, served.provider.spec)
    fields = SpeechFields(
        voice=body.voice,
        speed=body.speed,
        seed=None if body.seed == -1 else body.seed,
        language=body.language,
        ref_audio=body.ref_audio or None,
        reference_text=body.ref_text or None,
        options=options,
    )
    call = await make_call(server.models, server.config, body.model, body.gen_text, fields)
    speech = await for_client(request, server, served.name, speech_of(call, server))
    data = await asyncio.to_thread(encode, speech.samples, speech.sample_rate, "wav")
    headers = {"x-realtts-model": served.name, "x-realtts-seed": str(call.seed)}
    if ignored:
        headers["x-realtts-ignored"] = header_value(*ignored)
    return Response(data, media_type=CONTENT_TYPES["wav"], headers=headers)


def _renamed(problem: ProblemError) -> ProblemError:
    """Return a problem whose field is called as in F5-TTS' servers."""
    answer = problem.answer
    return ProblemError.of(dataclasses.replace(answer, field=_NAMES.get(answer.field or "", answer.field)))


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
