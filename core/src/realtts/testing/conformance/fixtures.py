"""Fixtures of the conformance suite, to be overridden where a model needs something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from realtts.provider.facade import RealProvider
from realtts.testing.sounds import voice_like

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from realtts.contract.spec import ProviderSpec

__all__ = ["ConformanceFixtures"]


class ConformanceFixtures:
    """The fixtures that a provider's suite overrides."""

    @pytest.fixture
    def spec(self) -> ProviderSpec:
        """Return the provider under test; must be overridden."""
        raise NotImplementedError("override the fixture 'spec' and return your ProviderSpec")

    @pytest.fixture
    def model(self) -> str | Path | None:
        """Return the checkpoint to load: a name or a local folder, such as a tiny one with random weights."""
        return None

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        """Return settings for every provider that is made, such as ``{"device": "cpu"}``."""
        return {}

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Return options for every request, such as few solver steps."""
        return {}

    @pytest.fixture
    def text(self) -> str:
        """Return a short text that the model can say."""
        return "Hello there, this is a test."

    @pytest.fixture
    def long_text(self) -> str:
        """Return a text of at least six sentences, so that there is something to cancel."""
        return " ".join(f"This is sentence number {n}, and it is long enough to be heard." for n in range(1, 9))

    @pytest.fixture
    def tolerance(self) -> float:
        """Return the largest difference of samples that counts as equal: 0 where the arithmetic is repeatable."""
        return 1e-5

    @pytest.fixture
    def reference(self) -> tuple[NDArray[np.float32], int]:
        """Return three seconds of a voice-like sound for providers that clone."""
        return voice_like()

    @pytest.fixture
    def make(self, model: str | Path | None, settings: dict[str, Any]) -> Iterator[Callable[..., RealProvider]]:
        """Return a function that makes providers, which are closed at the end of the test."""
        made: list[RealProvider] = []

        def make(spec: ProviderSpec, **more: Any) -> RealProvider:
            provider = RealProvider(spec, model=model, **{**settings, **more})
            made.append(provider)
            return provider

        yield make
        for provider in made:
            provider.close()

    @pytest.fixture
    def provider(self, spec: ProviderSpec, make: Callable[..., RealProvider]) -> RealProvider:
        """Return the provider under test, not yet loaded."""
        return make(spec)
