"""Thousands of texts spoken into files: rows of a table in, a folder with a manifest out, resumed after any end.

`run_job` does what ``realtts batch`` does::

    job = BulkJob(source="texts.jsonl", folder="speech", provider="espeak")
    summary = run_job(job)
    print(summary.spoken, "of", summary.rows)

`speak_row` speaks one row on any provider, for schedulers of others. May import provider and what stands below it.
"""

from realtts.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__)
