"""For plugin authors: the conformance suite, fault injection and a provider that needs nothing.

A plugin proves itself with a few lines::

    import pytest
    from realtts.testing import ProviderConformance
    from my_plugin import spec

    class TestMyProvider(ProviderConformance):
        @pytest.fixture
        def spec(self):
            return spec

The extra ``realtts[testing]`` brings pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from realtts.testing.conformance import ProviderConformance
    from realtts.testing.fake import FakeOptions, FakeProvider, FastFakeProvider, fake_spec
    from realtts.testing.faults import InjectedFault, faulty

__all__ = [
    "FakeOptions",
    "FakeProvider",
    "FastFakeProvider",
    "InjectedFault",
    "ProviderConformance",
    "fake_spec",
    "faulty",
]

_HOMES = {
    "FakeOptions": "fake",
    "FakeProvider": "fake",
    "FastFakeProvider": "fake",
    "InjectedFault": "faults",
    "ProviderConformance": "conformance",
    "fake_spec": "fake",
    "faulty": "faults",
}


def __getattr__(name: str) -> Any:
    """Import on demand: the fake provider must be usable where pytest is not installed."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
