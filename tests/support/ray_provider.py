"""The fake provider with a diary: which process spoke what, and texts that end the process once, or always."""

from __future__ import annotations

import os
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
        """Write down who speaks what; end the process where the text says so."""
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
        yield from FakeProvider.generate(self, context, model, request)


def diary_spec():
    """Return its spec."""
    return fake_spec(name="diary", plain="ray_provider:DiaryProvider", optimized=None)
