"""A real worker without a process: its server runs in a thread at the other end of a socket pair."""

import contextlib
import socket
import threading

from realtts.wire.channel import Channel, ChannelClosed, Kind
from realtts.wire.reading import Hello, outgoing
from realtts.worker import server
from realtts.worker.server import Server

server.leave = lambda: None  # for good: it would end this process, and the reading thread may outlive its test


class ThreadWorker:
    """What `realtts.isolation.process.WorkerProcess` is for a process. `die` ends it as a crash does."""

    def __init__(self):
        import importlib.metadata

        ours, theirs = socket.socketpair()
        self.pid = 0
        self.channel = Channel(ours)
        self._theirs = theirs
        self._over = threading.Event()
        self._version = importlib.metadata.version("realtts")
        threading.Thread(target=self._serve, name="worker", daemon=True).start()

    def exited(self):
        return self._over.is_set()

    def wait(self, seconds):
        return self._over.wait(min(seconds, 0.1))

    def die(self):
        self._over.set()
        with contextlib.suppress(OSError):
            self._theirs.shutdown(socket.SHUT_RDWR)

    kill = die

    def end(self):
        self.die()
        self.channel.close()
        self._theirs.close()
        return -9

    def last_lines(self):
        return ()

    def memory(self):
        return 1 << 20

    def _serve(self):
        channel = Channel(self._theirs)

        def report(event):
            with contextlib.suppress(ChannelClosed):
                channel.send(Kind.EVENT, outgoing(event))

        with contextlib.suppress(ChannelClosed):
            channel.send(Kind.HELLO, outgoing(Hello(self._version, "3")))
            Server(channel, report).serve()
        self._over.set()
