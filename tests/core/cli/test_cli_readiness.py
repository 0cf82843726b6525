"""What `realtts doctor` says of weights, disk, network and of what `say` would do."""

import pytest

from realtts.cli import readiness


def report(state="absent", missing=100, free=1000, network="reachable", place="in process"):
    """A report about one provider with weights and one without."""
    one = {"checkpoint": "base", "source": "owner/base", "state": state, "missing_bytes": missing}
    about = {"providers": {"big": one}, "cache": "/cache", "free": free, "network": network}
    return {"providers": [{"name": "big", "place": place}, {"name": "small", "place": place}], "weights": about}


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "would download 'base' (100 B) from owner/base"),
        ({"state": "partial", "missing": 40}, "would download the rest of 'base' (40 B) from owner/base"),
        ({"missing": None}, "would download 'base' (of unknown size) from owner/base"),
        ({"state": "complete", "missing": 0}, "weights 'base' are here"),
        ({"missing": 3 << 30}, "would download 'base' (3.0 GiB) from owner/base"),
    ],
)
def test_weights_in_words(facts, words):
    """Of each provider; one that needs none says so."""
    about = report(**facts)["weights"]
    assert readiness.described("big", about) == words
    assert readiness.described("small", about) == "needs no weights from the hub"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"free": 50}, "need 100 B"),
        ({"network": "unreachable"}, "the hub is unreachable"),
        ({"network": "switched off"}, "unset HF_HUB_OFFLINE"),
        ({}, None),
        ({"state": "complete", "missing": 0, "network": None, "free": 0}, None),
        ({"place": "isolated", "network": "unreachable"}, None),
        ({"missing": None, "free": 1}, None),
    ],
)
def test_what_stands_in_the_way(facts, words):
    """Too small a disk, a hub that does not answer or is switched off; nothing where the weights are here."""
    said = " ".join(" ".join(pair) for pair in readiness.problems(report(**facts)))
    assert (words in said) if words else not said


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_a_hub_that_is_switched_off(monkeypatch, value):
    """As the hub's library reads the variable; nothing is asked."""
    monkeypatch.undo()
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert readiness._network() == "switched off"


def test_the_doctor_says_what_say_would_do(cli, monkeypatch):
    """The provider that is taken, and what it would fetch."""
    out = cli("doctor").out
    assert "realtts say, with no provider named" in out
    monkeypatch.setenv("REALTTS_PROVIDER", "nobody")
    assert "no provider of that name" in " ".join(cli("doctor").out.split())
