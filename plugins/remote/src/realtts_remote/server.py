"""What a server says of itself: its kind, its models, its voices, and what runs where it is realtts."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realtts.contract.types import VoiceInfo
from realtts.errors import UnknownCheckpoint, enumeration
from realtts_remote.errors import ServerError, ServerRefused, ServerUnreachable

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from realtts_remote.client import Client
    from realtts_remote.options import ServerKind

__all__ = ["Server", "details_of", "find_server", "find_voices", "rung_of"]

_OPENAI_HOST = "api.openai.com"
_OPENAI_MODEL = "gpt-4o-mini-tts"
OPENAI_VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip
"""OpenAI has no list of its voices, so its documentation's stands here; other names are passed on too."""

_SPEAKS = re.compile(r"tts|speech|audio|voice|kokoro|vox|orpheus|chatterbox|piper|cosy", re.IGNORECASE)
_LONGEST_NAME = 200
_MOST_SHOWN = 50
_MOST_VOICES = 10_000
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Server:
    """A server as it describes itself.

    Attributes:
        kind: What program it is, as far as it can be known.
        model: The model that is asked for; empty: the server has no list, and decides itself.
        models: Names of all its models.
    """

    kind: ServerKind
    model: str
    models: tuple[str, ...]


async def find_server(client: Client) -> Server:
    """Ask a server for its models, and choose the one that is meant.

    Raises:
        ServerError: It cannot be reached, or fails. ServerRefused: The key or the address do not fit.
        UnknownCheckpoint: It has several models that may speak, and none was named.
    """
    entries = _entries(await _in_time(client.get_json("models"), client), "data", "models")
    names = {name: str(entry.get("owned_by", "")) for entry in entries if (name := _name_of(entry))}
    wanted = client.address.model
    kind = _kind(names.get(wanted) or next(iter(names.values()), ""), client.address.url.host)
    return Server(kind, wanted or _only_model(tuple(names), kind, client.who), tuple(names))


async def find_voices(client: Client, server: Server) -> tuple[VoiceInfo, ...]:
    """List the voices of the model; empty where the server has no list.

    Raises:
        ServerError, ServerRefused: As `find_server`.
    """
    query = {"model": server.model} if server.kind == "realtts" and server.model else None
    content = await _in_time(client.get_json("audio/voices", query), client)
    entries = [*_entries(content, "voices", "data"), *_entries(content, "uploaded_voices")]
    voices = {info.id: info for entry in entries[:_MOST_VOICES] if (info := _voice(entry)) is not None}
    if not voices and server.kind == "openai":
        return tuple(VoiceInfo(name, name) for name in OPENAI_VOICES)
    return tuple(voices.values())


async def rung_of(client: Client, server: Server) -> dict[str, Any] | None:
    """Return what a server of ours runs the model on; None: it does not say, or it is another program."""
    if server.kind != "realtts":
        return None
    try:
        content = await _in_time(client.get_json("status"), client)
    except (ServerError, ServerRefused):  # it speaks all the same
        return None
    models = content.get("models") if isinstance(content, dict) else None
    status = models.get(server.model) if isinstance(models, dict) else None
    if not isinstance(status, dict):
        return None
    details = status.get("optimization_details")
    about = {name: _shown(status.get(name)) for name in ("state", "variant", "rung")}
    return {**about, "device": _shown(details.get("device")) if isinstance(details, dict) else None}


async def _in_time(answer: Coroutine[Any, Any, Any], client: Client) -> Any:
    """Wait for an answer, which may come byte by byte, but not for ever."""
    try:
        return await asyncio.wait_for(answer, _PATIENCE_S)
    except asyncio.TimeoutError:
        what, fix = f"its answer took longer than {_PATIENCE_S:g} s", "see whether it works"
        raise ServerUnreachable(what, who=client.who, fix=fix) from None


def _kind(owner: str, host: str) -> ServerKind:
    owner = owner.lower()
    if host == _OPENAI_HOST:
        return "openai"
    known: tuple[tuple[str, ServerKind], ...] = (
        ("realtts", "realtts"),
        ("vllm", "vllm-omni"),
        ("sglang", "sglang"),
        ("sgl", "sglang"),
        ("kokoro", "kokoro"),
    )
    return next((kind for start, kind in known if owner.startswith(start)), "other")


def _only_model(names: tuple[str, ...], kind: ServerKind, who: str) -> str:
    """Return the model that speaks where none was named."""
    if kind == "openai":
        return _OPENAI_MODEL
    if len(names) < 2 or kind in {"realtts", "kokoro"}:  # the default one, or other names of the only one
        return names[0] if names else ""
    speaking = [name for name in names if _SPEAKS.search(name)]
    if len(speaking) == 1:
        return speaking[0]
    raise UnknownCheckpoint(
        f"it has {len(names)} models, and none was named", who=who,
        fix=f"name one behind the address, as in model='http://HOST:PORT/v1#NAME': {enumeration(speaking or names)}",
    )  # fmt: skip


def _entries(content: Any, *names: str) -> list[Any]:
    """Return the list in an answer, whatever of these names it has; a table is a list of its names."""
    if isinstance(content, dict):
        content = next((content[name] for name in names if content.get(name)), [])
    if isinstance(content, dict):
        return [{"id": name, **(about if isinstance(about, dict) else {})} for name, about in content.items()]
    return [each if isinstance(each, dict) else {"id": each} for each in content] if isinstance(content, list) else []


def _name_of(entry: dict[str, Any]) -> str:
    names = (entry.get(name) for name in ("id", "voice_id", "name", "voice"))
    name = next((each for each in names if isinstance(each, str) and each.strip()), "")
    return name if len(name) <= _LONGEST_NAME and name.isprintable() else ""


def _voice(entry: dict[str, Any]) -> VoiceInfo | None:
    name = _name_of(entry)
    if not name:
        return None
    about = {each: _shown(entry.get(each)) or "" for each in ("language", "gender", "description")}
    shown = _shown(entry.get("name")) or name
    return VoiceInfo(name, shown, about["language"], about["gender"], about["description"])


def _shown(value: Any) -> str | None:
    """Return a short text of a foreign answer, None where it is none."""
    text = value[:_LONGEST_NAME] if isinstance(value, str) else ""
    return text if text and text.isprintable() else None


def details_of(server: Server, shown: str, rung: dict[str, Any] | None) -> dict[str, Any]:
    """Return what the status shows of a server."""
    return {
        "address": shown,
        "kind": server.kind,
        "model": server.model or None,
        "models": list(server.models[:_MOST_SHOWN]),
        "running": rung,
    }
