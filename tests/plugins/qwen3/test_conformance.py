"""The conformance suite on both variants."""

from __future__ import annotations

from collections.abc import Callable
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
from realtts.testing.device import live_tensors
from realtts_qwen3 import plain, spec as qwen3
from realtts_qwen3.testing import write_random_checkpoint
from realtts_qwen3.upstream import why_not


@pytest.fixture(scope="module")
def ending(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with speakers that ends by itself after some frames."""
    folder = tmp_path_factory.mktemp("ends")
    write_random_checkpoint(folder, model="0.6b-custom-voice", eos_bias=3.0)
    return folder


class Plain(ProviderConformance):
    """Everything that a provider must do."""

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own, without its optimized variant, as far as this checkpoint goes: it does not clone."""
        return replace(qwen3, optimized=None, capabilities=qwen3.capabilities - {"clone"})

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
        return {"max_new_tokens": 5}


@pytest.mark.full
@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
class TestUpstream(Plain):
    """The plain variant around qwen-tts itself, whose frames take long; in the default set `test_plain` has it."""


@pytest.mark.full  # by default test_plain and test_ported compare this variant with upstream
class TestPorted(Plain):
    """The plain variant without qwen-tts."""

    @pytest.fixture(autouse=True)
    def _not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(plain, "why_not", lambda: "it takes too long here")


class TestOptimized(Plain):
    """The same of the optimized variant."""

    # By default: test_fallback_says_the_same_as_plain, and the recorded rows of test_network and test_continuous.
    full = frozenset({"test_fault_falls_back_to_plain", "test_graphs_sound_the_same"})

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own, as far as this checkpoint goes."""
        return replace(qwen3, capabilities=qwen3.capabilities - {"clone"})

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        """Only float32 promises that a batch equals its requests."""
        return {"device": "cpu", "threads": 1, "dtype": "float32", "quantization": "none"}


class TestCloning(OptimizedConformance, SpeakingTests, ConformanceFixtures):
    """What a model that speaks only with the voice of a recording can show of the suite: its parts about speech."""

    test_clones = None  # every test here clones

    @pytest.fixture
    def text(self) -> str:
        """Shorter than the suite's: every character is a frame where lengths are forced."""
        return "Hello you."

    @pytest.mark.full
    def test_unload_frees_everything(self, fast: Callable[..., Any]) -> None:
        """More than a hundred requests."""
        super().test_unload_frees_everything(fast)

    def test_a_few_requests_leave_nothing(self, fast: Callable[..., Any]) -> None:
        """The same of three: no tensor is left of them, and none of the provider when it is unloaded."""
        speaker = fast()

        def speak(seed: int) -> None:
            speaker.say(0.5, seed=seed)
            speaker.live(0.25, seed=seed)

        speak(0)
        speaker.provider.unload()
        unloaded = live_tensors()
        speak(1)
        loaded = live_tensors()
        speak(2)
        assert live_tensors() == loaded
        speaker.provider.unload()
        assert live_tensors() == unloaded

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own, as far as this checkpoint goes."""
        return replace(qwen3, capabilities=qwen3.capabilities - {"voices"})

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
        return "realtts_qwen3.model.PortedEncoders"
