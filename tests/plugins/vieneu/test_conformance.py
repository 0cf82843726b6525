"""The conformance suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiers import OF_THE_CORE

from realtts.contract.spec import ProviderSpec
from realtts.testing import ContinuousConformance, OptimizedConformance, ProviderConformance
from realtts_vieneu import spec as own
from realtts_vieneu.testing import write_random_checkpoint


@pytest.fixture(scope="module")
def ending(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that ends by itself after some tokens."""
    folder = tmp_path_factory.mktemp("ends")
    write_random_checkpoint(folder, eos_bias=12.0)
    return folder


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of v3 Turbo, where upstream's engine can be had."""
    for name in ("onnx", "onnxruntime", "vieneu", "kaldi_native_fbank"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("graphs")
    write_random_checkpoint(folder, model="v3-turbo", eos_bias=3.0)
    return folder


class Plain(ProviderConformance):
    """Everything that a provider must do, of the variant around transformers."""

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own, without its optimized variant."""
        return replace(own, optimized=None)

    @pytest.fixture
    def model(self, ending: Path) -> Path:
        """With presets, and with what clones."""
        return ending

    @pytest.fixture
    def settings(self, tmp_path: Path) -> dict[str, Any]:
        """Tiny networks gain nothing from threads; voices are kept in a folder of their own."""
        return {"device": "cpu", "threads": 1, "data_dir": str(tmp_path)}

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Few tokens, and each sentence a row of its own: it is not the sound that is judged."""
        return {"max_new_tokens": 8, "max_chars": 20}

    @pytest.fixture
    def text(self) -> str:
        """One sentence; the suite speaks parts of it, too."""
        return "Xin chào các bạn."

    @pytest.fixture
    def long_text(self) -> str:
        """Six sentences."""
        return "Trời nắng rồi. Chúng ta đi dạo. Ở đâu thế nhỉ? Quanh hồ này nhé! Đường xa lắm. Mai ta lại đi."


@pytest.mark.full  # by default test_plain compares this variant with upstream
class TestPlain(Plain):
    """The plain variant."""


class TestOptimized(ContinuousConformance, OptimizedConformance, Plain):
    """The same of the optimized variant."""

    full = OF_THE_CORE | {
        "test_safe_settings_give_float32_to_the_bit",  # by default: those of toylm, on the same toolkit
        # By default: test_network.test_graphs_give_the_same, test_continuous.test_nothing_is_captured_while_rows_...
        "test_graphs_sound_the_same",
        # By default: test_optimized's batches and streams.
        "test_batch_equals_single",
        "test_a_row_is_what_it_is_alone",  # by default: test_continuous
    }  # fmt: skip

    @pytest.mark.slow
    def test_unload_frees_everything(self, fast: Callable[..., Any]) -> None:
        """A hundred requests; by default: test_optimized.test_unload_leaves_no_tensor."""
        super().test_unload_frees_everything(fast)

    @pytest.fixture
    def short_text(self) -> str:
        """A token for each letter is drawn."""
        return "Chào."

    @pytest.fixture
    def row_text(self) -> str:
        """Of two sentences."""
        return "Xin chào. Trời nắng đẹp!"

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """The plugin's own."""
        return own

    @pytest.fixture
    def settings(self, tmp_path: Path) -> dict[str, Any]:
        """Only float32 promises that a batch equals its requests; for few of them few graphs are captured."""
        exact = {"dtype": "float32", "quantization": "none", "max_batch": 2}
        return {"device": "cpu", "threads": 1, "data_dir": str(tmp_path), **exact}

    @pytest.fixture
    def encoder(self) -> str:
        """The codec's."""
        return "realtts_vieneu.model.Encoder"


@pytest.mark.full  # by default test_turbo.py runs upstream's engine
class TestTurbo(Plain):
    """The same of v3 Turbo in upstream's engine."""

    @pytest.fixture
    def model(self, graphs: Path) -> Path:
        """Random graphs."""
        return graphs

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Few frames."""
        return {"max_new_tokens": 6, "max_chars": 20}
