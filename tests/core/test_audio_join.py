"""Pieces joined without clicks."""

from __future__ import annotations

import numpy as np
import pytest

from realtts import audio

RATE = 24_000
FADE = 120


def tone(count, phase=0.0):
    """A sine at half of full scale."""
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(count) / RATE + phase)).astype(np.float32)


def join(pieces, pause_s=0.0, size=None):
    """All pieces through a joiner, in chunks of a size."""
    joiner = audio.Joiner(RATE)
    out = []
    for number, piece in enumerate(pieces):
        if number:
            out.append(joiner.end_piece(pause_s))
        step = size or len(piece) or 1
        out.extend(joiner.push(piece[at : at + step]) for at in range(0, len(piece), step))
    return np.concatenate([*out, joiner.finish()])


@pytest.mark.parametrize("count", [0, 1, FADE - 1, FADE, FADE + 1, 5000])
@pytest.mark.parametrize("size", [None, 1, 100], ids=["whole", "single samples", "chunks"])
def test_a_single_piece_comes_out_bit_by_bit(count, size):
    """However short it is."""
    piece = tone(count, phase=1.0)
    assert np.array_equal(join([piece], size=size), piece)


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_nothing_is_held_back_of_one_that_is_alone(size):
    """So that a stream of one piece is not late."""
    joiner, piece = audio.Joiner(RATE, alone=True), tone(5000, phase=1.0)
    for at in range(0, len(piece), size):
        assert np.array_equal(joiner.push(piece[at : at + size]), piece[at : at + size])
    assert not len(joiner.finish())


@pytest.mark.parametrize("pause_s", [0.0, 0.25])
def test_lengths_add_up(pause_s):
    """Pieces and pauses, nothing else."""
    pieces = [tone(5000), tone(3), tone(FADE), tone(0), tone(4000)]
    assert len(join(pieces, pause_s)) == 5000 + 3 + FADE + 4000 + 4 * round(pause_s * RATE)


@pytest.mark.parametrize("pause_s", [0.0, 0.1])
def test_no_seam_clicks(pause_s):
    """Pieces that end and begin at full swing make no step larger than the signal's own."""
    pieces = [tone(5005, phase) for phase in (1.5, 4.0, 2.0)]
    joined = join(pieces, pause_s)
    assert np.abs(np.diff(joined)).max() <= 1.05 * np.abs(np.diff(tone(5000))).max()


def test_only_the_seams_are_touched():
    """The first beginning, the last end and everything between the fades stay; the pause is silent."""
    first, second = tone(5000, 1.0), tone(4000, 2.0)
    joined = join([first, second], 0.1)
    assert np.array_equal(joined[: 5000 - FADE], first[:-FADE])
    assert not joined[5000:7400].any()
    assert np.array_equal(joined[7400 + FADE :], second[FADE:])


@pytest.mark.parametrize("size", [1, 7, 50, 333])
def test_chunks_do_not_matter(size):
    """The same pieces, cut otherwise."""
    pieces = [tone(1000, 1.0), tone(50), tone(2000, 3.0)]
    assert np.array_equal(join(pieces, 0.01, size=size), join(pieces, 0.01))


def test_what_was_pushed_is_left_alone():
    """The caller's samples are faded in a copy."""
    joiner = audio.Joiner(RATE)
    joiner.push(tone(1000))
    joiner.end_piece()
    samples = tone(1000, 1.0)
    joiner.push(samples)
    assert np.array_equal(samples, tone(1000, 1.0))


def test_little_is_held_back():
    """No more than a fade, so that streams start at once."""
    joiner = audio.Joiner(RATE)
    assert len(joiner.push(tone(1000))) == 1000 - FADE
    assert len(joiner.finish()) == FADE
    assert len(joiner.finish()) == 0


def test_a_fade_is_at_least_one_sample():
    """At rates and lengths where it rounds to none."""
    joiner = audio.Joiner(8000, fade_s=0.0)
    out = [joiner.push(tone(10)), joiner.end_piece(), joiner.push(tone(10)), joiner.finish()]
    assert sum(map(len, out)) == 20
