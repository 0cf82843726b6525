"""Seeds of the parts of a text."""

from realtts.plan import derive_seed, piece_seed


def test_the_first_part_has_the_wholes_seed():
    """So that one part alone is spoken as if nothing had been divided; all others have their own, by their place."""
    assert piece_seed(7, 0) == piece_seed(7, 0, "model") == 7
    assert piece_seed(7, 3) == derive_seed(7, 3)
    found = {piece_seed(7, index, *within) for index in range(100) for within in ((), ("model",))}
    assert len(found) == 199
