"""Timing and checking a provider's optimized path against its plain one: `realtts bench` and `realtts verify`.

`run_bench` and `run_verify` return the records that the commands print::

    record = run_bench("espeak", Workload.of_set("short"))
    print(record["variants"]["plain"]["warm"]["rtf"]["median"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.lazy import names_from

if TYPE_CHECKING:
    from realtts.bench.compare import compare_records, load_record
    from realtts.bench.runner import run_bench
    from realtts.bench.tools import PluginTools, find_tools, random_checkpoint
    from realtts.bench.verify import Check, run_verify
    from realtts.bench.workload import TEXT_SETS, Text, Workload

__all__ = [
    "TEXT_SETS",
    "Check",
    "PluginTools",
    "Text",
    "Workload",
    "compare_records",
    "find_tools",
    "load_record",
    "random_checkpoint",
    "run_bench",
    "run_verify",
]

__getattr__ = names_from(
    __name__,
    {
        "compare": ("compare_records", "load_record"),
        "runner": ("run_bench",),
        "tools": ("PluginTools", "find_tools", "random_checkpoint"),
        "verify": ("Check", "run_verify"),
        "workload": ("TEXT_SETS", "Text", "Workload"),
    },
)
