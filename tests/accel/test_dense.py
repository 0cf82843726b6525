"""Products, convolutions and activations: torch's results, with oneDNN and without."""

import pytest
import torch
from torch.nn import functional

from realtts.accel.layers.dense import causal_conv, linear, mish, product, wide


@pytest.fixture(params=[True, False], ids=["oneDNN", "without"])
def onednn(request, monkeypatch):
    """Torch's own switch."""
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", request.param)


def _close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("onednn")
def test_products_are_torchs():
    """Single, with and without bias, and of pairs."""
    torch.manual_seed(0)
    x, weight, bias = torch.randn(70, 33), torch.randn(40, 33), torch.randn(40)
    _close(linear(x, weight), functional.linear(x, weight))
    _close(linear(x, weight, bias), functional.linear(x, weight, bias))
    a, b = torch.randn(3, 7, 33), torch.randn(3, 9, 33)
    _close(product(a, b), a @ b.transpose(1, 2))
    _close(product(a[:1], b[:1]), a[:1] @ b[:1].transpose(1, 2))


def test_a_causal_convolution_is_torchs():
    """Conv1d with zeros before the first frame."""
    torch.manual_seed(0)
    x, weight, bias = torch.randn(20, 6), torch.randn(5, 6, 3), torch.randn(5)
    expected = functional.conv1d(functional.pad(x.T[None], (2, 0)), weight, bias)[0].T
    _close(causal_conv(x, wide(weight), bias), expected)


def test_mish_is_torchs():
    """Over its whole range."""
    x = torch.cat([torch.linspace(-100, 100, 4001), torch.tensor([0.0, 1e4, -1e4])])
    torch.testing.assert_close(mish(x), functional.mish(x), rtol=2e-6, atol=1e-6)
