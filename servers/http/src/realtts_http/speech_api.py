"""``POST /v1/audio/speech``, and several texts at once."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from realtts import Chunk
from realtts.audio import encode
from realtts.errors import OutputError
from realtts.text.captions import to_srt, to_vtt
from realtts.wire.answers import answer_to
from realtts_http.bodies import Batch, BatchInput, SpeechBody
from realtts_http.calls import make_call
from realtts_http.encoding import CONTENT_TYPES, PCM_RATE, open_encoder
from realtts_http.json_route import JsonRoute
from realtts_http.problems import ProblemError, problem_body
from realtts_http.server_state import Server, ServerState
from realtts_http.speech import SpeechResponse, log_fault, mark_message
from realtts_http.whole import for_client, speech_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from realtts import Speech
    from realtts_http.calls import Call

__all__ = ["router"]

router = APIRouter(tags=["speech"], route_class=JsonRoute)

_AT_A_TIME = 16
"""Inputs of one batch: others find places in the queue, too."""

_AUDIO: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The audio, sent while it is spoken; or events, or JSON with timings.",
        "content": {
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in CONTENT_TYPES.values()},
            "text/event-stream": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}


@router.post("/v1/audio/speech", summary="Speak a text", responses=_AUDIO, response_class=Response)
async def speak(body: SpeechBody, request: Request, server: Server) -> Response:
    """Speak a text and send the audio as it comes."""
    call = await make_call(server.models, server.config, body.model, body.input, body)
    if body.timestamps is not None:
        open_encoder(body.response_format)  # which says so before any work where it cannot be written
        speech = await for_client(request, server, call.model.name, speech_of(call, server))
        return JSONResponse(await asyncio.to_thread(_with_timings, speech, call, body.response_format, body.timestamps))
    return SpeechResponse(
        call,
        server.models,
        server.metrics,
        format=body.response_format,
        events=body.stream_format == "sse",
        arrived=request.state.arrived,
    )


@router.post("/v1/audio/speech/batch", summary="Speak several texts (realtts)", responses={200: {"content": {}}})
async def speak_batch(body: Batch, request: Request, server: Server) -> JSONResponse:
    """Speak texts together where the model can; each has its audio or its own error, in the order of the inputs."""
    if len(body.inputs) > server.config.max_batch_inputs:
        message = f"There are {len(body.inputs)} inputs; {server.config.max_batch_inputs} are the most."
        raise ProblemError(400, "too_many_inputs", f"{message} Fix: send several batches.", field="inputs")
    characters = sum(len(each if isinstance(each, str) else each.input) for each in body.inputs)
    if characters > server.config.max_input_chars:
        message = f"The inputs have {characters:,} characters; {server.config.max_input_chars:,} are the most."
        raise ProblemError(400, "input_too_long", f"{message} Fix: send several batches.", field="inputs")
    open_encoder(body.response_format)
    places = asyncio.Semaphore(_AT_A_TIME)
    try:
        model = server.models.find(body.model).name
    except ProblemError:  # which each input tells
        model = server.models.default
    speaking = _all(_one(index, each, body, server, places) for index, each in enumerate(body.inputs))
    return JSONResponse({"object": "list", "data": await for_client(request, server, model, speaking)})


async def _all(speaking: Iterable[Coroutine[Any, Any, dict[str, Any]]]) -> list[dict[str, Any]]:
    return await asyncio.gather(*speaking)


async def _one(
    index: int, entry: str | BatchInput, batch: Batch, server: ServerState, places: asyncio.Semaphore
) -> dict[str, Any]:
    """Speak one input of a batch."""
    own = {"input": entry} if isinstance(entry, str) else entry.model_dump(exclude_unset=True)
    shared = batch.model_dump(exclude_unset=True, exclude={"model", "inputs", "response_format"})
    fields = BatchInput(**{**shared, **own})
    try:
        async with places:
            call = await make_call(server.models, server.config, batch.model, fields.input, fields)
            speech = await speech_of(call, server)
            encoded = await asyncio.to_thread(_encoded, speech, batch.response_format)
    except ProblemError as error:
        return {"index": index, **problem_body(error.answer)}
    except Exception as error:
        log_fault(error)
        return {"index": index, **problem_body(answer_to(error))}
    facts = _facts(speech, encoded, batch.response_format)
    if fields.align:
        facts["timestamps"] = [mark_message(mark, speech.text) for mark in speech.marks]
    return {"index": index, **facts}


def _encoded(speech: Speech, format: str) -> bytes:  # noqa: A002 - the word users know
    if format != "pcm":
        return encode(speech.samples, speech.sample_rate, format)
    encoder = open_encoder(format)
    return encoder.encode(Chunk(speech.samples, speech.sample_rate)) + encoder.finish()


def _facts(speech: Speech, encoded: bytes, format: str) -> dict[str, Any]:  # noqa: A002 - the word users know
    return {
        "audio": base64.b64encode(encoded).decode(),
        "format": format,
        "sample_rate": PCM_RATE if format == "pcm" else speech.sample_rate,
        "duration": round(speech.duration, 4),
        "finish_reason": speech.finish_reason,
        "seed": speech.seed,
        "warnings": list(speech.warnings),
        "metrics": {"first_audio_s": speech.metrics.first_audio_s, "rtf": speech.metrics.rtf},
    }


def _with_timings(speech: Speech, call: Call, format: str, kind: str) -> dict[str, Any]:  # noqa: A002
    """Return a speech with its timings, as a list or as the text of a file of subtitles."""
    timings: Any = [mark_message(mark, speech.text) for mark in speech.marks]
    if kind != "json":
        try:
            timings = (to_srt if kind == "srt" else to_vtt)(speech.marks, speech.text, markup=speech.markup)
        except OutputError:
            message = f"The model gives no timings for {kind}. Fix: set 'align', or choose another model."
            raise ProblemError(400, "no_timings", message, field="timestamps") from None
    facts = _facts(speech, _encoded(speech, format), format)
    return {**facts, "model": call.model.name, "timestamps": timings}
