"""What waits for ``nox -t full``: the rest of a table of cases, and what the conformance suite asks of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

OF_THE_CORE = frozenset({
    "test_status_never_loads",
    "test_unload_and_load_again",
    "test_closed_provider_refuses",
    "test_closed_stream_leaves_the_provider_usable",
    "test_eight_threads",
    "test_a_bad_request_harms_no_other",
    "test_fault_falls_back_to_plain",
    "test_strict_raises_the_fault",
    "test_no_rung_left_is_a_typed_error",
    "test_optimize_false_is_plain",
    "test_every_row_gets_one_end",
    "test_a_row_joins_while_another_is_spoken",
    "test_a_row_that_nobody_wants_any_more_is_not_spoken",
})  # fmt: skip
"""Tests of the suite in which the core and its toolkit act more than the model does. By default the fakes, the embedded
voice and the toy model of `realtts.accel` have them; for a class's attribute ``full``."""


def by_default(cases: Mapping[str, Any], *names: str) -> list[Any]:
    """Return a parameter for each case under its name; those that are not named are marked ``full``."""
    assert cases.keys() >= set(names), "there is no such case"
    return [
        pytest.param(case, id=name, marks=() if name in names else pytest.mark.full) for name, case in cases.items()
    ]
