"""A load on a speech server that OpenAI's clients speak with: ours, or anybody else's."""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from realtts.bench.facts import machine_facts
from realtts.bench.load_drive import drive
from realtts.bench.load_results import figures_of, load_record
from realtts.bench.load_source import Mix, Order
from realtts.bench.load_target import Account
from realtts.bench.runner import described
from realtts.errors import InvalidOption, RealTTSError
from realtts.settings_sources import resolve_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from realtts.bench.load_source import Load
    from realtts.bench.workload import Workload

__all__ = ["ServerRefusedError", "ServerTarget", "run_server_load"]

DEFAULT_VOICE = "alloy"
_PCM_BYTES_PER_S = 24_000 * 2
_BLOCK = 1 << 16
_TIMEOUT_S = 600.0
_LONGEST_MESSAGE = 300


class ServerRefusedError(RealTTSError):
    """The server answered with an error, or cannot be reached."""


@dataclass(frozen=True)
class _Part:
    """A part of the audio.

    Attributes:
        duration: Seconds.
    """

    duration: float


class ServerTarget:
    """A server with ``POST /audio/speech``.

    Args:
        url: What comes before that, such as ``http://127.0.0.1:8000/v1``.
        model: What it calls the model.
        key: API key; empty: none is sent.

    Raises:
        InvalidOption: The URL is none of http or https.
    """

    def __init__(self, url: str, model: str, *, key: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            fix = "give what comes before /audio/speech, such as http://127.0.0.1:8000/v1"
            raise InvalidOption(f"--url is {url!r:.100}", who="realtts bench", fix=fix)
        self._url, self._model, self._key = parts, model, key

    def speak(self, order: Order) -> Generator[_Part, None, Account]:
        """Yield the audio of a request as it comes.

        Raises:
            ServerRefusedError: The server answered with an error, cannot be reached, or ended half-way.
        """
        connection = self._connection()
        try:
            connection.request("POST", f"{self._url.path.rstrip('/')}/audio/speech", self._body(order), self._headers())
            answer = connection.getresponse()
            if answer.status != 200:
                raise self._refused(f"it answered {answer.status}: {_message(answer.read(_BLOCK))}")
            while data := answer.read1(_BLOCK):
                yield _Part(len(data) / _PCM_BYTES_PER_S)
        except (OSError, http.client.HTTPException) as error:
            raise self._refused(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()
        return Account()

    def _connection(self) -> http.client.HTTPConnection:
        secure = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        return kind(str(self._url.hostname), self._url.port, timeout=_TIMEOUT_S)

    def _body(self, order: Order) -> bytes:
        body = {
            "model": self._model,
            "input": order.text,
            "voice": order.voice or DEFAULT_VOICE,
            "response_format": "pcm",
        }
        return json.dumps(body).encode()

    def _headers(self) -> dict[str, str]:
        headers = {"content-type": "application/json"}
        return {**headers, "authorization": f"Bearer {self._key}"} if self._key else headers

    def _refused(self, what: str) -> ServerRefusedError:
        fix = "check --url, --model and --voices, and OPENAI_API_KEY where it asks for a key"
        return ServerRefusedError(what[:_LONGEST_MESSAGE], who=self._url.geturl(), fix=fix)


def run_server_load(
    url: str,
    model: str,
    workload: Workload,
    load: Load,
    *,
    voices: Sequence[str] = (),
    label: str = "",
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Put the load of many callers on a speech server.

    The key is that of the variable ``OPENAI_API_KEY``. The first text is spoken once before, with each voice.

    Args:
        url: As of `ServerTarget`.
        model: What the server calls the model.
        workload: Texts; what is not English is left to the server's judgement.
        load: How many callers there are, for how long.
        voices: One of which each request has; none: ``"alloy"``.
        label: For the record.
        tell: Receives lines of progress.

    Returns:
        The record, as that of `run_load` with the one contender ``server``; JSON-able.

    Raises:
        InvalidOption: The URL cannot be one.
        ServerRefusedError: The first request fails.
    """
    target = ServerTarget(url, model, key=os.environ.get("OPENAI_API_KEY", ""))
    tell = tell or (lambda _: None)
    voices = tuple(voices) or (DEFAULT_VOICE,)
    for voice in voices:
        tell(f"server: a first pass with {voice}")
        for _ in target.speak(Order(0, workload.texts[0].text, voice=voice)):
            pass
    mix, rounds = Mix(workload.texts, voices, load.seed), []
    for part in range(load.rounds):
        tell(f"server: round {part + 1} of {load.rounds}")
        rounds.append(drive(target, mix, load, part))
    results = {"server": {"asked": "server", "variant": None, "rung": None, "details": {}, "checkpoint": model,
                          "attempts": [], **figures_of(rounds),
                          "memory": {"rss_peak": None, "rss_growth": None, "device_peak": None}}}  # fmt: skip
    return load_record(
        results,
        load,
        label=label,
        provider=f"{model} at {url}",
        isolated=None,
        workload={**described(workload), "random_weights": None, "interleaved": False, "voices": list(voices)},
        machine=machine_facts(resolve_settings().settings, {}),
        ratios={},
    )


def _message(content: bytes) -> str:
    """Return what an answer says: the message of an error in OpenAI's form, else its beginning."""
    try:
        return str(json.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return content[:_LONGEST_MESSAGE].decode(errors="replace").strip()
