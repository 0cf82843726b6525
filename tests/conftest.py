"""What holds for all tests: a collector with little to do, and marks that others' suite cannot carry itself."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# A test compiles a kernel or two, in its own process: precompiled headers pay from a dozen on, and a pool of compiling
# processes imports torch once more. torch's probe of the vector instructions compiles and loads a program for each.
for variable, value in {"CPP_CACHE_PRECOMPILE_HEADERS": "0", "COMPILE_THREADS": "1", "VEC_ISA_OK": "1"}.items():
    os.environ.setdefault(f"TORCHINDUCTOR_{variable}", value)

if importlib.util.find_spec("hypothesis"):
    # A change is judged by the same inputs each time. HYPOTHESIS_PROFILE=default draws new ones.
    from hypothesis import settings

    settings.register_profile("steady", derandomize=True, deadline=None)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark inherited tests: those that need a GPU, and those that a class of the suite names in its ``full``."""
    for item in items:
        if item.name.endswith("_on_a_gpu"):
            item.add_marker("gpu")
        names = getattr(getattr(item, "cls", None), "full", ())
        if isinstance(item, pytest.Function) and item.originalname in names:
            item.add_marker("full")


@pytest.fixture(scope="session", autouse=True)
def _processes_are_not_measured() -> Iterator[None]:
    """Count no lines in processes that tests start, which took a third of their time: tests here run the same lines.

    Isolation's workers are counted: nothing else runs theirs.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


_FROZEN = pytest.StashKey[tuple[str, int]]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave what lasts out of the collections that every unload makes: in each new file, and behind large imports.

    It is done before the test's fixtures, so that the collector still frees what they make.
    """
    file, modules = item.config.stash.get(_FROZEN, ("", 0))
    if str(item.path) != file or len(sys.modules) > modules + 20:
        item.config.stash[_FROZEN] = (str(item.path), len(sys.modules))
        gc.collect()
        gc.freeze()


def pytest_sessionfinish() -> None:
    """Let the end of the process free everything."""
    gc.unfreeze()
