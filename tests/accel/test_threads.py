"""Compute threads: set for a while, handed to children, and counted against the cores."""

import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from realtts import SettingsError  # noqa: E402
from realtts.accel.optimizer import threads  # noqa: E402
from realtts.machine.hardware import physical_cores  # noqa: E402

pytestmark = pytest.mark.usefixtures("unchanged", "no_variables")


@pytest.fixture
def no_variables(monkeypatch):
    """What the environment of the tests says of threads is left out."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (3, 3), ("auto", physical_cores())])
def test_count_is_in_force_inside_and_gone_outside(count, expected):
    """Also after an error."""
    before = torch.get_num_threads()
    with threads.compute_threads(count) as got:
        assert got == torch.get_num_threads() == expected
    assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), threads.compute_threads(count):
        _ = 1 / 0
    assert torch.get_num_threads() == before


def test_they_can_be_nested():
    """The inner one wins while it lasts."""
    with threads.compute_threads(2):
        with threads.compute_threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize("count", [0, -1, 1025, 1.5, True, "many", None])
def test_anything_else_is_refused(count):
    """Before anything is set."""
    with pytest.raises(SettingsError, match="from 1 to 1024"), threads.compute_threads(count):
        pytest.fail("it was accepted")


def test_children_start_with_the_count():
    """The variables of all libraries, in a copy of the environment."""
    asked = threads.child_environment(3, {"PATH": "x", "OMP_NUM_THREADS": "7"})
    assert {asked[name] for name in threads.VARIABLES} == {"3"}
    assert asked["PATH"] == "x"


def test_what_the_user_has_set_wins_over_auto():
    """A number would win over it."""
    asked = threads.child_environment("auto", {"OMP_NUM_THREADS": "7"})
    assert asked["OMP_NUM_THREADS"] == "7"
    assert asked["MKL_NUM_THREADS"] == str(physical_cores())


def test_a_child_process_sees_it_and_the_environment_comes_back():
    """For processes that are started by somebody else's code."""
    before = {name: os.environ.get(name) for name in threads.VARIABLES}
    with threads.exported(5):
        code = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["5", "5"]
    assert {name: os.environ.get(name) for name in threads.VARIABLES} == before


def test_oversubscription_is_found():
    """From the environment, from torch, and from several workers; nothing is found where there is none."""
    cores = physical_cores()
    with threads.compute_threads(1):
        assert threads.find_oversubscription(environ={"OMP_NUM_THREADS": f"{cores}", "MKL_NUM_THREADS": "x"}) == []
        found = threads.find_oversubscription(cores + 1, {"OMP_NUM_THREADS": f"{cores + 1},1"})
    assert [(item.source, item.threads, item.cores) for item in found] == [
        ("OMP_NUM_THREADS", cores + 1, cores),
        ("workers", cores + 1, cores),
    ]
    assert f"set threads={cores}" in str(found[0])
    with threads.compute_threads(cores + 2):
        assert [item.source for item in threads.find_oversubscription(environ={})] == ["torch"]
