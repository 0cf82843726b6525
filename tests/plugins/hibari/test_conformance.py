"""The conformance suite, without any tolerance: equal requests give equal bits."""

from __future__ import annotations

import pytest

import realtts_hibari
from realtts.contract.spec import ProviderSpec
from realtts.testing import ProviderConformance


class TestHibari(ProviderConformance):
    """Everything that a provider must do."""

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own."""
        return realtts_hibari.spec

    @pytest.fixture
    def tolerance(self) -> float:
        """The noise comes from the seed, and one thread adds up in one order."""
        return 0.0

    @pytest.fixture
    def settings(self) -> dict[str, object]:
        """One thread, whatever the machine has."""
        return {"threads": 1}

    @pytest.fixture
    def long_text(self) -> str:
        """Six sentences."""
        return " ".join(
            f"This is sentence {n}, and it is long enough." for n in ("one", "two", "three", "four", "five", "six")
        )
