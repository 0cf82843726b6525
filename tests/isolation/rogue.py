"""A plugin that only the tests' environment has: it behaves as badly as it is asked to."""

import logging
import os
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from realtts import Chunk, Event, Options, ProviderSpec, VoiceInfo, errors, hookimpl
from realtts.wire.channel import PROTOCOL

RATE = 16_000


class RogueOptions(Options):
    """What it should do, after so many chunks."""

    do: Literal[
        "speak", "die", "crash", "hang", "print", "garbage", "large", "stranger", "fail", "refuse", "poison", "swell"
    ] = Field("speak", description="What to do.")
    after: int = Field(0, ge=0, description="Chunks before that.")
    even: int = Field(0, description="An even number.")
    odd: str = Field("", description="An exception that the optimized variant raises, of `ODD`.")
    seconds: float = Field(0.1, gt=0, le=60, description="Length of a chunk.")

    @field_validator("even")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("it is odd")
        return value


class Speechless(Exception):
    """Its text raises."""

    def __str__(self):
        raise ValueError("no text")


class Panic(BaseException):
    """As compiled code raises it."""


ODD = {
    "speechless": Speechless,
    "panic": lambda: Panic("index out of bounds"),
    "exit": lambda: SystemExit(5),
    "huge": lambda: RuntimeError("x" * 3_000_000),
    "surrogate": lambda: RuntimeError("a\ud800b"),
    "generator": GeneratorExit,
    "interrupt": KeyboardInterrupt,
}


class Boom(RuntimeError):
    """An error that nobody else knows."""


def voices_of(checkpoint):
    """The fake provider's voices as its plugin names them; of some checkpoints it cannot."""
    match checkpoint and checkpoint.name:
        case "silent":
            return None
        case "damaged":
            raise OSError("no such file")
        case "deadly":
            die()
    return [VoiceInfo("low", "Low", "en", "male", aliases=("bass",)), VoiceInfo("high", "High", "en", "female")]


class Rogue:
    """The plain variant; dies once while it loads if a file says so."""

    @hookimpl
    def load(self, context):
        flag = os.environ.get("ROGUE_LOAD", "")
        if flag and Path(flag).exists():
            Path(flag).unlink()
            die()
        logging.getLogger("rogue.package").warning("weights are %s", "old")
        context.report(Event("rogue.loaded", data={"path": Path("weights")}))
        return {"pid": os.getpid()}

    @hookimpl
    def generate(self, context, model, request):
        options = request.options
        for index, _ in enumerate(request.text.split()):
            if index == options.after:
                act(options.do, request)
            if request.cancelled():
                return
            samples = np.full(int(RATE * options.seconds), 0.1 + (index % 7) / 100, np.float32)
            yield Chunk(samples, RATE, tokens=1)


class FastRogue(Rogue):
    """The optimized variant: the only one that poisons its process or crashes, which it can also do while it warms."""

    @hookimpl
    def warmup(self, context, model):
        if os.environ.get("ROGUE_WARMUP"):
            crash()

    @hookimpl
    def generate(self, context, model, request):
        if request.options.do == "poison":
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if request.options.odd:
            error = ODD[request.options.odd]()
            raise error
        for number, chunk in enumerate(Rogue.generate(self, context, model, request)):
            if request.options.do == "crash" and number == request.options.after:
                crash()
            yield chunk


spec = ProviderSpec(
    name="rogue",
    summary="Behaves badly",
    sample_rates=(RATE,),
    plain="rogue:Rogue",
    optimized="rogue:FastRogue",
    options=RogueOptions,
    max_chars=None,
    max_seconds_per_char=100.0,
)


def die():
    """End as by the system's own hand."""
    sys.stderr.write("these are my last words\n")
    os.kill(os.getpid(), signal.SIGKILL)


def crash():
    """End as a library does that reaches for memory which it has not."""
    sys.stderr.write("a kernel went astray\n")
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)  # the signal comes at once, to whichever thread


def act(what, request):
    """Do it."""
    channel = int(sys.argv[sys.argv.index("--fd") + 1]) if "--fd" in sys.argv else -1
    if what == "die":
        die()
    elif what == "hang":
        logging.getLogger("rogue.package").warning("hanging")
        time.sleep(3600)
    elif what == "print":
        sys.stdout.write("noise on standard output\n" * 2000)
        os.write(1, b"\x00\xffraw noise without a line's end")
    elif what == "garbage":
        os.write(channel, b"I am a line that some package has printed\n")
    elif what == "large":
        os.write(channel, struct.pack("!4sBBxxII", b"rtts", PROTOCOL, 4, 10, 2**31))
    elif what == "stranger":
        os.write(channel, struct.pack("!4sBBxxII", b"rtts", PROTOCOL, 4, 2, 0) + b"{}")
    elif what == "fail":
        raise Boom("it went wrong")
    elif what == "refuse":
        raise errors.UnspeakableText("it cannot say this", who="rogue", fix="say something else")
    elif what == "swell":
        swollen = np.ones(1 << 26, np.float64)  # half a gibibyte
        while not request.cancelled():
            time.sleep(0.05)
        del swollen
