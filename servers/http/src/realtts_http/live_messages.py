"""The messages of the WebSocket, on which a text comes while it is written."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from realtts.errors import closest, enumeration
from realtts_http.bodies import AudioFormat, SpeechFields
from realtts_http.json_route import invalid_fields, read_object
from realtts_http.problems import ProblemError

__all__ = ["Append", "Cancel", "End", "Flush", "Incoming", "Start", "WrongMessageError", "read_message"]

_LONGEST_ID = 64
Id = Annotated[str, Field(min_length=1, max_length=_LONGEST_ID)]


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


Incoming = Start | Append | Flush | End | Cancel
_KINDS: dict[str, type[Incoming]] = {
    "speech.start": Start,
    "speech.text": Append,
    "speech.flush": Flush,
    "speech.end": End,
    "speech.cancel": Cancel,
}


class WrongMessageError(Exception):
    """A message that is none.

    Args:
        problem: What is wrong with it.
        id: The utterance that it names; None: none.
        begins: Whether it should have begun an utterance.
    """

    def __init__(self, problem: ProblemError, id: str | None = None, *, begins: bool = False) -> None:  # noqa: A002
        super().__init__(str(problem))
        self.problem, self.id, self.begins = problem, id, begins


def read_message(text: str) -> Incoming:
    """Read a message.

    Raises:
        WrongMessageError: It is none.
    """
    try:
        fields = read_object(text)
    except ProblemError as problem:
        raise WrongMessageError(problem) from None
    name, kind = fields.get("id"), fields.get("type")
    name = name if isinstance(name, str) and 0 < len(name) <= _LONGEST_ID else None
    if not (isinstance(kind, str) and kind in _KINDS):
        raise WrongMessageError(_no_such_message(kind), name)
    try:
        return _KINDS[kind].model_validate(fields)
    except ValidationError as error:
        raise WrongMessageError(invalid_fields(error, fields), name, begins=kind == "speech.start") from None


def _no_such_message(kind: Any) -> ProblemError:
    near = closest(kind, _KINDS) if isinstance(kind, str) else ""
    message = f"type is {kind!r:.80}: there is no such message{near}. Fix: choose from {enumeration(_KINDS)}."
    return ProblemError(400, "missing_field" if kind is None else "invalid_value", message, field="type")
