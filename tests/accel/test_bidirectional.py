"""Attention of all to all: torch's results, whatever the range, by whichever kernel."""

import pytest
import torch

from realtts.accel.layers.bidirectional import QUERY_SCALE, attend


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masked_keys_are_as_if_they_were_not_there(dtype):
    """Whatever lies in padding, by row."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 50, 64, dtype=dtype) for _ in range(3))
    lengths = [50, 31]
    mask = torch.zeros(2, 1, 1, 50, dtype=dtype)
    mask[1, ..., lengths[1] :] = float("-inf")
    mixed = attend(q * (QUERY_SCALE / 8), k, v, mask=mask)
    for row, length in enumerate(lengths):
        part = slice(row, row + 1), slice(None), slice(length)
        alone = attend(q[part] * (QUERY_SCALE / 8), k[part], v[part], fused=True)
        torch.testing.assert_close(mixed[row, :length], alone[0], rtol=0, atol=1e-6 if dtype == torch.float32 else 1e-2)
