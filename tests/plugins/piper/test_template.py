"""The template for plugins on ONNX Runtime, where ONNX Runtime is."""

from __future__ import annotations

import sys

import pytest

from realtts import ProviderSpec
from realtts.cli.new_plugin import write_plugin
from realtts.testing import ProviderConformance


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> ProviderSpec:
    """What `realtts new-plugin hum-graph --onnx` writes."""
    folder = tmp_path_factory.mktemp("made") / "plugin"
    write_plugin("hum-graph", folder, author="Ada", onnx=True)
    sys.path.insert(0, str(folder / "src"))
    try:
        import realtts_hum_graph

        yield realtts_hum_graph.spec
    finally:
        sys.path.remove(str(folder / "src"))


class TestTemplate(ProviderConformance):
    """It speaks and conforms as it is."""

    @pytest.fixture
    def spec(self, made) -> ProviderSpec:
        """The template's."""
        return made

    @pytest.fixture
    def settings(self) -> dict[str, object]:
        """One thread, whatever the machine has."""
        return {"threads": 1}
