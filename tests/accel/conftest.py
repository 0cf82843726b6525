"""What the tests of realtts.accel share."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the models that several test files are built on

torch = pytest.importorskip("torch")


def _global_state():
    """Everything of torch that is global to the process and that a module might leave changed."""
    return {
        "threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "cudnn tf32": torch.backends.cudnn.allow_tf32,
        "cudnn benchmark": torch.backends.cudnn.benchmark,
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "rng": torch.get_rng_state().tolist(),
        "attention": (
            torch.backends.cuda.flash_sdp_enabled(),
            torch.backends.cuda.mem_efficient_sdp_enabled(),
            torch.backends.cuda.math_sdp_enabled(),
        ),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "MKL_NUM_THREADS": os.environ.get("MKL_NUM_THREADS"),
    }


@pytest.fixture
def graph_backend(request):
    """Class of the backend that a test is parametrized with, None without graphs; skipped where it needs a device."""
    if request.param is not None and request.param.__name__ == "CudaGraphs" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return request.param


@pytest.fixture
def unchanged():
    """Fail if global torch state is not the same after the test as before."""
    before = _global_state()
    yield
    assert _global_state() == before


@pytest.fixture(autouse=True, scope="session")
def own_measurements(tmp_path_factory):
    """Nothing that was measured before these tests, and nothing kept for after them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REALTTS_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture
def own_folders(tmp_path, monkeypatch):
    """Caches in a folder of the test's own."""
    monkeypatch.setenv("REALTTS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    return tmp_path


@pytest.fixture(scope="session", autouse=True)
def _quick_rates():
    """Measure a machine's rates on blocks that are soon read: no test is about the figures themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtts.bench.floor._READ_BYTES", 4 << 20)
        patch.setattr("realtts.bench.floor._BUDGET_S", 0.01)
        yield
