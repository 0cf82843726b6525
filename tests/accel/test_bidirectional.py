"""Attention of all to all: torch's results, whatever the range, by whichever kernel."""

import pytest
import torch

from realtts.accel.bidirectional import QUERY_SCALE, attend


@pytest.mark.parametrize("fused", [False, True], ids=["own", "torch's"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("loudness", [1.0, 100.0], ids=["small", "out of range"])
def test_attention_is_torchs(dtype, loudness, fused):
    """Also for scores that the fast way cannot hold."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 50, 64) for _ in range(3))
    q = q * loudness
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(2, 50, 192)
    mixed = attend((q * (QUERY_SCALE / 8)).to(dtype), k.to(dtype), v.to(dtype), fused=fused)
    full = dtype == torch.float32
    error = (mixed.float() - expected).norm() / expected.norm()
    # in half precision the error of a score grows with it
    assert error < (1e-4 if full else 0.02 * max(1.0, loudness / 5))
