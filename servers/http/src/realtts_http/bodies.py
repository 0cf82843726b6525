"""Bodies of requests: OpenAI's fields, and ours beside them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from realtts.errors import closest

__all__ = ["Batch", "SpeechBody", "SpeechFields", "VoiceId"]

AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
MAX_SEED = 2**63 - 1
_MOST_INPUTS = 10_000
_SHOWN_CHARS = 80


class VoiceId(BaseModel):
    """A voice by its id, as OpenAI's custom voices are given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=256)


class _Body(BaseModel):
    """A body whose unknown fields are left out, and named in the header ``x-realtts-ignored``.

    Clients of other servers send fields of their own. One that is nearly the name of a known field is refused: it is
    misspelt.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_spelling(self) -> _Body:
        for name in self.model_extra or {}:
            near = closest(name, type(self).model_fields)
            if near:
                raise PydanticCustomError(
                    "misspelt_field", "{what}", {"what": f"there is no such field{near}", "name": name}
                )
        return self

    @property
    def ignored(self) -> tuple[str, ...]:
        """Names of the fields that were left out."""
        return tuple(name[:_SHOWN_CHARS] for name in self.model_extra or ())


class SpeechFields(_Body):
    """What may differ between the inputs of a batch."""

    voice: Annotated[str, Field(min_length=1, max_length=256)] | VoiceId | None = Field(
        None, description="Name of a built-in or saved voice; none given: the model's default."
    )
    instructions: str | None = Field(
        None, max_length=4096, description="How to speak, for models that take such a text; others leave it out."
    )
    speed: float = Field(1.0, ge=0.25, le=4.0, description="Speaking rate; 1 is natural.")
    language: str | None = Field(None, max_length=100, description="realtts: language tag, code or name.")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, strict=True, description="realtts: repeats a speech.")
    reference_text: str | None = Field(
        None, max_length=10_000, description="realtts: the words that are spoken in the recording to clone."
    )
    ref_audio: str | None = Field(
        None, description="realtts: a recording to clone as base64, with or without data:...;base64, before it."
    )
    normalize: Literal["auto", "off"] | None = Field(
        None, description="realtts: put numbers, dates and signs into words, or leave them to the model."
    )
    check_words: bool = Field(
        False,
        strict=True,
        description="realtts: listen to every piece, and speak one again whose words are not all there.",
    )
    align: bool = Field(
        False,
        strict=True,
        description="realtts: find the times of words by listening, where the model gives none.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="realtts: the model's own options, see GET /v1/models/{id}."
    )


class SpeechBody(SpeechFields):
    """A request for speech."""

    model: str = Field("", max_length=256, description="Name of a served model, or of an alias.")
    input: str = Field(description="The text to speak; OpenAI takes 4,096 characters, this server more.")
    response_format: AudioFormat = Field("mp3", description="Format of the audio; pcm is 16 bit, 24 kHz, mono.")
    stream_format: Literal["audio", "sse"] = Field(
        "audio", description="The bytes of the audio, or server-sent events that carry them as base64."
    )
    timestamps: Literal["json", "srt", "vtt"] | None = Field(
        None, description="realtts: answer with JSON that holds the audio as base64 and the timings."
    )


class BatchInput(SpeechFields):
    """One input of a batch; what it leaves out is the batch's."""

    input: str


class Batch(SpeechFields):
    """Several texts at once."""

    model: str = Field("", max_length=256)
    inputs: list[str | BatchInput] = Field(
        min_length=1, max_length=_MOST_INPUTS, description="Texts, or objects with fields of their own."
    )
    response_format: AudioFormat = "mp3"
