"""The conformance suite on both variants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiers import OF_THE_CORE

from realtts.contract.spec import ProviderSpec
from realtts.testing import ContinuousConformance, OptimizedConformance, ProviderConformance, voice_like
from realtts.testing.conformance.fixtures import ConformanceFixtures
from realtts.testing.conformance.life import LifeTests
from realtts.testing.conformance.optimized import _live_tensors_at_rest
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


@pytest.fixture(scope="module")
def cloning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that clones, and ends by itself after some frames."""
    folder = tmp_path_factory.mktemp("clones")
    write_random_checkpoint(folder, model="0.6b-base", eos_bias=3.0)
    return folder


class Speakers(ConformanceFixtures):
    """The fixtures of a model with speakers."""

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
class TestUpstream(SpeakingTests, LifeTests, Speakers):
    """What a request sees of the plain variant around qwen-tts itself; in the default set `test_plain` has it.

    Bad input and faults do not get as far as the variant, or are those of the optimized one, which falls back to this.
    """

    # The core speaks one request after another with this variant.
    test_eight_threads = None


@pytest.mark.full  # by default test_plain and test_ported compare this variant with upstream
class TestPorted(SpeakingTests, Speakers):
    """The plain variant without qwen-tts: what it says."""

    @pytest.fixture(autouse=True)
    def _not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(plain, "why_not", lambda: "it takes too long here")


class TestOptimized(ContinuousConformance, ProviderConformance, Speakers):
    """Everything that a provider must do, of the optimized variant."""

    full = OF_THE_CORE

    @pytest.fixture
    def short_text(self) -> str:
        """A frame for each letter."""
        return "So."

    @pytest.fixture
    def row_text(self) -> str:
        """Several steps of frames, and several chunks of a stream."""
        return "Hello you."

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
    # What they see does not depend on the voice; `TestOptimized` has them.
    test_joins_do_not_click = test_speed_changes_the_length = None
    test_the_status_names_the_kernel_of_attention = None  # `test_optimized` has more of them
    full = frozenset({
        "test_safe_settings_give_float32_to_the_bit",  # by default: those of toylm, on the same toolkit
        "test_graphs_sound_the_same",  # by default: the recorded rows and windows of test_continuous
        "test_offloading_sounds_the_same",  # by default: test_stages.test_the_status_tells_of_offloading
        "test_every_stage_has_a_floor",  # by default: test_codec.test_operations_are_those_that_torch_counts
        "test_a_batch_leaves_no_cache_behind",  # by default: test_a_few_requests_leave_nothing
        "test_a_voice_is_computed_once_for_every_process",  # by default: test_voices.test_prompts_outlive_the_process
        # By default: test_optimized.test_float32_speaks_as_plain, of a clone, as a stream and in a batch too.
        "test_stream_equals_whole",
        "test_batch_equals_single",
        "test_seed_repeats_the_speech",
    })  # fmt: skip

    @pytest.fixture
    def text(self) -> str:
        """Shorter than the suite's: every character is a frame where lengths are forced."""
        return "Hello you."

    @pytest.mark.slow
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
        loaded = _live_tensors_at_rest()  # a caller has its speech before the provider's thread lets go of it
        speak(2)
        assert _live_tensors_at_rest() == loaded
        speaker.provider.unload()
        assert live_tensors() == unloaded

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own, as far as this checkpoint goes."""
        return replace(qwen3, capabilities=qwen3.capabilities - {"voices"})

    @pytest.fixture
    def model(self, cloning: Path) -> Path:
        """It speaks with recordings alone."""
        return cloning

    @pytest.fixture
    def reference(self) -> tuple[NDArray[np.float32], int]:
        """Shorter than the suite's: its frames stand before every speech."""
        return voice_like(1.0)

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
