"""The conformance suite on both variants: by default short and without guidance, with `full` as it comes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from realtts.contract.spec import ProviderSpec
from realtts.testing import OptimizedConformance, ProviderConformance
from realtts_f5 import spec as f5

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Plain(ProviderConformance):
    """Everything that a provider must do, of the variant around upstream's networks."""

    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Recordings of two seconds and chunks of eight: most of a request's work is its recording's frames.

        In a folder of their own, because cut recordings are kept on disk, where other tests would find them.
        """
        monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path))
        monkeypatch.setattr("realtts_f5.clips._MOST_MS", 2000)
        monkeypatch.setattr("realtts_f5.frontend._ALTOGETHER_S", 8)

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own, without its optimized variant."""
        return replace(f5, optimized=None)

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
        """Few steps of one row: it is not the sound that is judged; and in a stream the chunks of the whole."""
        return {"nfe_step": 4, "cfg_strength": 0.0, "short_first_chunk": False}

    @pytest.fixture
    def long_text(self) -> str:
        """Eight short sentences: two chunks."""
        return " ".join(f"Here comes sentence number {n}." for n in range(1, 9))


@pytest.mark.full  # by default test_plain compares this variant with upstream
class TestPlain(Plain):
    """The plain variant."""


class TestOptimized(OptimizedConformance, Plain):
    """The variant that is used by default."""

    full = frozenset({"test_fault_falls_back_to_plain"})  # by default: test_fallback_says_the_same_as_plain

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own."""
        return f5

    @pytest.fixture
    def encoder(self) -> str:
        """What cuts its silences off."""
        return "realtts_f5.voices.clipped"


class Guided(ProviderConformance):
    """The suite's long text, in more chunks of the usual length, and guidance as it is by default."""

    @pytest.fixture(autouse=True)
    def _short(self) -> None:
        """Nothing is made shorter."""

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Few steps, and in a stream the chunks of the whole."""
        return {"nfe_step": 4, "short_first_chunk": False}

    long_text = ProviderConformance.long_text


@pytest.mark.full
class TestPlainGuided(Guided, Plain):
    """Both rows of every step."""


@pytest.mark.full
class TestOptimizedGuided(Guided, TestOptimized):
    """Both rows of every step."""
