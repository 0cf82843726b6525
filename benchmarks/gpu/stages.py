"""The stages of a campaign by their names, and the four commands that fill a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpu import attention, capturing, ceilings, glue, micro, parity, profiling, rival, speed, suite
from gpu.findings import describe
from gpu.setup import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpu.setup import Setup

__all__ = ["COMMANDS", "Command", "check_stages", "limit_s", "run_stage"]


def _write(setup: Setup, name: str) -> None:
    with setup.findings.measuring("write", name) as result:
        result["folder"] = str(setup.checkpoint(name))


_MACHINE: dict[str, Callable[[Setup], None]] = {
    "env": ceilings.look,
    "micro": micro.measure,
    "attention": attention.measure,
    "glue": glue.measure,
    "faults": capturing.measure,
    "tests": suite.run_tests,
    "rival": rival.measure,
}
_OF_MODEL: dict[str, Callable[[Setup, str], None]] = {
    "speed": speed.measure,
    "parity": parity.measure,
    "profile": profiling.measure,
    "write": _write,
}
_LIMITS_S = {
    "env": 60, "micro": 60, "attention": 60, "glue": 60, "faults": 40, "tests": 230, "rival": 90, "parity": 90,
    "profile": 80, "speed": 190, "write": 240,
}  # fmt: skip


class Command:
    """A command of the campaign.

    Args:
        budget_s: What it may take.
        stages: In their order.
        write: Models whose random weights are written beside them, for the commands that follow.
    """

    def __init__(self, budget_s: int, *stages: str, write: tuple[str, ...] = ()) -> None:
        self.budget_s, self.stages, self.write = budget_s, stages, write

    def words(self, out: str) -> list[str]:
        """Return what is typed, from the root of the sources."""
        written = ["--write", *self.write] if self.write else []
        start = ["python3", "benchmarks/gpu/launch.py", "--budget", str(self.budget_s), "--out", out]
        return [*start, *self.stages, *written]


COMMANDS = (
    Command(480, "env", "micro", "attention", "glue", "faults", "tests", write=("qwen3", "chatterbox", "f5", "vieneu")),
    Command(480, "speed:qwen3", "rival", "speed:chatterbox"),
    # The short ones first: what there is no time for is one form of the last model.
    Command(480, *(f"parity:{name}" for name in MODELS), "speed:f5", "speed:vieneu"),
    Command(300, *(f"profile:{name}" for name in MODELS)),
)
"""Each below ten minutes, its checkpoints included."""


def check_stages(stages: list[str]) -> list[str]:
    """Return the names that are no stages."""
    return [stage for stage in stages if not _is_stage(stage)]


def limit_s(stage: str) -> float:
    """Return what a stage may take."""
    return _LIMITS_S[stage.partition(":")[0]]


def run_stage(stage: str, setup: Setup) -> bool:
    """Run a stage in this process; whatever it raises is a finding. True: it came to its end."""
    kind, _, name = stage.partition(":")
    try:
        if name:
            _OF_MODEL[kind](setup, name)
        else:
            _MACHINE[kind](setup)
    except BaseException as error:
        setup.findings.add(stage, "died", **describe(error))
        if isinstance(error, KeyboardInterrupt):
            raise
        return False
    return True


def _is_stage(stage: str) -> bool:
    kind, colon, name = stage.partition(":")
    return (kind in _OF_MODEL and name in MODELS) if colon else kind in _MACHINE
