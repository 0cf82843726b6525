"""The frozen list of sentences for listening."""

import hashlib
from collections import Counter
from importlib import resources

import pytest

from realtts.listening import STRATA, listening_texts

FROZEN = "b34ad64f1a14917efcf4b37d307aef4d9303bd9621c4a3186f31840e32f53cdd"


def test_frozen():
    """The list is the one that was committed before any voice was tuned; a change makes old records worthless."""
    data = (resources.files("realtts.listening") / "data" / "listening.tsv").read_bytes()
    assert hashlib.sha256(data).hexdigest() == FROZEN


def test_strata():
    """Each of the six strata has ten sentences, all different."""
    texts = listening_texts()
    assert Counter(item.stratum for item in texts) == dict.fromkeys(STRATA, 10)
    assert len({item.text for item in texts}) == 60


@pytest.mark.parametrize("item", listening_texts(), ids=lambda item: item.text[:20])
def test_readings(item):
    """A reading is words only: no digit, no sign, no brace is left, and no alternative stands twice."""
    readings = item.readings()
    assert len(readings) == len(set(readings))
    assert all(not set("0123456789{}|%$€£¥×=+/&°").intersection(reading) for reading in readings)


def test_alternatives():
    """Alternatives in braces are combined."""
    first = listening_texts()[0]
    assert "It was minus twelve degrees at dawn and plus three by noon." in first.readings()
    assert "It was negative twelve degrees at dawn and three by noon." in first.readings()
    assert len(first.readings()) == 4
