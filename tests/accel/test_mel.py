"""Mel filters are those that others compute."""

import pytest

torch = pytest.importorskip("torch")
audio_utils = pytest.importorskip("transformers.audio_utils")

from realtts.accel.layers.mel import slaney_filters, triangles  # noqa: E402


@pytest.mark.parametrize(("rate", "bands", "low"), [(24_000, 128, 0.0), (16_000, 80, 20.0)])
def test_filters_are_slaneys(rate, bands, low):
    """Scale and norm, as transformers has them from librosa."""
    expected = audio_utils.mel_filter_bank(
        513, bands, low, rate / 2, rate, norm="slaney", mel_scale="slaney", triangularize_in_mel_space=False
    )
    found = slaney_filters(sample_rate=rate, fft=1024, bands=bands, low=low, high=rate / 2)
    torch.testing.assert_close(found, torch.from_numpy(expected.T).float(), rtol=1e-5, atol=1e-9)


def test_triangles_have_their_tops_at_the_corners():
    """A band is nothing at the corners beside its own and beyond, and half way up half way there."""
    corners = torch.tensor([0.0, 2.0, 6.0, 7.0])
    places = torch.tensor([-1.0, 0.0, 1.0, 2.0, 4.0, 6.0, 6.5, 7.0, 9.0])
    assert triangles(corners, places).tolist() == [[0, 0, 0.5, 1, 0.5, 0, 0, 0, 0], [0, 0, 0, 0, 0.5, 1, 0.5, 0, 0]]
