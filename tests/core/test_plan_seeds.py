"""What the parts of a text have of the whole: seeds, and a number of tokens that is ordered for all."""

import pytest

from realtts.kit.seeds import derive_seed, piece_seed, shared


def test_the_first_part_has_the_wholes_seed():
    """So that one part alone is spoken as if nothing had been divided; all others have their own, by their place."""
    assert piece_seed(7, 0) == piece_seed(7, 0, "model") == 7
    assert piece_seed(7, 3) == derive_seed(7, 3)
    found = {piece_seed(7, index, *within) for index in range(100) for within in ((), ("model",))}
    assert len(found) == 199


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (1, 100), (100, 1), (7, 0, 3), (5,), (3, 900, 1, 1, 2)])
@pytest.mark.parametrize("total", [1, 3, 10, 101, 4000])
def test_shares_add_up(sizes, total):
    """Together as many as asked for, at least one each; and no rounding error beyond one where all have enough."""
    found = shared(total, sizes)
    assert min(found) >= 1
    assert sum(found) == max(total, len(sizes))
    fair = [total * size / sum(sizes) for size in sizes]
    assert min(fair) < 1 or all(abs(one - other) <= 1 for one, other in zip(found, fair, strict=True))


def test_nothing_is_shared_among_none():
    """A text without parts is no error here."""
    assert shared(10, ()) == ()
