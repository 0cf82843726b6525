"""The fake provider with a diary: which process spoke what, and texts that end the process, or wait for a file."""

from __future__ import annotations

import os
import time
from pathlib import Path

from realtts import hookimpl
from realtts.testing import fake_spec
from realtts.testing.fake import FakeProvider

DIARY = "TEST_DIARY"
"""Environment variable with the file that every process appends to."""


class DiaryProvider(FakeProvider):
    """Tones; each request is a line of the diary before its first one."""

    @hookimpl
    def generate(self, context, model, request):
        """Write down who speaks what; end the process or wait where the text says so."""
        path = Path(os.environ[DIARY])
        with path.open("a") as diary:
            diary.write(f"{os.getpid()} {request.text}\n")
        if request.text.startswith("Die always"):
            os._exit(1)
        if request.text.startswith("Die once"):
            try:
                path.with_name(f"{path.name}.{request.text.split()[2]}").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os._exit(1)
        chunks = FakeProvider.generate(self, context, model, request)
        if request.text.startswith("Wait"):
            yield next(chunks)
            gate = path.with_name(f"{path.name}.{request.text.split()[1]}.open")
            while not (gate.exists() or request.cancelled()):
                time.sleep(0.01)
        yield from chunks


def diary_spec():
    """Return its spec."""
    return fake_spec(name="diary", plain="ray_provider:DiaryProvider", optimized=None)
