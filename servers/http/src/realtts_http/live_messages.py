"""The messages of the WebSocket, on which a text comes while it is written."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from realtts_http.bodies import AudioFormat, SpeechFields

__all__ = ["Append", "Cancel", "End", "Flush", "Incoming", "Start", "read_message"]

Id = Annotated[str, Field(min_length=1, max_length=64)]


class Start(SpeechFields):
    """Begin an utterance."""

    type: Literal["speech.start"]
    id: Id
    model: str = Field("", max_length=256)
    response_format: AudioFormat = "pcm"


class _About(BaseModel):
    """A message about an utterance that was begun."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id


class Append(_About):
    """More of its text, of any length: a token, a sentence."""

    type: Literal["speech.text"]
    text: str = Field(max_length=100_000)


class Flush(_About):
    """Speak what is there, although no sentence ends."""

    type: Literal["speech.flush"]


class End(_About):
    """There is no more text."""

    type: Literal["speech.end"]


class Cancel(_About):
    """Stop speaking."""

    type: Literal["speech.cancel"]


Incoming = Annotated[Start | Append | Flush | End | Cancel, Field(discriminator="type")]
_READER: TypeAdapter[Start | Append | Flush | End | Cancel] = TypeAdapter(Incoming)


def read_message(text: str) -> Start | Append | Flush | End | Cancel:
    """Read a message.

    Raises:
        pydantic.ValidationError: It is none.
    """
    message: Any = _READER.validate_json(text)
    return message  # type: ignore[no-any-return]
