"""docs/reference/status.md names every key that a status has."""

import dataclasses
import re
from pathlib import Path

from realtts import Checkpoint, RealProvider
from realtts.attempt import Attempt
from realtts.settings import Settings
from realtts.testing import fake_spec, faulty

PAGE = (Path(__file__).parents[2] / "docs/reference/status.md").read_text(encoding="utf-8")
ON_CUDA_ONLY = {"device_allocated", "device_reserved"}


def keys(heading):
    """The names in the first column of the table under a heading."""
    text = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_every_key_is_described():
    """A provider that gave up a rung, with a checkpoint, has exactly the keys of the page, nested ones included."""
    spec = faulty(fake_spec(checkpoints=(Checkpoint("tiny"),)), "warmup")
    with RealProvider(spec) as tts:
        tts.generate("hello")
        status = tts.get_provider_status()
    assert keys("Keys") == status.keys()
    for name in ("optimization_details", "checkpoint", "cache", "queue"):
        assert keys(name) == status[name].keys(), name
    assert keys("memory") == status["memory"].keys() | ON_CUDA_ONLY
    assert keys("attempts") == status["attempts"][0].keys() == {field.name for field in dataclasses.fields(Attempt)}
    assert status["settings"].keys() == Settings.model_fields.keys()


def test_keys_are_there_before_loading():
    """The same keys are there while nothing is loaded."""
    with RealProvider(fake_spec()) as tts:
        status = tts.get_provider_status()
    assert keys("Keys") == status.keys()
    assert keys("optimization_details") == status["optimization_details"].keys()


def test_states_are_described():
    """Every state is named."""
    from typing import get_args

    from realtts.attempt import State

    row = next(line for line in PAGE.splitlines() if line.startswith("| `state` |"))
    assert set(re.findall(r"`(\w+)`", row)) - {"state", "strict"} == set(get_args(State))
