"""What the tests of the core share."""

import contextlib
import sys
import textwrap

import pytest

from realtts import ProviderSpec, RealProvider
from realtts.registry import providers as registry
from realtts.testing import faults


@pytest.fixture
def begun():
    """Whether bytes of a large file have arrived in a folder of blobs: ``begun(blobs)``.

    Small files, which come first, do not count, and may be renamed while one looks.
    """

    def begun(blobs):
        for path in blobs.glob("*.incomplete"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size > 1000:
                    return True
        return False

    return begun


@pytest.fixture(scope="session", autouse=True)
def _quick_rates():
    """Measure a machine's rates on blocks that are soon read: no test of the core is about the figures themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtts.bench.floor._READ_BYTES", 4 << 20)
        patch.setattr("realtts.bench.floor._BUDGET_S", 0.01)
        yield


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts distributions on the path: a module, and metadata with an entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in [name for name in sys.modules if name.startswith("installed_")]:
        monkeypatch.delitem(sys.modules, module)

    def install(name, code, *, entry=None, dist=None, group="realtts.providers", version="1.0"):
        dist = dist or f"realtts-{name}"
        module = f"installed_{dist.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(code), encoding="utf-8")
        info = tmp_path / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {entry or module + ':spec'}\n", encoding="utf-8")
        return module

    return install


@pytest.fixture
def open_provider():
    """Open providers of a spec: ``open_provider(spec, **settings)``; what they still do is cancelled at the end."""
    opened = []

    def open_provider(spec, **settings):
        opened.append(RealProvider(spec, **settings))
        return opened[-1]

    yield open_provider
    for provider in opened:
        provider.cancel()
        provider.close()


@pytest.fixture
def make_provider(monkeypatch, open_provider):
    """Make providers from classes: ``make_provider(plain, optimized, {field: value}, **settings)``; closed at the end.

    ``optimized`` may be an import path too.
    """

    def make_provider(plain, optimized=None, spec=None, **settings):
        monkeypatch.setattr(faults, "Plain", plain, raising=False)
        monkeypatch.setattr(faults, "Optimized", optimized, raising=False)
        path = optimized if isinstance(optimized, str) else optimized and f"{faults.__name__}:Optimized"
        fields = {
            "name": "sample",
            "summary": "For tests",
            "sample_rates": (8000,),
            "plain": f"{faults.__name__}:Plain",
            "optimized": path,
        }
        return open_provider(ProviderSpec(**{**fields, **(spec or {})}), **settings)

    return make_provider


@pytest.fixture
def empty(monkeypatch):
    """A machine with no plugin installed at all, whatever the test environment has."""
    found = registry.entry_points
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [point for point in found(group) if "installed_" in point.value]
    )


@pytest.fixture(autouse=True)
def _from_the_index(monkeypatch):
    """Let the core come from an index, wherever the tests run: what it offers to install depends on it."""
    monkeypatch.setattr("realtts.registry.offers._source_of_core", lambda: None)
