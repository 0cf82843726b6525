"""The conformance suite on both variants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from realtts.contract.spec import ProviderSpec
from realtts.testing import OptimizedConformance, ProviderConformance
from realtts.testing.conformance.fixtures import ConformanceFixtures
from realtts.testing.conformance.speaking import SpeakingTests
from realtts_qwen3 import spec as own
from realtts_qwen3.testing import write_random_checkpoint


@pytest.fixture(scope="module")
def ending(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with speakers that ends by itself after some frames."""
    folder = tmp_path_factory.mktemp("ends")
    write_random_checkpoint(folder, model="0.6b-custom-voice", eos_bias=3.0)
    return folder


class TestPlain(ProviderConformance):
    """Everything that a provider must do."""

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own, without its optimized variant, as far as this checkpoint goes: it does not clone."""
        return replace(own, optimized=None, capabilities=own.capabilities - {"clone"})

    @pytest.fixture
    def model(self, ending: Path) -> Path:
        """With speakers."""
        return ending

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        """Tiny networks gain nothing from threads."""
        return {"device": "cpu", "threads": 1}

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Few frames: it is not the sound that is judged."""
        return {"max_new_tokens": 8}


class TestOptimized(TestPlain):
    """The same of the optimized variant."""

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own, as far as this checkpoint goes."""
        return replace(own, capabilities=own.capabilities - {"clone"})

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        """Only float32 promises that a batch equals its requests."""
        return {"device": "cpu", "threads": 1, "dtype": "float32", "quantization": "none"}


class TestCloning(OptimizedConformance, SpeakingTests, ConformanceFixtures):
    """What a model that speaks only with the voice of a recording can show of the suite: its parts about speech."""

    test_clones = None  # every test here clones

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own, as far as this checkpoint goes."""
        return replace(own, capabilities=own.capabilities - {"voices"})

    @pytest.fixture
    def model(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """It clones, and ends by itself after some frames."""
        folder = tmp_path_factory.mktemp("clones")
        write_random_checkpoint(folder, model="0.6b-base", eos_bias=3.0)
        return folder

    @pytest.fixture
    def settings(self, tmp_path: Path) -> dict[str, Any]:
        """Voices are kept in a folder of their own."""
        return {"device": "cpu", "threads": 1, "dtype": "float32", "quantization": "none", "data_dir": str(tmp_path)}

    @pytest.fixture
    def options(self, reference: tuple[NDArray[np.float32], int]) -> dict[str, Any]:
        """A recording with its words."""
        return {"max_new_tokens": 8, "voice": reference, "reference_text": "These are the words."}

    @pytest.fixture
    def encoder(self) -> str:
        """Speaker encoder and the codec's."""
        return "realtts_qwen3.model.OwnEncoders"
