"""The voices: built in and saved, and recordings that clients add."""

from __future__ import annotations

import asyncio
import contextlib
import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, File, Form, UploadFile

from realtts.errors import OutputError, VoiceError, VoiceNotFound
from realtts.kit.voices import matching_name
from realtts_http.calls import read_recording, store_of
from realtts_http.problems import ProblemError, problem_of
from realtts_http.server_state import Server
from realtts_http.speech import log_fault

if TYPE_CHECKING:
    from realtts import VoiceInfo
    from realtts.voices import SavedVoice
    from realtts_http.served import Served

__all__ = ["router"]

router = APIRouter(tags=["voices"])

_CONSENT = "consent.txt"


@router.get("/v1/audio/voices", summary="List the voices")
async def list_voices(server: Server, model: str | None = None) -> dict[str, Any]:
    """Return the voices of a model, or of all models.

    Of all models, the voices that only a loaded model can name are left out until it has spoken.
    """
    if model is not None:
        served = server.models.find(model)
        async with server.models.speaking(served) as provider:
            return {"voices": [_described(voice, served) for voice in await asyncio.to_thread(provider.voices)]}
    entries = []
    for served in server.models.all:
        voices = await asyncio.to_thread(served.voices_without_load)
        entries += [_described(voice, served) for voice in voices]
    return {"voices": entries}


@router.post("/v1/audio/voices", summary="Save a recording as a voice")
async def add_voice(  # noqa: PLR0917 - the fields of the form
    server: Server,
    audio_sample: Annotated[UploadFile, File(description="Recording of one speaker.")],
    name: Annotated[str, Form(description="What requests call the voice.", min_length=1, max_length=256)],
    consent: Annotated[
        str | None, Form(description="The speaker's consent; stored beside it.", max_length=4096)
    ] = None,
    reference_text: Annotated[
        str | None, Form(description="realtts: the words spoken in it.", max_length=10_000)
    ] = None,
    type: Annotated[Literal["audio_sample"], Form(description="What the voice is made of.")] = "audio_sample",  # noqa: A002, ARG001
) -> dict[str, Any]:
    """Check a recording and save it; models that clone can then speak with it by its name."""
    content = await audio_sample.read()
    cloning = next((each for each in server.models.all if "clone" in each.provider.spec.capabilities), None)
    saved = await asyncio.to_thread(
        _save, cloning or server.models.all[0], server, content, name, consent, reference_text
    )
    return _saved(saved, consent)


@router.delete("/v1/audio/voices/{voice}", summary="Delete a saved voice")
async def delete_voice(voice: str, server: Server) -> dict[str, Any]:
    """Delete a saved voice; built-in ones stay."""
    store = store_of(server.models.all[0])
    try:
        await asyncio.to_thread(store.remove, voice)
    except VoiceNotFound as error:
        raise problem_of(error, 404, "voice_not_found", field="voice") from None
    except OutputError as error:
        raise _not_stored(error) from error
    return {"id": voice, "object": "audio.voice.deleted", "deleted": True}


def _save(  # noqa: PLR0917 - the fields of the form
    model: Served, server: Server, content: bytes, name: str, consent: str | None, text: str | None
) -> SavedVoice:
    store = store_of(model)
    recording = read_recording(content, model, server.config, field="audio_sample")
    try:
        saved = store.add(name, recording, text=text)
    except VoiceError as error:
        if matching_name(name, store.names()) is not None:
            fix = "delete it first, or choose another name"
            raise ProblemError(409, "voice_exists", f"There is a voice {name!r}. Fix: {fix}.", field="name") from None
        raise problem_of(error, 400, "invalid_name", field="name") from None
    except OutputError as error:
        raise _not_stored(error) from error
    if consent is not None:
        with contextlib.suppress(FileNotFoundError):  # somebody has deleted the voice meanwhile
            handle = os.open(saved.folder / _CONSENT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(consent)
    return saved


def _not_stored(error: OutputError) -> ProblemError:
    """Return the answer where the server's disk is at fault."""
    log_fault(RuntimeError(str(error)))
    return ProblemError(500, "voice_not_stored", "The voices cannot be changed; the server's log says why.")


def _saved(saved: SavedVoice, consent: str | None) -> dict[str, Any]:
    if saved.created:
        created = datetime.strptime(saved.created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    else:  # somebody has deleted it meanwhile
        created = datetime.now(timezone.utc)
    return {
        "id": saved.name,
        "object": "audio.voice",
        "type": "audio_sample",
        "name": saved.name,
        "created_at": int(created.timestamp()),
        "duration": round(saved.duration, 3),
        "consent": consent,
    }


def _described(voice: VoiceInfo, served: Served) -> dict[str, Any]:
    return {
        "id": voice.id,
        "name": voice.name or voice.id,
        "language": voice.language,
        "gender": voice.gender,
        "description": voice.description,
        "model": served.name,
    }
