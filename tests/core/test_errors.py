"""Errors say who, what and the fix, and survive a trip between processes."""

import copy
import pickle

import pytest

import realtts
from realtts import errors
from realtts.attempt import Attempt

ATTEMPT = Attempt("fast", "optimized", "load", "ValueError", "no", "Traceback ...", "Do it.", 0.1, retryable=False)


def instance(cls):
    """An error of the class."""
    if issubclass(cls, errors.StageFailed):
        return cls("it broke", who="provider 'x'", fix="mend it", attempts=(ATTEMPT,))
    return cls("it broke", who="provider 'x'", fix="mend it")


@pytest.mark.parametrize("name", errors.__all__, ids=str)
def test_message_pickle_and_copy(name):
    """The message has all three parts; a copy is of the same class with the same parts."""
    error = instance(getattr(errors, name))
    assert str(error) == "provider 'x': it broke. Fix: mend it."
    assert isinstance(error, errors.RealTTSError)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert (str(twin), vars(twin)) == (str(error), vars(error))


def test_message_without_a_fix():
    """Two parts will do."""
    assert str(errors.RealTTSError("it broke")) == "realtts: it broke."


def test_tree_is_drawn_in_the_module():
    """Every class stands in the docstring, under its base."""
    lines = [line.strip("│ ├└─").split() for line in errors.__doc__.splitlines()]
    drawn = [line[0] for line in lines if line]
    for name in errors.__all__:
        assert name in drawn


def test_input_errors_are_value_errors():
    """So that code which knows nothing of realtts does the right thing."""
    assert issubclass(realtts.InputError, ValueError)
    assert issubclass(realtts.SettingsError, ValueError)


def test_closest_is_a_help_or_nothing():
    """A near name is offered, a far one is not."""
    assert errors.closest("chaterbox", ["chatterbox", "f5"]) == " (did you mean 'chatterbox'?)"
    assert errors.closest("zzz", ["chatterbox", "f5"]) == ""
