r"""Many clients of the HTTP server at once: every answer right or typed, memory and descriptors level.

Run it from the root of the repository, in an environment with ``plugins/espeak`` and ``servers/http``::

    python benchmarks/http_storm.py [--seconds 120] [--clients 64] [--provider espeak] [--model FOLDER]

The server runs in a process of its own. Most clients want a speech, as bytes, as events or over a WebSocket; the others
send what is wrong or meant to harm (`http_hostile`), read slowly, or go away: in the middle of their request, before
the answer, and behind its first bytes. What each text sounds like is asked once before, alone, with the same seed. The
last line is JSON; the exit code is 1 when an answer was wrong or of no type, when a client hung, or when memory or
descriptors grew.
"""

from __future__ import annotations

import argparse
import base64
import collections
import contextlib
import http.client
import json
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO, TYPE_CHECKING, Any

import psutil

from http_hostile import HOSTILE_KINDS, HostileClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

__all__ = ["Client", "Storm", "Watch", "main"]

TEXTS = [f"Number {n}{' and more' * (n % 5)}." for n in range(24)]
PATH = "/v1/audio/speech"
WRONG: dict[str, tuple[dict[str, Any], int]] = {
    "missing_field": ({"input": None}, 400),
    "invalid_value": ({"speed": 99}, 400),
    "model_not_found": ({"model": "nobody"}, 404),
    "voice_not_found": ({"voice": "../../etc/passwd"}, 400),
    "blank_text": ({"input": " "}, 400),
}
"""Faults of a request by name: the fields, and the status of the answer."""
KINDS = {
    "whole": 30, "events": 12, "mp3": 8, "wrong": 10, "slow": 5, "half": 4, "unread": 4, "behind": 4, **HOSTILE_KINDS
}  # fmt: skip
"""What clients do, out of 100 requests."""
_TIMEOUT_S = 120.0
_ANSWERED = {429, 503}
_MOST_GROWTH_MB, _MOST_DESCRIPTORS = 32.0, 16


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--provider", default="espeak")
    parser.add_argument("--model", help="checkpoint of the provider, such as a folder of random weights")
    arguments = parser.parse_args()
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, "-m", "realtts", "serve", arguments.provider, "--port", "0"]
        command += ["--model", f"{arguments.provider}={arguments.model}"] if arguments.model else []
        server = subprocess.Popen(command, stderr=log, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
        try:
            storm = Storm(port_of(log))
            with Watch(server.pid) as watch:
                counts = storm.run(arguments.clients, arguments.seconds)
            settled, figures = watch.settled(), watch.figures()
            alive = server.poll() is None
        finally:
            server.terminate()
            server.wait(60)
    about = {
        "benchmark": "http_storm",
        "clients": arguments.clients,
        "seconds": arguments.seconds,
        "answers": dict(sorted(counts.items())),
        "total_ms": storm.percentiles(),
        "server": figures,
        "descriptors_afterwards": settled,
        "faults": storm.faults[:20],
    }
    print(json.dumps(about))
    growth = figures["growth_mb"] > _MOST_GROWTH_MB or settled["growth"] > _MOST_DESCRIPTORS
    sys.exit(1 if storm.faults or growth or not alive else 0)


def port_of(log: IO[str]) -> int:
    """Wait for the line that says where the server listens."""
    for _ in range(600):
        log.seek(0)
        listening = re.search(r"listening on http://[\d.]+:(\d+)", log.read())
        if listening:
            return int(listening[1])
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def body_of(n: int, **fields: Any) -> bytes:
    """Return the body of a request for a text; a field that is None is left out."""
    body = {"model": "tts-1", "voice": "alloy", "input": TEXTS[n], "seed": n, "response_format": "pcm", **fields}
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


class Client:
    """One client with the connection that it keeps.

    Args:
        port: Of the server.
        expected: The audio of each text.
        draw: Which requests it sends.
    """

    def __init__(self, port: int, expected: list[bytes], draw: random.Random) -> None:
        self._port, self._expected, self._draw = port, expected, draw
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        self._hostile = HostileClient(port, draw)

    def request(self) -> str:
        """Send one request and judge the answer; return what became of it.

        Raises:
            AssertionError: The answer is wrong.
        """
        kind = self._draw.choices(list(KINDS), list(KINDS.values()))[0]
        n = self._draw.randrange(len(TEXTS))
        if kind == "socket":
            return self._hostile.socket(TEXTS[n], self._expected[n], n)
        if kind == "socket_left":
            return self._hostile.socket_left(TEXTS[n], n)
        if kind in HOSTILE_KINDS:
            harm: Callable[[], str] = getattr(self._hostile, kind)
            return harm()
        doing: Callable[[int], str] = getattr(self, f"_{kind}")
        return doing(n)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _whole(self, n: int) -> str:
        status, content = self._ask(body_of(n))
        return self._judged(status, content, content == self._expected[n], "whole")

    def _events(self, n: int) -> str:
        status, content = self._ask(body_of(n, stream_format="sse"))
        events = [json.loads(line[6:]) for line in content.splitlines() if line.startswith(b"data: ")]
        audio = b"".join(base64.b64decode(event.get("audio", "")) for event in events)
        right = audio == self._expected[n] and events[-1]["type"] == "speech.audio.done"
        return self._judged(status, content, right, "events")

    def _mp3(self, n: int) -> str:
        status, content = self._ask(body_of(n, response_format="mp3"))
        return self._judged(status, content, len(content) > 1000, "mp3")

    def _wrong(self, n: int) -> str:
        code = self._draw.choice(list(WRONG))
        fields, wanted = WRONG[code]
        status, content = self._ask(body_of(n, **fields))
        if status in _ANSWERED:
            return self._judged(status, content, False, "")
        error = json.loads(content)["error"]
        assert (status, error["code"]) == (wanted, code), f"{code}: {status} {content[:200]!r}"
        assert error["type"] == "invalid_request_error", content
        assert "Fix: " in error["message"], content
        return "refused"

    def _slow(self, n: int) -> str:
        self._connection.request("POST", PATH, body_of(n), {"content-type": "application/json"})
        answer = self._connection.getresponse()
        content = b""
        while part := answer.read1(8192):
            content += part
            time.sleep(0.02)
        answer.read()  # http.client lets the connection be used again behind this alone
        return self._judged(answer.status, content, content == self._expected[n], "slow")

    def _half(self, n: int) -> str:
        """Go away in the middle of the request."""
        self._send_and_leave(body_of(n)[:-5])
        return "left"

    def _unread(self, n: int) -> str:
        """Go away before the answer."""
        self._send_and_leave(body_of(n))
        return "left"

    def _behind(self, n: int) -> str:
        """Go away behind the first bytes of the answer, with a reset."""
        self._connection.request("POST", PATH, body_of(n, input=TEXTS[n] * 20), {"content-type": "application/json"})
        answer = self._connection.getresponse()
        answer.read1(1000)
        assert answer.status == 200 or answer.status in _ANSWERED, answer.status
        self._connection.close()
        return "left"

    def _send_and_leave(self, body: bytes) -> None:
        length = len(body) + 5 * (body[-1:] != b"}")
        head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}"
        with socket.create_connection(("127.0.0.1", self._port), timeout=_TIMEOUT_S) as connection:
            connection.sendall(head.encode() + b"\r\n\r\n" + body)
            time.sleep(self._draw.random() * 0.05)

    def _ask(self, body: bytes) -> tuple[int, bytes]:
        self._connection.request("POST", PATH, body, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status in _ANSWERED:
            assert answer.headers["retry-after"], content
        return answer.status, content

    def _judged(self, status: int, content: bytes, right: bool, kind: str) -> str:
        """Return what became of a request that should have been spoken."""
        if status in _ANSWERED:
            assert json.loads(content)["error"]["code"] in {"busy", "too_many_requests"}, content
            return "busy"
        assert status == 200, f"{kind}: {status} {content[:200]!r}"
        assert right, f"{kind}: other audio, {len(content)} bytes"
        return kind


class Storm:
    """Clients of one server, and what came of their requests.

    Args:
        port: Of the server.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._seconds: list[float] = []
        self.counts: collections.Counter[str] = collections.Counter()
        self.faults: list[str] = []
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        self._expected = []
        for n in range(len(TEXTS)):
            connection.request("POST", PATH, body_of(n), {"content-type": "application/json"})
            self._expected.append(connection.getresponse().read())
        connection.close()

    def run(self, clients: int, seconds: float) -> collections.Counter[str]:
        """Let so many clients send requests until the time is over; return what became of them."""
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self._send, args=(n, end), daemon=True) for n in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()) + _TIMEOUT_S)
        hanging = sum(thread.is_alive() for thread in threads)
        if hanging:
            self.faults.append(f"{hanging} clients hang")
        return self.counts

    def percentiles(self) -> dict[str, float]:
        """Return how long speeches took, from the request to the last byte, in milliseconds."""
        steps = statistics.quantiles(self._seconds, n=100) if len(self._seconds) > 1 else [0.0] * 99
        return {name: round(1000 * steps[place - 1], 1) for name, place in (("p50", 50), ("p95", 95), ("p99", 99))}

    def _send(self, number: int, end: float) -> None:
        client = Client(self._port, self._expected, random.Random(number))  # noqa: S311 - which requests come
        with contextlib.closing(client):
            while time.monotonic() < end:
                began = time.monotonic()
                try:
                    became = client.request()
                except Exception as error:
                    became = "fault"
                    client.close()
                    with self._lock:
                        self.faults.append(f"{type(error).__name__}: {error}"[:300])
                taken = time.monotonic() - began
                with self._lock:
                    self.counts[became] += 1
                    if became in {"whole", "events", "mp3"}:
                        self._seconds.append(taken)


class Watch:
    """Memory and descriptors of the server, once a second.

    Args:
        pid: Its process.
    """

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._before = self._process.num_fds()
        self._samples: list[tuple[float, int]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def figures(self) -> dict[str, float]:
        """Return the largest memory and how much more the last third took than the middle one in MiB, and more."""
        memory = [memory for memory, _ in self._samples]
        third = max(1, len(memory) // 3)
        growth = statistics.median(memory[-third:]) - statistics.median(memory[third : 2 * third] or memory)
        descriptors = max(count for _, count in self._samples)
        cpu = self._process.cpu_times()
        return {
            "most_mb": round(max(memory), 1),
            "growth_mb": round(growth, 1),
            "most_descriptors": descriptors,
            "cpu_s": round(cpu.user + cpu.system, 1),
        }

    def settled(self) -> dict[str, int]:
        """Return the descriptors afterwards, as soon as they are as few as before, within some seconds."""
        count = self._process.num_fds()
        for _ in range(100):
            if count <= self._before:
                break
            time.sleep(0.1)
            count = self._process.num_fds()
        return {"before": self._before, "after": count, "growth": count - self._before}

    def _look(self) -> None:
        while True:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._samples.append((self._process.memory_info().rss / 2**20, self._process.num_fds()))
            if self._over.wait(1.0):
                return


if __name__ == "__main__":
    main()
