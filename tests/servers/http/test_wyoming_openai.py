"""wyoming-openai between a client of Wyoming and the server with espeak, unchanged, as its command runs it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from realtts import RealProvider

pytest.importorskip("wyoming_openai")

pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("default")]  # the client's own are not ours to mend

TEXT = "The train leaves at seven."


class Bridge:
    """The bridge as a process, with its address."""

    def __init__(self, process, port):
        self.process, self.port = process, port


@contextlib.contextmanager
def bridge(url, *options):
    """Run the bridge until the end of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "wyoming_openai", "--uri", f"tcp://127.0.0.1:{port}"]
    command += ["--tts-openai-url", f"{url}/v1", "--log-level", "DEBUG", *options]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True)
        try:
            yield Bridge(process, port)
        finally:
            process.terminate()
            process.wait(20)
            log.seek(0)
            print(log.read())


async def connected(running):
    """A client of the bridge, once it listens."""
    from wyoming.client import AsyncTcpClient

    for _ in range(600):
        client = AsyncTcpClient("127.0.0.1", running.port)
        try:
            await client.connect()
        except OSError:
            assert running.process.poll() is None, "the bridge ended"
            await asyncio.sleep(0.05)
        else:
            return client
    raise AssertionError("it never listened")
