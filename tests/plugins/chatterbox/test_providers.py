"""The names of the first Chatterbox document."""

from __future__ import annotations

import pytest

from realtts_chatterbox.providers import OptimizedChatterboxProvider, RealChatterboxProvider

FORCED = {"force_tokens_per_char": 1.0, "threads": 1}


def test_the_documents_program_runs(folders, recording, tmp_path) -> None:
    """As it is written there, but for the import, the checkpoint and the device."""
    import soundfile

    soundfile.write(tmp_path / "speaker.wav", *recording)
    provider = OptimizedChatterboxProvider(
        device="cpu", dtype="float32", use_compilation=True, cpu_offload=False, model=folders("english"), **FORCED
    )
    with provider:
        result = provider.generate(
            text="Hi!", voice_path=str(tmp_path / "speaker.wav"), emotion="neutral", exaggeration=0.5,
            cfg_weight=0.5,
        )  # fmt: skip
        assert result.duration > 0


def test_the_status_tells_what_was_optimized(folders) -> None:
    """By the two keys that the document reads."""
    with RealChatterboxProvider(model=folders("english"), device="cpu", **FORCED) as provider:
        provider.generate("Hello.", n_cfm_timesteps=1)
        status = provider.get_provider_status()
        assert status.get("optimization_enabled") is True
        assert status["optimization_details"]["device"] == "cpu"


@pytest.mark.parametrize(
    ("name", "value", "setting", "expected"),
    [
        ("CHATTERBOX_DTYPE", "float32", "dtype", "float32"),
        ("CHATTERBOX_COMPILATION", "false", "compile", False),
        ("CHATTERBOX_CPU_OFFLOAD", "true", "cpu_offload", True),
        ("DISABLE_OPTIMIZATION", "true", "optimize", False),
    ],
)
def test_the_documents_environment(folders, monkeypatch, name, value, setting, expected) -> None:  # noqa: PLR0917
    """Its four variables are read."""
    monkeypatch.setenv(name, value)
    with RealChatterboxProvider(model=folders("english"), device="cpu") as provider:
        assert getattr(provider.settings, setting) == expected


def test_what_is_not_given_is_left_to_the_settings(folders, monkeypatch) -> None:
    """None in the constructor does not hide the environment."""
    monkeypatch.setenv("CHATTERBOX_DTYPE", "float32")
    with OptimizedChatterboxProvider("cpu", model=folders("english")) as provider:
        assert provider.settings.dtype == "float32"
    with OptimizedChatterboxProvider("cpu", "bfloat16", use_compilation=False, model=folders("english")) as provider:
        assert (provider.settings.dtype, provider.settings.compile) == ("bfloat16", False)
