"""What holds for the tests of every plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _data_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A user's saved voices and caches are neither seen nor changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REALTTS_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield
