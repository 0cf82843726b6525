"""The conformance suite on both variants.

The optimized one has the whole of it. Of the plain one what it speaks and how it lives is shown with ``nox -t full``:
bad input does not get as far as a variant, and the ladder falls back to it in the suite of the other. Turbo, with
``nox -t full`` too, has what its network changes.
"""

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
from realtts.testing.conformance.speaking import SpeakingTests
from realtts_chatterbox import codec, rows, spec as own
from realtts_chatterbox.testing import write_random_checkpoint


@pytest.fixture(scope="module")
def ending(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that ends by itself after some tokens."""
    folder = tmp_path_factory.mktemp("ends")
    write_random_checkpoint(folder, eos_bias=6.0, f0_bias=120.0)
    return folder


class English(ConformanceFixtures):
    """The fixtures of the variant around upstream's networks."""

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own, without its optimized variant."""
        return replace(own, optimized=None)

    @pytest.fixture
    def model(self, ending: Path) -> Path:
        """English, which ends by itself after some tokens."""
        return ending

    @pytest.fixture
    def text(self) -> str:
        """No longer than a stream of two chunks needs."""
        return "Hello there, my friend."

    @pytest.fixture
    def reference(self) -> tuple[NDArray[np.float32], int]:
        """Shorter than the suite's, which takes longer to read than the speech."""
        return voice_like(2)

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        """Tiny networks gain nothing from threads."""
        return {"device": "cpu", "threads": 1}

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Few steps: it is not the sound that is judged."""
        return {"n_cfm_timesteps": 1, "max_new_tokens": 40}


@pytest.mark.full  # by default test_plain compares this variant with upstream
class TestPlain(SpeakingTests, LifeTests, English):
    """The plain variant."""

    # The core speaks one request after another with this variant.
    test_eight_threads = None


class TestOptimized(ContinuousConformance, OptimizedConformance, ProviderConformance, English):
    """Everything that a provider must do, of the optimized variant."""

    full = OF_THE_CORE | {
        "test_safe_settings_give_float32_to_the_bit",  # by default: those of toylm, on the same toolkit
        "test_offloading_sounds_the_same",  # by default: test_stages.test_the_status_tells_facts
        "test_graphs_sound_the_same",  # by default: test_rows, test_solver, test_vocoder_graphs and test_stages
        "test_the_status_names_the_kernel_of_attention",  # by default: test_stages.test_the_status_tells_facts
        "test_every_stage_has_a_floor",  # by default: test_operations_are_those_that_torch_counts, of each part
        "test_a_voice_is_computed_once_for_every_process",  # by default: test_voices.test_a_voice_is_made_once
        "test_a_batch_leaves_no_cache_behind",  # by default: test_optimized.test_unload_leaves_no_tensor
    }  # fmt: skip

    @pytest.mark.slow
    def test_unload_frees_everything(self, fast: Callable[..., Any]) -> None:
        """A hundred requests; by default: test_optimized.test_unload_leaves_no_tensor."""
        super().test_unload_frees_everything(fast)

    @pytest.fixture(autouse=True)
    def _few_graphs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Capture those of a second of speech; the others are captured when they are first needed."""
        monkeypatch.setattr(codec, "_GRAPHED_TOKENS", 25)
        monkeypatch.setattr(codec, "_LONGEST_VOICE", 50)
        monkeypatch.setattr(rows, "SLOTS", 128)

    @pytest.fixture
    def short_text(self) -> str:
        """A token for each letter where lengths are forced."""
        return "Hm."

    @pytest.fixture
    def row_text(self) -> str:
        """More tokens than a stream's first chunk takes."""
        return "Hello, my old friend."

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own."""
        return own

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        """Only float32 promises that a batch equals its requests."""
        return {"device": "cpu", "threads": 1, "dtype": "float32", "quantization": "none"}

    @pytest.fixture
    def tolerance(self) -> float:
        """The flow adds up in another order for a batch, and the vocoder adds up phases."""
        return 1e-4

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """The same without the watermark, of whose work nothing is known."""
        return {"n_cfm_timesteps": 1, "max_new_tokens": 40, "chunk_tokens": 15, "watermark": False}

    @pytest.fixture
    def encoder(self) -> str:
        """Voice encoder, tokenizer and speaker encoder."""
        return "realtts_chatterbox.model.encoders_of"


@pytest.mark.full
class TestTurbo(OptimizedConformance):
    """What is peculiar to the optimized variant, of the other network."""

    # They see nothing of the network.
    test_a_strict_provider_takes_no_other_kernel = test_the_status_names_the_kernel_of_attention = None
    test_a_voice_is_computed_once_for_every_process = test_unload_frees_everything = None

    _few_graphs = TestOptimized._few_graphs
    spec = TestOptimized.spec
    settings = TestOptimized.settings
    tolerance = TestOptimized.tolerance

    @pytest.fixture
    def model(self, folders: Callable[[str], Path]) -> Path:
        """Turbo."""
        return folders("turbo")

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """It has two steps."""
        return {"chunk_tokens": 15, "watermark": False}

    text = English.text
