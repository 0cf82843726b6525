"""Rotary positions and waves of time are what their sources say."""

import math

import pytest

torch = pytest.importorskip("torch")

from realtts.accel.layers.positions import frequencies, rotated, time_waves, turning  # noqa: E402


def test_rotation_is_one_of_complex_numbers():
    """Channel i and the one half a head behind it are turned by the position times the frequency."""
    x = torch.randn(2, 5, 3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    angles = torch.arange(5)[:, None, None] * frequencies(10_000.0, 8).double()
    turned = torch.view_as_complex(x.unflatten(-1, (2, 4)).transpose(-1, -2).contiguous()) * torch.exp(1j * angles)
    torch.testing.assert_close(rotated(x, *turning(angles)), torch.cat([turned.real, turned.imag], -1))


def test_frequencies_fall_from_one():
    """Evenly in their logarithms."""
    assert frequencies(10_000.0, 8).tolist() == pytest.approx([1, 0.1, 0.01, 0.001])


def test_waves_of_time():
    """Sines and cosines from 1000 radians to a ten thousandth of that."""
    found = time_waves(torch.tensor([0.0, 0.25, 1.0]), 6)
    for row, time in zip(found.tolist(), (0.0, 0.25, 1.0), strict=True):
        angles = [1000 * time * rate for rate in (1, 0.01, 0.0001)]
        assert row == pytest.approx([*map(math.sin, angles), *map(math.cos, angles)], abs=1e-4)
