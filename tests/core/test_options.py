"""What providers share in reading their options."""

from pathlib import Path

import pytest
from pydantic import Field

from realtts import Options, Request
from realtts.kit.steps import chosen_steps
from realtts.wire.schema import options_from_schema

STEPS = {"fast": 7, "balanced": 16, "full": 32}


class Own(Options):
    """Options of a provider."""

    steps: int = 3


class Other(Options):
    """Options of another."""


@pytest.mark.parametrize(("given", "steps"), [(Own(steps=5), 5), (None, 3), (Other(), 3)])
def test_a_request_brings_its_options_or_the_defaults(given, steps):
    """None, and those of another class, are as if there were none."""
    assert Own.of(Request("Hello", options=given)).steps == steps


def test_a_quality_that_is_less_is_never_silent():
    """The full one is, and so is a number that was given."""
    assert chosen_steps(None, "full", STEPS) == (32, ())
    assert chosen_steps(10, "fast", STEPS) == (10, ())
    steps, (warning,) = chosen_steps(None, "fast", STEPS)
    assert steps == 7
    assert warning == "Spoken in the quality 'fast': 7 solver steps instead of 32."


@pytest.mark.parametrize("name", ["file", "folder", "maybe", "words"])
def test_paths_are_known_beyond_the_process(name):
    """What an option says of its format is in the schema of the class that is made from its schema, too."""
    made = options_from_schema(PathOptions.model_json_schema()).model_json_schema()["properties"][name]
    assert made.get("format") == (None if name == "words" else "path")


class PathOptions(Options):
    """Options of which some name files."""

    file: str = Field("", json_schema_extra={"format": "path"})
    folder: Path | None = None
    maybe: str | None = Field(None, json_schema_extra={"format": "path"})
    words: str | None = None
