"""What a request asks of a provider: checked fields in the words of `RealProvider`."""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts import VoiceInfo
from realtts.errors import RealTTSError
from realtts.kit.voices import matching_name
from realtts.synthesis.validate import options_class
from realtts.voices import VoiceStore
from realtts.voices.reference import load
from realtts_http.config import OPENAI_VOICES
from realtts_http.model_options import check_option_names
from realtts_http.problems import ProblemError, problem_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts import Voice
    from realtts_http.bodies import SpeechFields
    from realtts_http.config import ServeConfig
    from realtts_http.served import Served, ServedModels

__all__ = ["Call", "make_call", "read_recording", "store_of"]

_SHORTEST_RECORDING = 128
"""Characters of base64; anything shorter is a name."""
_URL_SAFE = str.maketrans("-_", "+/")
_SHORT_CHARS = 300
_INSTRUCTION_OPTIONS = ("instructions", "instruct")


@dataclass(frozen=True)
class Call:
    """One text for one model.

    Attributes:
        model: Who speaks.
        text: What it says.
        arguments: Of `RealProvider.stream`, the seed among them.
        ignored: Fields of the request that this model has no use for.
    """

    model: Served
    text: str
    arguments: Mapping[str, Any]
    ignored: tuple[str, ...] = ()

    @property
    def is_light(self) -> bool:
        """Whether beginning it takes less time than waking a thread: no long text is cut, and no recording read.

        The first one is not: libraries may have to be imported.
        """
        provider, arguments = self.model.provider, self.arguments
        listens = arguments.get("check_words") or arguments.get("timestamps") is not None
        reads = "clone" in provider.spec.capabilities and arguments.get("voice") is not None
        return len(self.text) <= _SHORT_CHARS and provider.rung is not None and not (listens or reads)

    @property
    def seed(self) -> int:
        """Repeats the speech."""
        return int(self.arguments["seed"])


async def make_call(models: ServedModels, config: ServeConfig, model: str, text: str, fields: SpeechFields) -> Call:
    """Check what a request asks for.

    Raises:
        ProblemError: A field is wrong, or there is no such model.
    """
    served = models.find(model)
    if len(text) > config.max_input_chars:
        message = f"The input has {len(text):,} characters; {config.max_input_chars:,} are the most."
        raise ProblemError(400, "input_too_long", f"{message} Fix: send it in parts.", field="input")
    check_option_names(fields.options, served.provider.spec)
    arguments: dict[str, Any] = {
        **fields.options,
        "language": fields.language,
        "seed": secrets.randbits(31) if fields.seed is None else fields.seed,
        "speed": fields.speed,
        "normalize": fields.normalize,
        "check_words": fields.check_words,
        "timestamps": "align" if fields.align else None,
        "reference_text": fields.reference_text,
        "voice": await _voice(served, models, config, fields),
    }
    ignored = list(fields.ignored)
    if fields.instructions:
        names = options_class(served.provider.spec).model_fields
        option = next((name for name in _INSTRUCTION_OPTIONS if name in names), None)
        if option is None:
            ignored.append("instructions")
        else:
            arguments.setdefault(option, fields.instructions)
    return Call(served, text, arguments, tuple(ignored))


async def _voice(
    served: Served, models: ServedModels, config: ServeConfig, fields: SpeechFields
) -> VoiceInfo | Voice | None:
    """Return the voice of a request: never a file of this machine, nor an address."""
    given = fields.voice if isinstance(fields.voice, str) or fields.voice is None else fields.voice.id
    if fields.ref_audio is not None:
        if given is not None and not _is_openai_voice(given):
            message = "voice and ref_audio are both given. Fix: give one of the two."
            raise ProblemError(400, "two_voices", message, field="ref_audio")
        return await asyncio.to_thread(_recording, fields.ref_audio, served, config)
    name = models.voice(given)
    if name is None:
        return None
    if _is_openai_voice(name) and not await asyncio.to_thread(_has_voice, served, name):
        return None
    return VoiceInfo(name, name)


@functools.lru_cache(maxsize=1024)
def _is_openai_voice(name: str) -> bool:
    """Tell whether the voice is one that clients send because they have to send one."""
    return matching_name(name, OPENAI_VOICES) is not None


def _has_voice(served: Served, name: str) -> bool:
    """Tell whether a model has a voice of OpenAI's name itself; loads no model to find out."""
    return matching_name(name, [voice.id for voice in served.voices_without_load()]) is not None


def _recording(text: str, served: Served, config: ServeConfig) -> VoiceInfo | Voice:
    """Return the saved voice of a name, or the recording that the base64 holds."""
    saved = matching_name(text, store_of(served).names()) if len(text) <= _SHORTEST_RECORDING else None
    if saved is not None:
        return VoiceInfo(saved, saved)
    encoded = text.partition(";base64,")[2] if text.startswith("data:") else text
    encoded = "".join(encoded.split()).translate(_URL_SAFE).rstrip("=")
    try:
        content = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if len(encoded) < _SHORTEST_RECORDING or not content:
        message = "ref_audio is neither a saved voice's name nor a recording as base64. Fix: encode the file's bytes."
        raise ProblemError(400, "invalid_recording", message, field="ref_audio")
    return read_recording(content, served, config, field="ref_audio")


def read_recording(content: bytes, served: Served, config: ServeConfig, *, field: str) -> Voice:
    """Read and check a recording that a client sent.

    Args:
        content: Bytes of an audio file.
        served: Whose limits on recordings hold.
        config: Holds the server's own limit.
        field: Where the request has it, for messages.

    Raises:
        ProblemError: It is no audio, too short, too long, silent and so on.
    """
    shortest, longest = served.provider.spec.reference_seconds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recording")
        path.write_bytes(content)
        try:
            return load(path, seconds=(shortest, min(longest, config.max_reference_s)), who=field)
        except RealTTSError as error:
            raise problem_of(error, 400, "invalid_recording", field=field, about=field) from None


def store_of(served: Served) -> VoiceStore:
    """Return the saved voices that a model may use."""
    from realtts.settings_sources import data_dir

    return VoiceStore(data_dir(served.provider.settings) / "voices")
