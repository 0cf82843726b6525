"""Timing and checking a provider's optimized path against its plain one: `realtts bench` and `realtts verify`.

`run_bench` and `run_verify` return the records that the commands print::

    record = run_bench("espeak", Workload.of_set("short"))
    print(record["variants"]["plain"]["warm"]["rtf"]["median"])

May import worker, isolation and what stands below them.
"""

from realtts.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__)
