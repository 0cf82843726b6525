"""Waiting for what another thread or process does."""

import time


def until(condition, seconds=60.0):
    """Return once a condition holds; it is asked every few milliseconds.

    Raises:
        AssertionError: It did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)
