"""Windows of the vocoder: where they lie, and how much of their neighbourhood they see."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from realtts_piper.optimized import Optimized
from realtts_piper.plain import Plain
from realtts_piper.windows import LATER, MOST_REACH, SOON, reach_of, windows_of

HOP = 4
TEXT = "Although the harbour was full, the last boat found a place beside the old wall."

Samples = NDArray[np.float32]


@pytest.mark.parametrize("sizes", [SOON, LATER, (1, 1), (7, 13), (40, 10_000)])
@pytest.mark.parametrize("count", [1, 39, 40, 59, 60, 61, 430, 999])
def test_windows_cover_every_frame_once(count, sizes) -> None:
    """In order; none is shorter than half the first, but where all is."""
    windows = list(windows_of(count, sizes))
    assert windows[0][0] == 0
    assert windows[-1][1] == count
    assert all(one[1] == other[0] for one, other in itertools.pairwise(windows))
    assert all(end - start >= min(count, sizes[0] // 2) for start, end in windows)


def vocoder(before: int, behind: int) -> Callable[[Samples], Samples]:
    """One whose sample depends on so many frames before its own, and behind it."""

    def speak(latent: Samples) -> Samples:
        each = np.pad(latent.sum(axis=1).reshape(-1), (before, behind))
        heard = np.convolve(each, np.ones(before + 1 + behind, np.float32), "valid")
        return np.repeat(np.tanh(heard * np.float32(0.01)), HOP)

    return speak


@pytest.mark.parametrize(
    ("before", "behind", "reach"),
    [(0, 0, 0), (1, 1, 1), (10, 10, 10), (3, 13, 13), (13, 3, 13), (MOST_REACH, 0, MOST_REACH),
     (0, MOST_REACH + 1, None), (MOST_REACH + 9, 1, None)],
)  # fmt: skip
def test_the_reach_is_what_a_vocoder_depends_on(before, behind, reach) -> None:
    """To the side where it is greater; where it is too far, the vocoder is not cut."""
    latent = np.random.default_rng(0).standard_normal((1, 3, 20), np.float32)
    assert reach_of(vocoder(before, behind), latent, HOP) == reach


def test_a_vocoder_that_hears_nothing_is_not_cut() -> None:
    """Nothing can be said of its reach."""
    latent = np.ones((1, 3, 20), np.float32)
    assert reach_of(lambda given: np.zeros(given.shape[-1] * HOP, np.float32), latent, HOP) is None


def test_warm_windows_see_less_and_sound_like_the_whole(joe: Any) -> None:
    """Those of a medium voice see ten frames and some."""
    plain, warm = Plain().load(joe.context), Optimized().load(joe.context)
    Optimized().warmup(joe.context, warm)
    assert warm.network.windowed
    assert 8 <= warm.network._reach <= 12
    whole, windows = (
        type(joe)(joe.context, model).samples(TEXT, seed=4, normalize_audio=False) for model in (plain, warm)
    )
    assert np.abs(whole - windows).max() < 1e-5
