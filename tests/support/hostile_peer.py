"""A worker without a process: a thread at the other end of a socket pair, which may answer as badly as a test likes."""

import contextlib
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

import numpy as np

from realtts.attempt import Attempt
from realtts.contract.stages import StageWork
from realtts.contract.types import VoiceInfo
from realtts.testing.fake import RATE
from realtts.wire.calls import LadderState, Reply, RungState
from realtts.wire.channel import MAGIC, PROTOCOL, Channel, ChannelClosed, ChannelFault, Kind
from realtts.wire.messages import ChunkMessage, samples_to_bytes, to_json
from realtts.wire.reading import Hello
from realtts.wire.rows import RowOutcome

HEADER = struct.Struct("!4sBBHII")
GREETING, SETUP, LOAD, VOICES, STOP = "greeting", "setup", "load", "voices", "stop"
CHUNK, OUTCOME, REPLY = "chunk", "outcome", "reply"
"""Where a worker may misbehave: in its greeting, its answers, a chunk, the end of a row, the reply behind the rows."""


@dataclass
class Outgoing:
    """A frame that is about to be sent, and what is really sent."""

    kind: Kind
    content: dict
    data: bytes = b""
    raw: list[bytes] = field(default_factory=list)

    def frame(self, call, *, kind=None, text=None, data=None, magic=MAGIC, version=PROTOCOL, sizes=None):
        """The bytes of the frame, any part of it replaced."""
        text = json.dumps(self.content, default=str).encode() if text is None else text
        data = self.data if data is None else data
        sizes = sizes or (len(text), len(data))
        return HEADER.pack(magic, version, self.kind if kind is None else kind, call, *sizes) + text + data


def reply(**fields):
    """A reply as it travels."""
    return to_json(Reply(**fields))


def ladder(given_up=0, *, joins=False):
    """The fake provider's ladder, some of its rungs given up."""
    rungs = ("optimized", "plain")
    attempts = tuple(
        Attempt(rung, rung, "generate", "ValueError", "no", "", "Try again.", 0.1, True) for rung in rungs[:given_up]
    )
    name = rungs[min(given_up, 1)]
    live = RungState(name, name, "cpu", "float32", {}, {"load": 0.1}, 8, joins, given_up > 0)
    return LadderState(attempts, dict.fromkeys(range(given_up), True), {"compile": False}, live)


class Peer:
    """What `realtts.isolation.process.WorkerProcess` is for a real worker.

    Args:
        misbehave: Called as ``misbehave(peer, place, outgoing)`` before each frame; True: it has sent what it likes
            instead, or nothing.
        joins: Whether rows may join while others are spoken.
    """

    def __init__(self, misbehave=None, *, joins=False):
        self.joins = joins
        ours, theirs = socket.socketpair()
        self.pid = 0
        self.channel = Channel(ours)
        self.sock = theirs
        self._theirs = Channel(theirs)
        self._misbehave = misbehave or (lambda *_: False)
        self._given_up = 0
        self._over = threading.Event()
        self.killed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="peer", daemon=True)
        self._thread.start()

    @property
    def call(self):
        """The number of the call that is being answered."""
        return self._theirs.call

    def exited(self):
        return self._over.is_set()

    def wait(self, seconds):
        return self._over.wait(min(seconds, 0.1))

    def kill(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.killed.set()  # only now, so that a test that waits for it can send nothing any more

    def end(self):
        self.kill()
        self.channel.close()
        self._thread.join(5)
        return -9

    def last_lines(self):
        return ()

    def memory(self):
        return 1 << 20

    def send(self, place, kind, content, data=b""):
        """Send a frame, unless the test does otherwise."""
        outgoing = Outgoing(kind, content, bytes(data))
        if not self._misbehave(self, place, outgoing):
            self.sock.sendall(outgoing.frame(self.call))

    def _serve(self):
        try:
            self.send(GREETING, Kind.HELLO, to_json(Hello(_version(), "3")))
            while not self._over.is_set():
                frame = self._theirs.receive(None)
                if frame.kind is Kind.CALL:
                    self._answer(frame.content)
        except (ChannelClosed, ChannelFault, OSError):
            pass
        finally:
            self._over.set()
            self.sock.close()

    def _answer(self, call):
        match call["call"]:
            case "setup":
                self._reply(SETUP, versions={"python": "3"})
            case "load":
                self._reply(LOAD, ladder=ladder(self._given_up, joins=self.joins))
            case "voices":
                self._reply(VOICES, voices=(VoiceInfo("high"), VoiceInfo("low")))
            case "give_up":
                self._given_up += 1
                state = ladder(self._given_up)
                self._reply("give_up", ladder=LadderState(state.attempts, state.given_up, {}, None))
            case "speak":
                for row in [self._next(Kind.ROW) for _ in range(call["rows"])]:
                    self._speak(row)
                while call["joins"] and (row := self._next(Kind.ROW, Kind.END)) is not None:
                    self._speak(row)
                self._reply(REPLY)
            case "stop":
                self._reply(STOP)
                self._over.set()

    def _next(self, *kinds):
        """The content of the next frame of these kinds; None for an end."""
        while (frame := self._theirs.receive(None)).kind not in kinds:
            pass
        return None if frame.kind is Kind.END else frame.content

    def _speak(self, content):
        """A chunk of a row, and its end."""
        row = content["row"]
        samples = np.full(400 * max(1, len(content["request"]["text"])), 0.1, np.float32)
        self.send(CHUNK, Kind.CHUNK, to_json(ChunkMessage(row, RATE, (), 1, None, ())), samples_to_bytes(samples))
        self.send(OUTCOME, Kind.OUTCOME, to_json(RowOutcome(row, work={"decode": StageWork(0.1, 3)})))

    def _reply(self, place, **fields):
        fields.setdefault("cache", {"entries": 0})
        self.send(place, Kind.REPLY, reply(**fields))


def once(place, act):
    """Misbehave at the first frame of a place, and never again."""
    done = []

    def misbehave(peer, where, outgoing):
        if where != place or done:
            return False
        done.append(True)
        act(peer, outgoing)
        return True

    return misbehave


def flood(peer, data):
    """Send bytes until nobody takes them any more."""
    while not peer.killed.is_set():
        peer.sock.sendall(data)
    time.sleep(0)


def _version():
    import importlib.metadata

    return importlib.metadata.version("realtts")
