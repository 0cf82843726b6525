"""oneDNN asked for by name: torch's results, only where it is allowed, and bounded in what it keeps."""

import os

import pytest
import torch
from torch.nn import functional

from realtts import Settings
from realtts.accel.backends import torch_flags
from realtts.accel.kernels import kernels_for, onednn

CPU = torch.device("cpu")
CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(70, 33), (2, 35, 33), (0, 33)], ids=str)
def test_products_are_torchs(dtype, shape):
    """In its own layout and not, with GELU and a bias and without, for any number of dimensions."""
    if not onednn.usable(dtype, CPU):
        pytest.skip("not on this machine")
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(of).to(dtype) for of in (shape, (40, 33), (40,)))
    near = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 2e-2, "atol": 5e-2}
    for form in (weight, onednn.packed(weight)):
        torch.testing.assert_close(onednn.product(x, form), functional.linear(x, weight), **near)
        expected = functional.gelu(functional.linear(x, weight, bias), approximate="tanh")
        torch.testing.assert_close(onednn.product(x, form, bias, gelu=True), expected, **near)


def test_torchs_switch_holds_for_every_kernel(monkeypatch):
    """Also where it is turned after oneDNN was tried; torch's own product always serves."""
    assert "onednn" in [kernel.name for kernel in kernels_for("fp32", CPU)] or not onednn.usable(torch.float32, CPU)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    assert not onednn.usable(torch.float32, CPU)
    for precision in ("fp32", "bf16", "int8"):
        names = [kernel.name for kernel in kernels_for(precision, CPU)]
        assert names
        assert not [name for name in names if "onednn" in name]


def test_types_and_devices_that_it_does_not_serve():
    """No half precision but bfloat16, no other device."""
    assert not onednn.usable(torch.float16, CPU)
    assert not onednn.usable(torch.float32, torch.device("meta"))


@pytest.mark.parametrize("said", [None, "7"])
def test_what_is_kept_is_bounded(monkeypatch, said):
    """Unless the user has said how much; settings are not needed for it."""
    for name in CACHES:
        monkeypatch.delenv(name, raising=False)
        if said:
            monkeypatch.setenv(name, said)
    with torch_flags(Settings(), "plain"):
        assert [os.environ[name] for name in CACHES] == [said or "128"] * 2
