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

May import bench and what stands below it.
"""

from realtts.lazy import public_names

# On demand, because the fake provider must be usable where pytest is not installed.
__getattr__, __dir__, __all__ = public_names(__name__)
