"""Compilation on this machine's own compiler: it compiles, once, can be given up, and is freed."""

import gc
import os
import weakref

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from realtts import CompileFailed  # noqa: E402
from realtts.accel import compile as accel_compile  # noqa: E402
from realtts.accel.compile import compile_cache, compiled, cpp_compiler, recompilations  # noqa: E402
from realtts.accel.optimizer.threads import compute_threads  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("unchanged", "own_folders"),
    # torch's own, of its compiler, on this Python
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
needs_compiler = pytest.mark.skipif(cpp_compiler() is None, reason="needs a C++ compiler")


@pytest.fixture(autouse=True)
def fresh():
    """Nothing compiled by another test."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def net(width=4):
    """A small module."""
    with torch.random.fork_rng(devices=[]):
        return nn.Sequential(nn.Linear(8, width), nn.SiLU(), nn.Linear(width, width)).eval()


def broken(graph, inputs):
    """A backend that cannot compile anything."""
    raise RuntimeError("this machine has no such instruction")


X = torch.linspace(-1, 1, 24).reshape(3, 8).clone()


@needs_compiler
@pytest.mark.full  # by default: torch's other backends, which need no compiler of C++
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_it_really_compiles(mode, own_folders):
    """Machine code lies in the folder of the user's cache; the result is the module's."""
    module = net(5 + len(mode))  # no two tests alike: torch also keeps code in memory
    fast = compiled(module, mode=mode, fullgraph=True)
    with torch.inference_mode():
        assert torch.allclose(fast(X), module(X), atol=1e-6)
    assert fast.as_dict() == {"compiled": True, "mode": mode, "graphs": 1, "reason": None}
    assert list((own_folders / "data/cache/compile").rglob("*.so"))


@pytest.mark.full  # by default: test_each_callable_has_limits_of_its_own
@needs_compiler
def test_nothing_recompiles_where_nothing_changes():
    """Neither over many calls, nor for sizes that were said to differ; a changed number of threads does compile."""
    module = net()
    fast = compiled(module, dynamic=True, fullgraph=True)
    inputs = [torch.ones(rows, 8) for rows in range(2, 12)]
    with torch.inference_mode():
        fast(X)
        before = recompilations()
        for x in inputs * 20:
            fast(x)
        assert (recompilations(), fast.graphs) == (before, 1)
        with compute_threads(torch.get_num_threads() + 1):
            fast(X)
        assert (recompilations(), fast.graphs) == (before + 1, 2)


def test_each_callable_has_limits_of_its_own():
    """Ten modules of one class: torch's limit of eight per function would leave the last ones uncompiled."""
    fasts = [compiled(net(8 + size), backend="eager", fullgraph=True) for size in range(10)]
    with torch.inference_mode():
        assert [fast(X).shape[1] for fast in fasts] == list(range(8, 18))
    assert [fast.graphs for fast in fasts] == [1] * 10


def test_reset_frees_the_model():
    """Once the caller lets go of it too."""
    module = net()
    alive = weakref.ref(module)
    fast = compiled(module, backend="aot_eager")
    with torch.inference_mode():
        fast(X)
        fast.reset()
        assert fast.graphs == 0
        fast(X)
        assert fast.graphs == 1
    fast.reset()
    del fast, module
    gc.collect()
    assert alive() is None


def test_a_failure_is_typed_and_names_the_switch():
    """The cause is torch's own exception."""
    with pytest.raises(CompileFailed, match=r"no such instruction.*compile=False \(REALTTS_COMPILE=false\)") as caught:
        compiled(net(), backend=broken)(X)
    assert type(caught.value.__cause__).__name__ == "BackendCompilerFailed"


def test_fallback_runs_it_as_it_is():
    """The reason is kept, and compilation not tried again."""
    module = net()
    tried = []
    fast = compiled(module, backend=lambda *args: tried.append(1) or broken(*args), fallback=True)
    for _ in range(3):
        assert torch.equal(fast(X), module(X))
    assert len(tried) == 1
    assert "no such instruction" in fast.as_dict()["reason"]
    assert fast.as_dict()["compiled"] is False


@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_an_error_of_the_function_is_its_own(fallback):
    """Raised by Python, or by torch for a wrong shape; the compiled form stays."""

    def function(x, fail):
        if fail:
            raise KeyError("mine")
        return x @ torch.ones(8, 8)

    fast = compiled(function, backend="eager", fallback=fallback)
    with pytest.raises(KeyError, match="mine"):
        fast(X, fail=True)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fast(torch.ones(3, 9), fail=False)
    assert torch.equal(fast(X, fail=False), X @ torch.ones(8, 8))
    assert fast.reason is None


def test_fullgraph_refuses_what_cannot_be_one_graph():
    """Without it, the part runs as it is."""

    def function(x):
        print(end="")  # noqa: T201 - what no graph can hold
        return x + 1

    assert torch.equal(compiled(function, backend="eager")(X), X + 1)
    with pytest.raises(CompileFailed):
        compiled(function, backend="eager", fullgraph=True)(X)


def test_switched_off_it_never_compiles():
    """compile=False."""
    module = net()
    before = recompilations()
    fast = compiled(module, enabled=False)
    assert torch.equal(fast(X), module(X))
    assert recompilations() == before
    assert fast.reason == "switched off by compile=False"


def test_without_a_compiler_it_says_so(monkeypatch):
    """Before torch's own words."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert cpp_compiler() is None
    with pytest.raises(CompileFailed, match=r"there is no C\+\+ compiler"):
        compiled(net(), backend=broken)(X)


def test_the_module_is_not_changed():
    """No attribute, no forward, no parameter."""
    module = net()
    before = {name: id(value) for name, value in vars(module).items()}
    compiled(module, backend="eager")(X)
    assert {name: id(value) for name, value in vars(module).items()} == before


@pytest.mark.parametrize("set_before", [None, "torch's own"])
def test_cache_folder_is_set_and_restored(monkeypatch, tmp_path, set_before):
    """What torch has written into the variable by itself is nobody's choice."""
    value = accel_compile._torch_default() if set_before else None
    if value:
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", value)
    with compile_cache(tmp_path) as folder:
        assert folder == tmp_path
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path)
    assert os.environ.get("TORCHINDUCTOR_CACHE_DIR") == value


def test_the_users_own_folder_wins(monkeypatch, tmp_path):
    """If it is set in the environment."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "mine"))
    with compile_cache(tmp_path / "other") as folder:
        assert folder == tmp_path / "mine"
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "mine")


def test_reset_all_forgets_everything():
    """The next call compiles again."""
    fast = compiled(net(), backend="eager")
    fast(X)
    accel_compile.reset_all()
    fast(X)
    assert fast.graphs == 2
