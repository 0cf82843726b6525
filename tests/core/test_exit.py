"""A program that never closes its provider ends in order, with its own exit code, whatever the provider is doing."""

import os
import subprocess
import sys
import textwrap

import pytest

BEGIN = """
import sys, threading, time, logging
from realtts import RealProvider, ProviderSpec, Chunk, hookimpl
from realtts.testing import fake_spec
import numpy as np
from realtts.provider import shutdown

def background(call):
    def quiet():
        try:
            call()
        except BaseException as error:
            print(type(error).__name__, flush=True)
    threading.Thread(target=quiet, daemon=True).start()

def until(condition):
    while not condition():
        time.sleep(0.001)

class Slow:
    steps = []
    @hookimpl
    def load(self, context):
        return object()
    @hookimpl
    def compile(self, context, model):
        self.steps.append("compile")
        time.sleep(0.5)
    @hookimpl
    def warmup(self, context, model):
        print("warmed up", flush=True)
    @hookimpl
    def generate(self, context, model, request):
        while request.text == "deaf":
            time.sleep(0.05)
        yield Chunk(np.full(800, 0.1, np.float32), 8000)
    @hookimpl
    def unload(self, context, model):
        print("unloaded", flush=True)

sys.modules["slow"] = sys.modules["__main__"]
slow = ProviderSpec(name="slow", summary="x", sample_rates=(8000,), plain="slow:Slow")
LONG = "a " * 4000
"""

STATES = {
    "idle": "tts = RealProvider(slow); tts.generate('a')",
    "loaded": "tts = RealProvider(slow).load()",
    "unused": "tts = RealProvider(slow)",
    "loading": "tts = RealProvider(slow); background(tts.load); until(lambda: Slow.steps)",
    "generating": """
tts = RealProvider(fake_spec()).load()
background(lambda: tts.generate(LONG, delay_s=0.05))
until(lambda: tts.get_provider_status()["state"] == "generating")
""",
    "stream half read": "tts = RealProvider(fake_spec()); s = tts.stream(LONG, delay_s=0.01); next(s)",
    "several": """
one = RealProvider(slow); one.generate("a")
two = RealProvider(fake_spec()); s = two.stream(LONG); next(s)
three = RealProvider(slow); background(three.load)
four = RealProvider(fake_spec())
""",
    "task pending": """
import asyncio
tts = RealProvider(fake_spec())
async def main():
    task = asyncio.ensure_future(tts.agenerate(LONG, delay_s=0.01))
    await asyncio.sleep(0.2)
asyncio.run(main())
""",
    "deaf": """
shutdown.EXIT_WAIT_S = 0.3
tts = RealProvider(slow).load()
background(lambda: tts.generate("deaf"))
until(lambda: tts.get_provider_status()["queue"]["running"])
""",
}


def run(state, end):
    """The end of a program in that state."""
    code = textwrap.dedent(BEGIN) + textwrap.dedent(STATES[state]) + end
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=120, check=False
    )


def check(state, end, code):
    """Run, and check how it ended."""
    done = run(state, end)
    assert done.returncode == code, done.stderr
    assert "terminate called" not in done.stderr
    return done


@pytest.mark.parametrize("state", ["loading", "several", "deaf"])
def test_end(state):
    """The exit code is the program's; what was loaded is unloaded, and a load goes no further than its stage."""
    done = check(state, "\nsys.exit(3)", 3)
    if state == "loading":
        assert "warmed up" not in done.stdout
        assert "unloaded" in done.stdout


@pytest.mark.full
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("end", "code"), [("", 0), ("\nsys.exit(3)", 3), ("\nraise RuntimeError('mine')", 1)], ids=["end", "exit", "error"]
)
def test_every_end(state, end, code):
    """From every state, in every way."""
    done = check(state, end, code)
    assert ("mine" in done.stderr) == (code == 1)


@pytest.mark.full
def test_thread_of_the_program_is_awaited():
    """A thread that is no daemon speaks to its end, as Python promises."""
    end = """
import os
tts = RealProvider(fake_spec()).load()  # from Python 3.12 on no thread starts once the main one has ended
threading.Thread(target=lambda: print(tts.generate("a " * 20, delay_s=0.02).finish_reason, flush=True)).start()
"""
    code = textwrap.dedent(BEGIN) + end
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "stop"), done.stderr
