"""What an answer means that is no speech: the server's own words in an error of the right type."""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from realtts.errors import InputError, InvalidOption, TextError, UnknownCheckpoint, UnknownLanguage, VoiceNotFound
from realtts_remote.errors import ServerBusy, ServerFailed, ServerRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts.errors import RealTTSError

__all__ = ["ServerMessage", "error_of", "message_of", "retry_after_s"]

_MOST_CHARS = 500
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_ARGUMENTS = {"input": "text", "language": "language", "lang_code": "language", "speed": "speed", "seed": "seed"}
"""What fields of the request are called here; the others are called alike, or stand in ``extra_body``."""

_TEMPORARY = frozenset({408, 409, 425, 500, 502, 504, 520, 522, 524})
"""Answers after which the same request may fare better, beside 429 and 503."""


class ServerMessage(NamedTuple):
    """What a server says of an error.

    Attributes:
        text: Its words, one line.
        field: The field of the request at fault; empty: it does not say.
        code: Its name of the error.
    """

    text: str
    field: str = ""
    code: str = ""


def message_of(body: bytes) -> ServerMessage:
    """Read the answer of an error in the forms that servers use: OpenAI's, FastAPI's, plain text, a page."""
    text = body.decode("utf-8", "replace").strip()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return ServerMessage(_line(_page_title(text)))
    if isinstance(content, dict):
        inner = next((content[name] for name in ("error", "detail", "message", "msg") if content.get(name)), None)
        return _of_value(inner if inner is not None else content)
    return _of_value(content)


def error_of(status: int, headers: Mapping[str, str], message: ServerMessage, *, who: str, key: bool) -> RealTTSError:
    """Return the error for an answer that is none of 2xx.

    Args:
        status: Of the answer.
        headers: Of the answer, names in lower case.
        message: What the server said, the key hidden.
        who: The server.
        key: Whether a key was sent.
    """
    said = f": {message.text}" if message.text else ""
    what = f"it answered {status}{said}"
    if status in {401, 403, 407}:
        fix = "correct the key" if key else "set OPENAI_API_KEY, or OPENAI_API_KEY_FILE to a file that holds the key"
        return ServerRefused(what, who=who, fix=fix)
    if status in {429, 503}:
        empty = message.code in {"insufficient_quota", "billing_hard_limit_reached"}
        return ServerBusy(
            what, who=who, fix="top the account up" if empty else "try again later, or ask for less at a time",
            status=status, again=not empty and _may_repeat(headers), retry_after_s=retry_after_s(headers),
        )  # fmt: skip
    if status >= 500 or status in _TEMPORARY:
        return ServerFailed(
            what, who=who, fix="see the server's own log",
            status=status, again=status in _TEMPORARY and _may_repeat(headers),
            retry_after_s=retry_after_s(headers),
        )  # fmt: skip
    if status in {404, 405, 410}:
        return _missing(what, message, who)
    return _wrong(what, message, who)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of ``Retry-After``, which holds a number or a date; None: it holds neither."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _may_repeat(headers: Mapping[str, str]) -> bool:
    return headers.get("x-should-retry", "").strip().lower() != "false"


def _missing(what: str, message: ServerMessage, who: str) -> RealTTSError:
    if message.field == "voice":
        return _wrong(what, message, who)
    if message.field == "model" or "model" in f"{message.text} {message.code}".lower():
        fix = "name one of its models behind the address: model='http://HOST:PORT/v1#NAME'"
        return UnknownCheckpoint(what, who=who, fix=fix)
    fix = "check the address: it is what comes before /audio/speech, which most servers have under /v1"
    return ServerRefused(what, who=who, fix=fix)


def _wrong(what: str, message: ServerMessage, who: str) -> InputError:
    """Return the error for a request that the server does not take, by the field at fault."""
    field, subject = message.field, f"{message.code} {message.text}".lower()
    if field == "voice" or (not field and re.search(r"\b(voice|speaker)\b", subject)):
        return VoiceNotFound(what, who=who, fix="choose one of RealProvider.voices()")
    if field in {"language", "lang_code"}:
        return UnknownLanguage(what, who=who, fix="give a language that the model speaks, or none")
    if field == "model" or (not field and re.search(r"\bmodel\b.*\b(not|unsupported|unknown|invalid)\b", subject)):
        return UnknownCheckpoint(what, who=who, fix="name one of its models behind the address: #NAME")
    if field == "input":
        return TextError(what, who=who, fix="change the text")
    fix = "change what the server complains of"
    return InvalidOption(what, who=who, fix=fix, argument=_ARGUMENTS.get(field, field))


def _of_value(value: Any) -> ServerMessage:
    if isinstance(value, list) and value:  # FastAPI lists every field at fault
        first = value[0]
        if isinstance(first, dict):
            places = [str(place) for place in _as_list(first.get("loc")) if place != "body"]
            text = f"{'.'.join(places)}: {first.get('msg', '')}" if places else str(first.get("msg", first))
            return ServerMessage(_line(text), places[0] if places else "", str(first.get("type", ""))[:80])
        return ServerMessage(_line(str(first)))
    if isinstance(value, dict):
        words = next((value[name] for name in ("message", "error", "detail", "msg") if value.get(name)), value)
        code = value.get("code") or value.get("type") or ""
        return ServerMessage(_line(str(words)), str(value.get("param") or "")[:80], str(code)[:80])
    return ServerMessage(_line(str(value)))


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _page_title(text: str) -> str:
    """Return the title of a page, which says more than its first characters; other text as it is."""
    if not text.lstrip().lower().startswith(("<!doctype", "<html", "<head")):
        return text
    title = _TITLE.search(text[:20_000])
    return f"an HTML page, {title[1].strip()!r}" if title else "an HTML page"


def _line(text: str) -> str:
    """Return a text as one line that can be shown, without what controls a terminal."""
    shown = "".join(char if char.isprintable() else " " for char in text[: 4 * _MOST_CHARS])
    return " ".join(shown.split())[:_MOST_CHARS].rstrip(".")
