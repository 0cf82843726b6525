"""``realtts verify``: a table, and an exit code that a script can use."""

from __future__ import annotations

import json

import staged_provider


def test_everything_holds(cli, staged):
    """One line per check and the exit code 0."""
    result = cli("verify", staged, "--random-weights", "tiny", "--tokens", "20")
    assert result.code == 0
    assert result.out.splitlines()[0].split() == ["check", "value", "tolerance"]
    assert "tokens, float32" in result.out
    assert "MISSED" not in result.out
    assert all(len(line) <= 80 for line in result.out.splitlines())


def test_a_missed_tolerance(cli, staged, monkeypatch):
    """The check is marked, and the exit code is 1."""
    monkeypatch.setattr("staged_plugin.TOLERANCES", {"float16": 1e-12}, raising=False)
    monkeypatch.setattr(staged_provider, "TOLERANCES", {"float16": 1e-12})
    result = cli("verify", staged, "--text", "Hello there.", "--random-weights", "tiny")
    assert result.code == 1
    assert "MISSED" in result.out


def test_a_fallback(cli):
    """Why the optimized variant does not run stands on standard error."""
    result = cli("verify", "falls", "--text", "one two")
    assert result.code == 1
    assert "fell back to plain" in result.out
    assert "no [bold]compiler[/bold]" in result.err


def test_json(cli):
    """The same for programs; languages that are lacking are named."""
    found = json.loads(cli("verify", "fake", "--text-set", "multilingual", "--json").out)
    assert found["ok"] is True
    assert "fr" in found["left_out"]


def test_what_was_left_out_is_said(cli):
    """No testing module, and languages that the provider lacks."""
    result = cli("verify", "fake", "--text-set", "multilingual")
    assert "audio alone" in result.err
    assert "Left out" in result.err
