"""``realtts providers``, ``status`` and ``voices``."""

from __future__ import annotations

import json
import sys

import pytest


def test_providers(cli):
    """Every provider with summary, capabilities, languages and licences."""
    result = cli("providers")
    assert result.code == 0
    blocks = {block.split()[0]: block for block in result.out.replace("\n  ", "\0").splitlines()}
    assert "Tones instead of speech" in blocks["fake"]
    assert "clone, marks, streaming, voices" in blocks["fake"]
    assert "en, de, pt-br" in blocks["fake"]
    assert "Apache-2.0 (fake-plugin)" in blocks["fake"]
    assert "small (owner/small): MIT, 3.0 MiB" in blocks["mute"]
    assert "16: la, lb, lc, ld, le, lf, lg, lh, li, lj, lk, ll, ..." in blocks["markup"]
    assert all(len(line) <= 80 for line in result.out.splitlines())


def test_broken_providers_are_listed_with_the_reason(cli, bad_plugins):
    """One that raises and two that clash are listed beside those that work; extensions too."""
    result = cli("providers")
    out = " ".join(result.out.split())
    assert result.code == 0
    assert "bad 1.0 BROKEN" in out
    assert "ValueError: [red]no" in out
    assert "claimed by one and two" in out
    assert "fake 1.0 summary" in out
    assert "upper some-extensions 1.0, ok" in out
    assert "broken some-extensions 1.0, BROKEN: AttributeError" in out


def test_providers_as_json(cli, bad_plugins):
    """The same for programs."""
    found = json.loads(cli("providers", "--json").out)
    by_name = {provider["name"]: provider for provider in found["providers"]}
    assert by_name["fake"]["broken"] is None
    assert by_name["fake"]["languages"] == ["en", "de", "pt-br"]
    assert by_name["mute"]["checkpoints"][0]["size_bytes"] == 3 << 20
    assert "ValueError" in by_name["bad"]["broken"]
    assert [(extension["name"], extension["broken"] is None) for extension in found["extensions"]] == [
        ("broken", False),
        ("upper", True),
    ]


def test_no_providers(cli, monkeypatch):
    """Where nothing is installed, the listing says what to install."""
    monkeypatch.setattr("realtts.registry.providers.installed", list)
    assert "pip install realtts-espeak" in cli("providers").out


def test_provider_without_languages_or_licence(cli, monkeypatch):
    """What a spec leaves out is said to be not stated."""
    from realtts import Checkpoint, Installed, ProviderSpec

    spec = ProviderSpec(
        name="bare", summary="Bare.", sample_rates=(8000,), plain="a:B", checkpoints=(Checkpoint("only"),)
    )
    monkeypatch.setattr(
        "realtts.registry.providers.installed", lambda: [Installed("bare", spec, None, "bare-plugin", "")]
    )
    out = cli("providers").out
    assert "languages      not stated" in out
    assert "capabilities   -" in out
    assert "licence        not stated (bare-plugin)" in out
    assert "only: licence not stated" in out


def test_status_loads_nothing(cli):
    """Without --load the model stays where it is."""
    result = cli("status", "fake")
    assert result.code == 0
    assert "unloaded" in result.out
    assert "not loaded (see --load)" in result.out


def test_status_after_loading(cli):
    """With --load the path that works is shown, and what was given up, with the remedy."""
    result = cli("status", "falls", "--load", "--device", "cpu")
    out = " ".join(result.out.split())
    assert result.code == 0
    assert "state ready" in out
    assert "path plain, rung plain" in out
    assert "compile off" in out
    assert "in stage compile: RuntimeError: no [bold]compiler[/bold] here. Remedy: " in out


def test_status_shows_the_checkpoint(cli):
    """The checkpoint and where it comes from."""
    assert "small (owner/small)" in cli("status", "mute").out


def test_status_as_json(cli):
    """The dictionary of get_provider_status."""
    found = json.loads(cli("status", "fake", "--load", "--json").out)
    assert (found["provider"], found["state"], found["variant"]) == ("fake", "ready", "optimized")


