"""The conformance suite on both variants."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from realtts.contract.spec import ProviderSpec
from realtts.testing import OptimizedConformance, ProviderConformance
from realtts_f5 import spec as own

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TestPlain(ProviderConformance):
    """Everything that a provider must do."""

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own, without its optimized variant."""
        return replace(own, optimized=None)

    @pytest.fixture
    def model(self, folders: Callable[[str], Path]) -> Path:
        """The newest configuration, tiny."""
        return folders("f5-v1-base")

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        """Tiny networks gain nothing from threads."""
        return {"device": "cpu", "threads": 1}

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Few steps: it is not the sound that is judged; and in a stream the chunks of the whole."""
        return {"nfe_step": 4, "short_first_chunk": False}


class TestOptimized(OptimizedConformance, TestPlain):
    """The variant that is used by default."""

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own."""
        return own

    @pytest.fixture
    def encoder(self) -> str:
        """What cuts its silences off."""
        return "realtts_f5.voices.clipped"
