"""What providers share in reading their options."""

import pytest

from realtts import Options, Request
from realtts.kit.steps import chosen_steps

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
