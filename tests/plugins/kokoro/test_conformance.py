"""The conformance suite, on random weights, without any tolerance."""

from __future__ import annotations

from pathlib import Path

import pytest

import realtts_kokoro
from realtts.contract.spec import ProviderSpec
from realtts.testing import ProviderConformance


class TestKokoro(ProviderConformance):
    """Everything that a provider must do."""

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own."""
        return realtts_kokoro.spec

    @pytest.fixture
    def model(self, english) -> Path:
        """A random one with English voices, which need nothing beyond the plugin."""
        return english

    @pytest.fixture
    def tolerance(self) -> float:
        """Both variants run the same graph, and one thread adds up in one order."""
        return 0.0

    @pytest.fixture
    def settings(self) -> dict[str, object]:
        """One thread, whatever the machine has."""
        return {"threads": 1}
