"""The fake provider passes the suite that it helps to test."""

import pytest

from realtts.testing import ProviderConformance, fake_spec


class TestFakeProvider(ProviderConformance):
    """Batches, voices, cloning and marks, without a model."""

    @pytest.fixture
    def spec(self):
        """The spec."""
        return fake_spec()


class TestFakeProviderInPieces(ProviderConformance):
    """The same with a provider that takes short texts only, so that the core splits and joins."""

    @pytest.fixture
    def spec(self):
        """The spec."""
        return fake_spec(max_chars=40)


class TestFakeProviderPlainOnly(ProviderConformance):
    """The same without an optimized variant."""

    @pytest.fixture
    def spec(self):
        """The spec."""
        return fake_spec(optimized=None)
