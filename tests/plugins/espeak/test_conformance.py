"""The conformance suite, without any tolerance: equal requests give equal bits."""

from __future__ import annotations

import pytest

import realtts_espeak
from realtts.contract.spec import ProviderSpec
from realtts.testing import ProviderConformance


class TestEspeak(ProviderConformance):
    """Everything that a provider must do."""

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own."""
        return realtts_espeak.spec

    @pytest.fixture
    def tolerance(self) -> float:
        """Nothing is sampled."""
        return 0.0
