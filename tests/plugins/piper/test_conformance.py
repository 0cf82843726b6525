"""The conformance suite, on a random voice of three speakers, without any tolerance."""

from __future__ import annotations

from pathlib import Path

import pytest

import realtts_piper
from realtts.contract.spec import ProviderSpec
from realtts.testing import ProviderConformance


class TestPiper(ProviderConformance):
    """Everything that a provider must do."""

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own."""
        return realtts_piper.spec

    @pytest.fixture
    def model(self, voices) -> Path:
        """A random voice."""
        return voices

    @pytest.fixture
    def tolerance(self) -> float:
        """The windows of the optimized variant add up in another order than the plain one's whole."""
        return 1e-5

    @pytest.fixture
    def settings(self) -> dict[str, object]:
        """One thread, whatever the machine has."""
        return {"threads": 1}
