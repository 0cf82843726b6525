"""What the tests of all plugins share; a model plugin overrides `plugin`, and `imported` and `written` if it likes."""

from __future__ import annotations

import functools
import gc
import json
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from realtts import RealProvider
from realtts.bench.tools import find_tools
from realtts.testing import voice_like

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np

    from realtts.contract.options import Options
    from realtts.contract.spec import ProviderSpec


@pytest.fixture(scope="session", autouse=True)
def _data_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A user's saved voices and caches are neither seen nor changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REALTTS_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def imported() -> None:
    """Imports upstream's package, where there is one: the largest part of what is imported."""


@pytest.fixture(scope="session", autouse=True)
def _imported_modules_stay(imported: None) -> Iterator[None]:
    """Leave what is imported out of the collections that every unload makes, which else take most of the time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def in_parts() -> Callable[[Path], Path]:
    """Saves a file of weights in two parts, as transformers does, in its place; returns their index."""

    def cut(path: Path) -> Path:
        from safetensors.torch import load_file, save_file

        state = load_file(path)
        path.unlink()
        names, index = sorted(state), {}
        for number in (0, 1):
            file = f"{path.stem}-{number + 1:05d}-of-00002.safetensors"
            save_file({name: state[name] for name in names[number::2]}, str(path.with_name(file)))
            index |= dict.fromkeys(names[number::2], file)
        place = path.with_name(f"{path.name}.index.json")
        place.write_text(json.dumps({"metadata": {}, "weight_map": index}), encoding="utf-8")
        return place

    return cut


@pytest.fixture(scope="session")
def option_ends() -> Callable[[type[Options]], list[dict[str, float]]]:
    """Lists every end of every number's range, as the schema has it; just inside where it is no part of it."""

    def ends(options: type[Options]) -> list[dict[str, float]]:
        return [
            {name: choice[key] if key[0] == "m" else choice[key] + 1e-9}
            for name, about in options.model_json_schema()["properties"].items()
            for choice in (about, *about.get("anyOf", ()))
            for key in ("minimum", "maximum", "exclusiveMinimum")
            if key in choice
        ]

    return ends


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from more."""
    torch = sys.modules.get("torch")  # imported by the conftest of a plugin that needs it
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def plugin() -> ProviderSpec:
    """The spec of the plugin under test."""
    raise NotImplementedError


@pytest.fixture(scope="session")
def written() -> dict[str, object]:
    """What random checkpoints are written with, beside the model's name."""
    return {}


@pytest.fixture(scope="session")
def folders(
    tmp_path_factory: pytest.TempPathFactory, plugin: ProviderSpec, written: dict[str, object]
) -> Callable[[str], Path]:
    """Random checkpoints by their model, written when they are first asked for; not to be changed."""
    write = find_tools(plugin).write_random_checkpoint
    assert write is not None

    @functools.cache
    def folder(model: str) -> Path:
        made = tmp_path_factory.mktemp(model)
        write(made, model=model, **written)
        return made

    return folder


@pytest.fixture
def make(
    plugin: ProviderSpec, folders: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., RealProvider]]:
    """Makes providers that are closed at the end, with caches of their own."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))
    made: list[RealProvider] = []

    def make(
        model: str = plugin.checkpoints[0].name,
        *,
        used: ProviderSpec = plugin,
        path: Path | None = None,
        **settings: object,
    ) -> RealProvider:
        given = {"device": "cpu", "threads": 1, "force_tokens_per_char": 1.0, **settings}
        made.append(RealProvider(used, model=path or folders(model), **given))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def plain(make: Callable[..., RealProvider], plugin: ProviderSpec) -> Callable[..., RealProvider]:
    """The same of the plain variant, which ends by itself."""
    return functools.partial(make, used=replace(plugin, optimized=None), strict=True, force_tokens_per_char=None)


@pytest.fixture(scope="session")
def recording() -> tuple[np.ndarray, int]:
    """Two seconds and a bit of a voice-like sound at 24 kHz: not a whole number of any codec's frames."""
    return voice_like(48_700 / 24_000)


@pytest.fixture
def spoilt(folders: Callable[[str], Path], tmp_path: Path) -> Callable[[str, str, str], Path]:
    """Copies a checkpoint and makes a weight of a file NaN, by the end of its name."""

    def spoilt(model: str, file: str, weight: str) -> Path:
        from safetensors.torch import load_file, save_file

        copy = shutil.copytree(folders(model), tmp_path / "spoilt")
        state = load_file(copy / file)
        name = next(name for name in sorted(state) if name.endswith(weight))
        save_file({**state, name: state[name] * float("nan")}, copy / file)
        return copy

    return spoilt
