"""What the tests of the core share."""

import contextlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the provider that several test files speak with


@pytest.fixture
def begun():
    """Whether bytes of a large file have arrived in a folder of blobs: ``begun(blobs)``.

    Small files, which come first, do not count, and may be renamed while one looks.
    """

    def begun(blobs):
        for path in blobs.glob("*.incomplete"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size > 1000:
                    return True
        return False

    return begun


@pytest.fixture(scope="session", autouse=True)
def _quick_rates():
    """Measure a machine's rates on blocks that are soon read: no test of the core is about the figures themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtts.bench.floor._READ_BYTES", 4 << 20)
        patch.setattr("realtts.bench.floor._BUDGET_S", 0.01)
        yield
