"""For plugin authors: the conformance suite, fault injection and a provider that needs nothing.

A plugin proves itself with a few lines::

    import pytest
    from realtts.testing import OptimizedConformance, ProviderConformance
    from my_plugin import spec

    class TestMyProvider(ProviderConformance):
        @pytest.fixture
        def spec(self):
            return spec

The extra ``realtts[testing]`` brings pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.lazy import names_from

if TYPE_CHECKING:
    from realtts.testing.conformance import ProviderConformance
    from realtts.testing.fake import FakeOptions, FakeProvider, FastFakeProvider, fake_spec
    from realtts.testing.faults import InjectedFault, faulty
    from realtts.testing.hub import FakeHub
    from realtts.testing.sounds import voice_like

__all__ = [
    "FakeHub",
    "FakeOptions",
    "FakeProvider",
    "FastFakeProvider",
    "InjectedFault",
    "OptimizedConformance",
    "ProviderConformance",
    "fake_spec",
    "faulty",
    "voice_like",
]

# On demand, because the fake provider must be usable where pytest is not installed.
__getattr__ = names_from(
    __name__,
    {
        "conformance": ("OptimizedConformance", "ProviderConformance"),
        "fake": ("FakeOptions", "FakeProvider", "FastFakeProvider", "fake_spec"),
        "faults": ("InjectedFault", "faulty"),
        "hub": ("FakeHub",),
        "sounds": ("voice_like",),
    },
)