def test_status_of_what_cannot_be_loaded(cli):
    """The attempts are shown, then the error, once."""
    result = cli("status", "stuck", "--load")
    assert result.code == 2
    assert "failed" in result.out
    assert result.out.count("OSError: no weights") == 2
    assert len(result.err.splitlines()) == 1


class TestVoices:
    """Saved voices."""

    def test_are_added_listed_used_and_removed(self, cli, work, recording):
        """The life of a saved voice."""
        assert "No voice is saved" in cli("voices", "list").out
        assert cli("voices", "add", "me", recording).out.startswith("saved 'me': 2.00 s at 16000 Hz; without its words")
        assert cli("voices", "add", "me", recording).code == 2
        (work / "words.txt").write_text("la la\n", encoding="utf-8")
        replaced = cli("voices", "add", "me", recording, "--text-file", "words.txt", "--overwrite")
        assert replaced.out == "saved 'me': 2.00 s at 16000 Hz\n"
        assert cli("voices", "list").out.splitlines() == [
            "name  seconds  Hz     words",
            "me    2.00     16000  la la",
        ]
        assert cli("say", "hi", "-p", "fake", "-v", "me", "-o", "a.wav").code == 0
        assert cli("voices", "add", "you", recording, "--text", "lo").code == 0
        assert cli("voices", "remove", "me", "you").out == "removed 'me'\nremoved 'you'\n"
        assert json.loads(cli("voices", "list", "--json").out) == []

    def test_as_json(self, cli, recording):
        """Everything that is known of a saved voice."""
        cli("voices", "add", "me", recording, "--text", "la")
        (voice,) = json.loads(cli("voices", "list", "--json").out)
        assert (voice["name"], voice["duration"], voice["sample_rate"], voice["text"]) == ("me", 2.0, 16000, "la")
        assert voice["broken"] is None

    def test_damaged_ones_are_listed(self, cli, work, recording):
        """A damaged voice is listed with what is wrong, and can be removed."""
        cli("voices", "add", "me", recording)
        (work.parent / "data" / "voices" / "me" / "voice.wav").unlink()
        assert "BROKEN: voice.wav is missing" in cli("voices", "list").out
        assert cli("voices", "remove", "me").code == 0

    def test_of_a_provider(self, cli, recording):
        """With --provider its built-in voices are listed beside the saved ones."""
        cli("voices", "add", "me", recording)
        out = cli("voices", "list", "-p", "fake").out
        assert [line.split()[0] for line in out.splitlines()] == ["id", "low", "high", "me"]
        assert [voice["id"] for voice in json.loads(cli("voices", "list", "-p", "fake", "--json").out)] == [
            "low",
            "high",
            "me",
        ]

    def test_of_a_provider_with_one_voice(self, cli):
        """A provider without voices says so."""
        assert cli("voices", "list", "-p", "mute").out == "It has one voice only.\n"

    def test_wide_names_keep_the_columns(self, cli, recording):
        """Characters that take two columns, and long words, do not break the table."""
        cli("voices", "add", "\u58f0\u97f3", recording, "--text", "word " * 50)
        cli("voices", "add", "ann\u0065\u0301", recording)
        header, first, second = cli("voices", "list").out.splitlines()
        assert header.index("seconds") == first.index("2.00") == second.index("2.00") + 2
        assert second.endswith("...")

    def test_words_that_cannot_be_read(self, cli, recording):
        """A missing text file is an error of its own."""
        result = cli("voices", "add", "me", recording, "--text-file", "none.txt")
        assert (result.code, "none.txt: it cannot be read" in result.err) == (2, True)


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("latin-1", marks=pytest.mark.full)])
def test_other_terminals(process, work, recording, monkeypatch, encoding):
    """A name that the terminal's encoding lacks is printed with escapes, not as an error."""
    process("voices", "add", "\u58f0", recording)
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    result = process("voices", "list")
    assert result.code == 0
    assert "\\u58f0" in result.out


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently there")
def test_a_reader_that_goes_away(work):
    """| head ends a listing without a word."""
    import os
    import subprocess

    read, write = os.pipe()
    os.close(read)
    try:
        command = [sys.executable, "-m", "realtts", "providers"]
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")
