"""The conformance suite on both variants, short and without guidance; test_plain and test_optimized have guidance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tiers import OF_THE_CORE

from realtts.contract.spec import ProviderSpec
from realtts.testing import ContinuousConformance, OptimizedConformance, ProviderConformance
from realtts.testing.device import live_tensors
from realtts_f5 import spec as f5

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Plain(ProviderConformance):
    """Everything that a provider must do, of the variant around upstream's networks."""

    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Recordings of two seconds and chunks of six: most of a request's work is its recording's frames.

        In a folder of their own, because cut recordings are kept on disk, where other tests would find them.
        """
        monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path))
        monkeypatch.setattr("realtts_f5.clips._MOST_MS", 2000)
        monkeypatch.setattr("realtts_f5.frontend._ALTOGETHER_S", 6)

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
        """Eight short sentences: three chunks."""
        return " ".join(f"This is number {n}." for n in range(1, 9))


@pytest.mark.full  # by default test_plain compares this variant with upstream
class TestPlain(Plain):
    """The plain variant."""


class TestOptimized(ContinuousConformance, OptimizedConformance, Plain):
    """The variant that is used by default."""

    full = OF_THE_CORE | {
        "test_safe_settings_give_float32_to_the_bit",  # by default: test_w8a8
        "test_graphs_sound_the_same",  # by default: test_solver_graphs
        "test_offloading_sounds_the_same",  # by default: test_stages.test_the_status_tells_what_was_done
        "test_the_status_names_the_kernel_of_attention",  # by default: test_stages.test_the_status_tells_what_was_done
    }  # fmt: skip

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own."""
        return f5

    @pytest.fixture
    def encoder(self) -> str:
        """What cuts its silences off."""
        return "realtts_f5.voices.clipped"

    @pytest.mark.slow
    def test_unload_frees_everything(self, fast: Callable[..., Any]) -> None:
        """A hundred requests; by default: `test_a_few_requests_leave_nothing`."""
        super().test_unload_frees_everything(fast)

    def test_a_few_requests_leave_nothing(self, fast: Callable[..., Any]) -> None:
        """No tensor of the provider or of what it said outlives it."""
        speaker = fast()
        speaker.say(0.5)
        speaker.provider.unload()  # the first use fills caches that stay
        before = live_tensors()
        speaker.say(0.5)
        speaker.live(0.25)
        speaker.provider.unload()
        assert live_tensors() == before
