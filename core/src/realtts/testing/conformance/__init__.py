"""The conformance suite: what every provider must do, as a pytest class that a plugin subclasses in a few lines."""

from __future__ import annotations

from typing import Any

import pytest

# Before the test modules are imported, so that a failing assert shows its values in a plugin's run too.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{name}"
        for name in ("continuous", "fallback", "fixtures", "inputs", "life", "optimized", "running", "speaking")
    )
)

from realtts.testing.conformance.continuous import ContinuousConformance  # noqa: E402
from realtts.testing.conformance.fallback import FallbackTests  # noqa: E402
from realtts.testing.conformance.fixtures import ConformanceFixtures  # noqa: E402
from realtts.testing.conformance.inputs import InputTests  # noqa: E402
from realtts.testing.conformance.life import LifeTests  # noqa: E402
from realtts.testing.conformance.optimized import OptimizedConformance  # noqa: E402
from realtts.testing.conformance.speaking import SpeakingTests  # noqa: E402

__all__ = ["ContinuousConformance", "OptimizedConformance", "ProviderConformance"]


class ProviderConformance(SpeakingTests, InputTests, FallbackTests, LifeTests, ConformanceFixtures):
    """The conformance suite: subclass it, override the fixture ``spec``, and let pytest collect it.

    Further fixtures may be overridden to fit the model: ``model`` (a local checkpoint), ``settings``, ``options``,
    ``text``, ``long_text``, ``reference`` and ``tolerance``. A test that a provider cannot pass may be overridden only
    by one that is marked ``xfail`` with a reason::

        @pytest.mark.xfail(reason="the model's end token is sampled on the device without a seed")
        def test_seed_repeats_the_speech(self, provider, text, options):
            super().test_seed_repeats_the_speech(provider, text, options)
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in vars(cls).items():
            if name.startswith("test_") and hasattr(ProviderConformance, name) and not _excused(value):
                raise TypeError(
                    f"{cls.__qualname__}.{name} overrides a conformance test: it may only be marked "
                    "@pytest.mark.xfail(reason='...') to say why the provider cannot pass it"
                )


def _excused(test: Any) -> bool:
    marks = getattr(test, "pytestmark", [])
    return any(mark.name == "xfail" and str(mark.kwargs.get("reason", "")).strip() for mark in marks)
