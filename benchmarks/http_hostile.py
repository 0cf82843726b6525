"""What hostile and live clients send, for `http_storm`: bodies that are meant to harm, and WebSockets."""

from __future__ import annotations

import base64
import functools
import http.client
import io
import json
import socket
import time
import zipfile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import soundfile
from websockets.sync.client import connect

if TYPE_CHECKING:
    import random

__all__ = ["HOSTILE_KINDS", "HostileClient"]

HOSTILE_KINDS = {"socket": 8, "socket_left": 3, "large": 1, "bomb": 2, "traversal": 4, "special": 3, "half_open": 2}
"""What these clients do, by weight."""

_SPEECH = "/v1/audio/speech"
_LARGE = 10 << 20
_NAMES = (
    "../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/passwd", "file:///etc/passwd", "....//....//etc/passwd",
    "%2e%2e%2fetc%2fpasswd", "~root/.ssh/id_rsa", "con", "a" * 250, "voice\x00.wav", "\u202e\u0000..", "$(id)", "`id`",
)  # fmt: skip
_SPECIAL = (
    "<|endoftext|> hello", "[INST] hello [/INST]", "<s> hello </s>", "<|im_start|>hello<|im_end|>", "{{hello}} %s %n",
    "<speak>hello</speak>", "hello \u0000 there", "hello\u202e there", "hello \ufdd0 there",
)  # fmt: skip


class HostileClient:
    """The part of a client that means harm, or speaks while it writes.

    Args:
        port: Of the server.
        draw: What it sends.
    """

    def __init__(self, port: int, draw: random.Random) -> None:
        self._port, self._draw = port, draw

    def socket(self, text: str, expected: bytes, seed: int) -> str:
        """Send a text piece by piece over a WebSocket, and compare the audio with that of the whole text."""
        audio = b""
        with connect(self._live_url(), max_size=None, open_timeout=60) as live:
            self._begin(live, seed)
            at = 0
            while at < len(text):
                size = self._draw.randint(1, 9)
                live.send(json.dumps({"type": "speech.text", "id": "a", "text": text[at : at + size]}))
                at += size
            live.send(json.dumps({"type": "speech.end", "id": "a"}))
            while (message := json.loads(live.recv(timeout=120)))["type"] != "speech.done":
                if message["type"] == "error":
                    assert message["error"]["code"] == "busy", message
                    return "busy"
                audio += base64.b64decode(message.get("audio", ""))
        assert audio == expected, f"socket: other audio, {len(audio)} bytes instead of {len(expected)}"
        return "socket"

    def socket_left(self, text: str, seed: int) -> str:
        """Leave a WebSocket in the middle, with or without a word, or send what is no message."""
        with connect(self._live_url(), open_timeout=60) as live:
            self._begin(live, seed)
            live.send(json.dumps({"type": "speech.text", "id": "a", "text": text * 20}))
            last = self._draw.choice(["cancel", "nothing", "garbage", "bytes"])
            if last == "cancel":
                live.send(json.dumps({"type": "speech.cancel", "id": "a"}))
            elif last == "garbage":
                live.send('{"type": "speech.' + "x" * 1000)
            elif last == "bytes":
                live.send(b"\x00" * 1000)
        return "left"

    def large(self) -> str:
        """Send ten million characters: more than a text may have."""
        status, content = self._post({"model": "tts-1", "input": "a" * _LARGE})
        return self._refused(status, content, {400, 413})

    def bomb(self) -> str:
        """Send a small file as a recording that is large once it is unpacked."""
        bomb = self._draw.choice([_zip_bomb, _long_flac, _lying_wave])()
        fields = {"model": "tts-1", "input": "Hello.", "ref_audio": base64.b64encode(bomb).decode()}
        return self._refused(*self._post(fields), {400})

    def traversal(self) -> str:
        """Name a file of the server instead of a voice; nothing of it may come back."""
        name = self._draw.choice(_NAMES)
        if self._draw.random() < 0.3:
            status, content = self._request("DELETE", f"/v1/audio/voices/{quote(name, safe='')}")
            return self._refused(status, content, {400, 404, 405})
        field = self._draw.choice(["voice", "ref_audio"])
        return self._refused(*self._post({"model": "tts-1", "input": "Hello.", field: name}), {400})

    def special(self) -> str:
        """Send what looks like a token or a command: it is text, and spoken or refused as such."""
        status, content = self._post(
            {"model": "tts-1", "input": self._draw.choice(_SPECIAL), "response_format": "pcm", "seed": 1}
        )
        if status == 200:
            assert content, "special: no audio"
            return "special"
        return self._refused(status, content, {400})

    def half_open(self) -> str:
        """Connect, send a part of the head, and say nothing more for a while."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=60) as connection:
            connection.sendall(f"POST {_SPEECH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-".encode())
            time.sleep(self._draw.random() * 3)
        return "left"

    def _live_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}/v1/audio/speech/stream"

    @staticmethod
    def _begin(live: Any, seed: int) -> None:
        start = {"type": "speech.start", "id": "a", "model": "tts-1", "voice": "alloy", "seed": seed}
        live.send(json.dumps(start))

    def _post(self, fields: dict[str, Any]) -> tuple[int, bytes]:
        return self._request("POST", _SPEECH, json.dumps(fields).encode())

    def _request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        try:
            connection.request(method, path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    @staticmethod
    def _refused(status: int, content: bytes, allowed: set[int]) -> str:
        if status in {429, 503}:
            return "busy"
        assert status in allowed, f"hostile: {status} {content[:200]!r}"
        assert b"root:" not in content, content
        assert b"Traceback" not in content, content
        assert json.loads(content)["error"]["code"], content
        return "refused"


@functools.cache
def _zip_bomb() -> bytes:
    """Return 200 MB of zeros in 200 kB."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.wav", "w") as file:
        for _ in range(200):
            file.write(bytes(1 << 20))
    return packed.getvalue()


@functools.cache
def _long_flac() -> bytes:
    """Return half an hour of silence."""
    packed = io.BytesIO()
    soundfile.write(packed, np.zeros(30 * 60 * 8000, np.int16), 8000, format="FLAC")
    return packed.getvalue()


@functools.cache
def _lying_wave() -> bytes:
    """Return a second of noise in a file whose header says that it has two gigabytes."""
    packed = io.BytesIO()
    noise = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1
    soundfile.write(packed, noise, 8000, format="WAV")
    content = bytearray(packed.getvalue())
    content[4:8] = content[40:44] = (0x7FFFFFF0).to_bytes(4, "little")
    return bytes(content)
