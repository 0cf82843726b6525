"""The command that installs into this environment."""

from __future__ import annotations

import importlib.metadata
import sys
import warnings

import pytest

from realtts.machine.installer import installs_with_pip, pip_command


@pytest.mark.parametrize("there", [True, False])
def test_it_is_the_one_that_works_here(monkeypatch, there):
    """Environments that uv makes hold no pip."""

    def distribution(name):
        if not there:
            raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    assert installs_with_pip() is there
    assert pip_command() == ("pip install" if there else f"uv pip install --python {sys.executable}")


def test_no_module_is_replaced(monkeypatch):
    """Setuptools replaces distutils, with a warning, where somebody looks for the module of pip."""
    asked = []

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            asked.append(name)

    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pip_command()
    assert "pip" not in asked
