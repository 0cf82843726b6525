"""What was used last is kept, and never more than asked for."""

import pytest

from realtts.accel.graphs.lru import LRUCache


@pytest.fixture
def made():
    """Keys of what was made, in order."""
    return []


def test_the_least_recently_used_goes_first(made):
    """And is made anew when it is wanted again."""
    kept = LRUCache(2)
    for key in "abacab":
        assert kept.get(key, lambda key=key: made.append(key) or key.upper()) == key.upper()
    assert made == ["a", "b", "c", "b"]
    assert list(kept) == ["a", "b"]


def test_there_are_never_more_than_the_limit(made):
    """Not while one is made either: what must go has gone."""
    kept = LRUCache(2)
    for key in range(5):
        kept.get(key, lambda: made.append(len(kept)) or object())
    assert made == [0, 1, 1, 1, 1]
    assert len(kept) == 2


def test_what_cannot_be_made_is_not_kept():
    """The next one tries again."""
    kept = LRUCache(1)
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 / 0)
    assert kept.get("a", lambda: 1) == 1


def test_all_can_go():
    """As when a setting changes that the keys do not hold."""
    kept = LRUCache(3)
    kept.get("a", lambda: 1)
    kept.clear()
    assert len(kept) == 0
    assert kept.get("a", lambda: 2) == 2
