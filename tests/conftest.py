"""Marks that the suite of `realtts.testing`, which others use too, cannot carry itself."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need a GPU are chosen by ``-m gpu``."""
    for item in items:
        if item.name.endswith("_on_a_gpu"):
            item.add_marker("gpu")
