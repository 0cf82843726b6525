"""A provider that a test holds at any step, and that notes what it did: no test has to guess how far it is."""

from __future__ import annotations

import threading

import numpy as np

from realtts import Chunk, VoiceInfo, hookimpl
from realtts.testing import fake_spec

RATE = 16_000
WORD_S, LONG_S = 0.1, 10.0
"""How long a word lasts, and the word "long"."""


class Steps:
    """What happens in the model.

    Attributes:
        spoken: Words whose audio was made.
        loads: How often it was loaded.
        waiting: Set when the model waits for a permit.
        stopped: Set when a request was seen to be cancelled.
        allowed: A permit for each word; `free` gives any number.
    """

    def __init__(self):
        self.reset()

    def reset(self):
        """Forget everything, and let nothing be spoken."""
        self.spoken, self.loads = [], 0
        self.waiting, self.stopped = threading.Event(), threading.Event()
        self.allowed = threading.Semaphore(0)
        self._free = threading.Event()

    def free(self):
        """Let everything be spoken."""
        self._free.set()

    def wait(self, cancelled):
        """Wait for a permit; False when the request was cancelled."""
        while not cancelled():
            self.waiting.set()
            if self._free.is_set() or self.allowed.acquire(timeout=0.005):
                self.waiting.clear()
                return True
        self.stopped.set()
        return False


STEPS = Steps()


class Stepping:
    """A tone for each word, when the test allows it."""

    @hookimpl
    def load(self, context):
        """Count."""
        STEPS.loads += 1
        return object()

    @hookimpl
    def generate(self, context, model, request):
        """Yield a chunk per word."""
        for word in request.text.split():
            if not STEPS.wait(request.cancelled):
                return
            if word == "fail":
                raise RuntimeError("out of order")
            STEPS.spoken.append(word)
            seconds = LONG_S if word.startswith("long") else WORD_S
            yield Chunk(np.full(round(RATE * seconds), 0.1, np.float32), RATE)


def voices_of(checkpoint):
    """Two voices of one language, one of all."""
    return [
        VoiceInfo("anna", "Anna", "de", "female", aliases=("anne",)),
        VoiceInfo("ben_1", "Ben", "pt-br"),
        VoiceInfo("cleo", "Cleo"),
    ]


def stepping_spec(**changes):
    """The spec, with any field changed."""
    fields = {
        "name": "stepping",
        "plain": f"{__name__}:Stepping",
        "optimized": None,
        "max_seconds_per_char": LONG_S,
        "voices": f"{__name__}:voices_of",
    }
    return fake_spec(**{**fields, "capabilities": frozenset({"voices", "streaming", "clone"}), **changes})
