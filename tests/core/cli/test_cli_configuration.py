"""``--configuration``: every command that looks at weights takes it, and checks it before any work."""

import pytest

COMMANDS = [
    ("say", "Hello.", "--provider", "fake"),
    ("status", "fake"),
    ("status", "fake", "--load"),
    ("bench", "fake"),
    ("verify", "fake"),
    ("download", "fake"),
    ("voices", "list", "--provider", "fake"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_a_provider_does_not_know_is_refused(cli, command):
    """The error is the one that `RealProvider` gives."""
    result = cli(*command, "--model", ".", "--configuration", "v0-base")
    assert result.code == 2
    assert "it has no configurations to choose from" in result.err


@pytest.mark.parametrize("command", COMMANDS[3:5], ids=" ".join)
def test_random_weights_have_one(cli, command):
    """They are what the plugin writes."""
    result = cli(*command, "--random-weights", "tiny", "--configuration", "v0-base")
    assert result.code == 2
    assert "--configuration and --random-weights are both given" in result.err
