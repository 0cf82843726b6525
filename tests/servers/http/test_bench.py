"""``realtts bench --url`` against the server."""

from __future__ import annotations

import json

import pytest

from realtts.cli.app import run
from realtts.testing import fake_spec

BENCH = ["bench", "--model", "fake", "--voices", "low", "high", "--text", "alpha beta", "--duration", "0.4"]


@pytest.mark.parametrize("way", [["--concurrency", "3"], ["--rate", "20"]])
def test_a_server_is_timed(serve, capsys, tmp_path, way):
    """With the figures of a load on a provider, and a record that can be compared."""
    url = f"{serve(fake_spec()).url}/v1"
    for name in ("a", "b"):
        assert run([*BENCH, "--url", url, *way, "--label", name, "--json", str(tmp_path / f"{name}.json")]) == 0
    assert "first audio" in capsys.readouterr().out
    record = json.loads((tmp_path / "a.json").read_text())
    server = record["variants"]["server"]
    assert server["requests"] >= 2
    assert server["failed"] == {}
    assert server["audio_s"] == pytest.approx(0.2 * server["requests"], rel=0.01)
    assert run(["bench", "--compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (["--url", "ftp://x"], "--url"),
        (["--url", "http://127.0.0.1:9/v1"], "refused"),
        (["--url", "http://127.0.0.1:1/v1", "--tokens", "3"], "--tokens"),
    ],
)
def test_what_is_wrong_is_told(capsys, change, word):
    """Before or at the first request, with exit code 2."""
    assert run([*BENCH, *change]) == 2
    assert word in capsys.readouterr().err


def test_a_model_that_it_has_not(serve, capsys):
    """The server's own message."""
    url = f"{serve(fake_spec()).url}/v1"
    assert run(["bench", "--url", url, "--model", "none", "--text", "alpha"]) == 2
    assert "There is no model 'none'" in capsys.readouterr().err
