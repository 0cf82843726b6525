"""The body of a request for speech, in the words of the server that gets it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

from realtts.audio import encode
from realtts.contract.types import Voice
from realtts.errors import InvalidOption, VoiceUnsupported
from realtts.kit.languages import resolve_language

if TYPE_CHECKING:
    from realtts.contract.types import Request
    from realtts_remote.options import RemoteOptions, ServerKind
    from realtts_remote.server import Server

__all__ = ["SpeechBody", "make_body"]

_SLOWEST, _FASTEST = 0.25, 4.0
_ANY_VOICE = "alloy"
"""What servers take that demand a voice and have no list of theirs."""

_LANGUAGES = {
    "zh": "Chinese", "en": "English", "ja": "Japanese", "ko": "Korean", "de": "German", "fr": "French",
    "ru": "Russian", "pt": "Portuguese", "es": "Spanish", "it": "Italian",
}  # fmt: skip
"""Names of languages as Qwen3-TTS has them, which vLLM-Omni and SGLang-Omni take."""

_KOKORO = {
    "en-us": "a", "en-gb": "b", "en": "a", "es": "e", "fr": "f", "hi": "h", "it": "i", "ja": "j", "pt-br": "p",
    "pt": "p", "zh": "z",
}  # fmt: skip


class SpeechBody(NamedTuple):
    """What is sent, and what could not be.

    Attributes:
        fields: Of the body.
        warnings: What the caller should know.
    """

    fields: dict[str, Any]
    warnings: tuple[str, ...] = ()


def make_body(request: Request, options: RemoteOptions, server: Server, first_voice: str | None) -> SpeechBody:
    """Return the body for a request.

    Args:
        request: What to say.
        options: Its options.
        server: Who gets it.
        first_voice: The first voice of the server's list; None: it has none, or nobody asked for it.

    Raises:
        InvalidOption: The speed is out of range.
        VoiceUnsupported: The server is none that is known to clone.
    """
    kind = server.kind if options.server == "auto" else options.server
    fields: dict[str, Any] = {"input": request.text}
    if server.model:
        fields["model"] = server.model
    if options.instructions:
        fields["instructions"] = options.instructions
    fields.update(_speed(request.speed))
    fields.update(_voice(request.voice, kind, first_voice))
    language, warnings = _language(request.language, kind)
    fields.update(language)
    if kind == "realtts":
        fields["seed"] = request.seed
    fields.update(_format(request, options, kind))
    # Last, so that what the caller knows of this server wins.
    return SpeechBody({**fields, **options.extra_body}, warnings)


def _speed(speed: float) -> dict[str, Any]:
    if not _SLOWEST <= speed <= _FASTEST:
        fix = f"speed: {_SLOWEST:g} to {_FASTEST:g}, as OpenAI's protocol has it"
        raise InvalidOption(f"speed is {speed:g}", who="openai-compatible", fix=fix, argument="speed")
    return {} if speed == 1.0 else {"speed": speed}


def _voice(voice: Voice | str | None, kind: ServerKind, first: str | None) -> dict[str, Any]:
    if isinstance(voice, Voice):
        return _recording(voice, kind)
    if voice is not None:
        return {"voice": voice}
    if kind in {"realtts", "vllm-omni", "sglang", "kokoro"}:  # they have a default
        return {}
    return {"voice": first or _ANY_VOICE}


def _recording(voice: Voice, kind: ServerKind) -> dict[str, Any]:
    if kind not in {"realtts", "vllm-omni", "sglang"}:
        raise VoiceUnsupported(
            f"this server ({kind}) is not known to clone", who="openai-compatible",
            fix="give the name of a voice, or say what the server is: server='vllm-omni', 'sglang' or 'realtts'",
        )  # fmt: skip
    encoded = base64.b64encode(encode(voice.samples, voice.sample_rate, "wav")).decode()
    words = {"reference_text" if kind == "realtts" else "ref_text": voice.text} if voice.text else {}
    return {"ref_audio": f"data:audio/wav;base64,{encoded}", **words}


def _language(language: str | None, kind: ServerKind) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the field for a language, or why there is none."""
    if language is None:
        return {}, ()
    if kind == "realtts":
        return {"language": language}, ()
    if kind in {"vllm-omni", "sglang"}:
        tag = resolve_language(language, _LANGUAGES)
        return {"language": _LANGUAGES[tag] if tag is not None else language}, ()
    if kind == "kokoro":
        tag = resolve_language(language, _KOKORO)
        if tag is not None:
            return {"lang_code": _KOKORO[tag]}, ()
    return {}, (f"the server has no field for the language {language!r:.40}: text and voice tell it",)


def _format(request: Request, options: RemoteOptions, kind: ServerKind) -> dict[str, Any]:
    """Return the fields for the format, and for a stream where a server does not send one by itself.

    vLLM-Omni and SGLang-Omni serve models of other rates than 24 kHz, which only the header of a WAV file tells.
    """
    if kind == "sglang" and request.streaming and options.response_format in {"auto", "pcm"}:
        return {"response_format": "pcm", "stream": True}  # by events, which hold nothing else
    wanted = options.response_format
    if wanted == "auto":
        wanted = "wav" if kind in {"vllm-omni", "sglang"} else "pcm"
    streams = kind == "vllm-omni" and request.speed == 1.0  # at no other speed
    return {"response_format": wanted, **({"stream_format": "audio"} if streams else {})}
