"""The program that benches and verifies inside an isolated environment, for `realtts.bench.remote`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.bench.facts import lacking_extras
from realtts.bench.profiling import write_profiles
from realtts.bench.remote import install_into, workload_from_json
from realtts.bench.runner import run_bench
from realtts.bench.tools import write_random_weights
from realtts.bench.verify import run_verify
from realtts.errors import MissingExtra, RealTTSError
from realtts.wire.child import serve
from realtts.wire.specs import spec_from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["work"]


def work(job: Mapping[str, Any], tell: Callable[[str], None]) -> Any:
    """Run the function that the job names, with the provider in this process."""
    try:
        return _run(job, tell)
    except RealTTSError as error:
        if isinstance(error, MissingExtra) or any(
            attempt.exception.endswith("MissingExtra") for attempt in getattr(error, "attempts", ())
        ):
            # What the plugin advises is meant for an environment that the user installs into by hand.
            name = job["spec"]["name"]
            error.fix = install_into(name, lacking_extras(name))
        raise


def _run(job: Mapping[str, Any], tell: Callable[[str], None]) -> Any:
    provider, workload = spec_from_json(job["spec"], installed=True), workload_from_json(job["workload"])
    settings = {**job["settings"], "isolation": "never"}
    keywords = dict(job["keywords"])
    if job["what"] == "bench":
        return run_bench(provider, workload, settings=settings, tell=tell, **keywords)
    if job["what"] == "verify":
        return run_verify(provider, workload, settings=settings, **keywords)
    folder = Path(keywords.pop("folder"))
    if job["what"] == "weights":
        return write_random_weights(provider, folder, **keywords)
    return [str(path) for path in write_profiles(provider, workload, folder, settings=settings, **keywords)]


if __name__ == "__main__":
    sys.exit(serve(work))
