"""Conformance: whatever fails, the plain path speaks and the record says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from realtts import errors
from realtts.contract.hooks import STAGES
from realtts.testing.conformance.speaking import assert_same
from realtts.testing.faults import InjectedFault, faulty

if TYPE_CHECKING:
    from collections.abc import Callable

    from realtts.contract.spec import ProviderSpec
    from realtts.provider.facade import RealProvider

__all__ = ["FallbackTests"]


class FallbackTests:
    """Tests of the ladder with a fault put into each stage of the optimized variant."""

    @pytest.mark.parametrize("stage", STAGES, ids=str)
    def test_fault_falls_back_to_plain(
        self, spec: ProviderSpec, make: Callable[..., RealProvider], text: str, options: dict[str, Any], stage: str
    ) -> None:
        """The audio comes from the plain variant, and the attempt names stage, exception and remedy."""
        provider = make(faulty(spec, stage))
        assert provider.generate(text, **options).duration > 0
        status = provider.get_provider_status()
        assert status["variant"] == "plain"
        assert status["optimization_enabled"] is False
        attempts = [attempt for attempt in status["attempts"] if attempt["stage"] != "probe"]
        assert attempts
        for attempt in attempts:
            assert attempt["variant"] == "optimized"
            assert attempt["stage"] == stage
            assert attempt["exception"].endswith("InjectedFault")
            assert attempt["remedy"]
            assert "InjectedFault" in attempt["traceback"]

    @pytest.mark.parametrize("stage", STAGES, ids=str)
    def test_strict_raises_the_fault(
        self, spec: ProviderSpec, make: Callable[..., RealProvider], text: str, options: dict[str, Any], stage: str
    ) -> None:
        """With strict=True the first failure is raised, with the provider's exception as its cause."""
        provider = make(faulty(spec, stage), strict=True)
        with pytest.raises(errors.StageFailed) as caught:
            provider.generate(text, **options)
        if caught.value.attempts[-1].stage != "probe":
            assert isinstance(caught.value.__cause__, InjectedFault)
            assert caught.value.attempts[-1].stage == stage

    def test_fallback_says_the_same_as_plain(
        self,
        spec: ProviderSpec,
        make: Callable[..., RealProvider],
        text: str,
        options: dict[str, Any],
        tolerance: float,
    ) -> None:
        """A request that was retried on the plain variant keeps its seed: it equals one that never left plain."""
        retried = make(faulty(spec, "generate")).generate(text, seed=11, **options)
        plain = make(spec, optimize=False).generate(text, seed=11, **options)
        assert retried.metrics.retries >= 1
        assert_same(retried.samples, plain.samples, tolerance)

    def test_no_rung_left_is_a_typed_error(
        self, spec: ProviderSpec, make: Callable[..., RealProvider], text: str, options: dict[str, Any]
    ) -> None:
        """When plain fails too, the error carries every attempt, and an unload makes a new start possible."""
        provider = make(faulty(faulty(spec, "load"), "load", variant="plain"))
        with pytest.raises(errors.LadderExhausted) as caught:
            provider.generate(text, **options)
        assert {attempt.variant for attempt in caught.value.attempts} == {"optimized", "plain"}
        assert provider.get_provider_status()["state"] == "failed"
        provider.unload()
        assert provider.get_provider_status()["attempts"] == []

    def test_optimize_false_is_plain(
        self, spec: ProviderSpec, make: Callable[..., RealProvider], text: str, options: dict[str, Any]
    ) -> None:
        """optimize=False goes straight to the plain variant, without an attempt at another."""
        provider = make(spec, optimize=False)
        assert provider.generate(text, **options).duration > 0
        status = provider.get_provider_status()
        assert (status["variant"], status["attempts"]) == ("plain", [])
