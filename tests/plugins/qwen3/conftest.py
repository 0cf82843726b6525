"""Tiny random checkpoints of all models, and short ways to use them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")
pytest.importorskip("realtts_qwen3")


from realtts.contract.spec import Checkpoint
from realtts_qwen3 import loading, spec
from realtts_qwen3.ported import PortedNetworks
from realtts_qwen3.reference import Upstream
from realtts_qwen3.upstream import load_upstream, why_not

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from realtts.contract.spec import ProviderSpec


@pytest.fixture(scope="session")
def imported() -> None:
    """Upstream's package, where it is."""
    if why_not() is None:
        load_upstream()


@pytest.fixture(scope="session")
def plugin() -> ProviderSpec:
    """The plugin's own."""
    return spec


@pytest.fixture(scope="session")
def weights_of(folders: Callable[[str], Path]) -> Callable[[str], loading.Weights]:
    """The same checkpoints, opened."""
    opened: dict[str, loading.Weights] = {}

    def weights(model: str) -> loading.Weights:
        if model not in opened:
            opened[model] = loading.open_checkpoint(loading.fetch(Checkpoint(name=model, path=folders(model))))
        return opened[model]

    return weights


@pytest.fixture(scope="session")
def networks_of(weights_of: Callable[[str], loading.Weights]) -> Callable[[str], Upstream]:
    """The same checkpoints in upstream's networks as the plain variant has them; not to be changed."""
    if why_not() is not None:
        pytest.skip(str(why_not()))
    return functools.cache(lambda model: Upstream(weights_of(model), "cpu"))


@pytest.fixture(scope="session")
def ported_of(weights_of: Callable[[str], loading.Weights]) -> Callable[[str], PortedNetworks]:
    """The same in our networks; not to be changed."""
    return functools.cache(lambda model: PortedNetworks(weights_of(model), "cpu"))


@pytest.fixture(scope="session")
def upstream_of(folders: Callable[[str], Path]) -> Callable[[str], object]:
    """The same checkpoints as upstream's own ``Qwen3TTSModel.from_pretrained`` loads them."""
    made: dict[str, object] = {}

    def upstream(model: str) -> object:
        if model not in made:
            from realtts.accel.upstream.calls import quiet
            from realtts_qwen3.upstream import module

            wrapper = module("qwen_tts.inference.qwen3_tts_model").Qwen3TTSModel
            with quiet():
                made[model] = wrapper.from_pretrained(str(folders(model)), local_files_only=True)
        return made[model]

    if why_not() is not None:
        pytest.skip(str(why_not()))
    return upstream
