"""The conformance suite on the plain variant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from realtts.spec import ProviderSpec
from realtts.testing import ProviderConformance
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
