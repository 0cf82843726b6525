"""A profile of one request: a trace for Chrome's viewer or Perfetto, and a table of the operators that took longest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.bench.remote import environment_of, run_there
from realtts.bench.subject import Subject
from realtts.bench.tools import weights
from realtts.errors import InvalidOption, OutputError
from realtts.provider.facade import RealProvider

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realtts.bench.workload import Workload
    from realtts.contract.spec import ProviderSpec

__all__ = ["check_profile", "write_profiles"]

_ROWS = 30


def check_profile(spec: ProviderSpec, folder: Path) -> None:
    """Find out before anything is timed whether a profile can be had.

    Raises:
        InvalidOption: The provider does not run on torch.
        OutputError: The folder cannot be made, or nothing can be written into it.
    """
    if not spec.torch:
        raise InvalidOption(
            "it does not run on torch, whose profiler is used",
            who=f"provider {spec.name!r}",
            fix="leave --profile out; the record's stages say where the time goes",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(str(error), who=str(folder), fix="give a folder that can be written") from error
    if not os.access(folder, os.W_OK):
        raise OutputError("nothing can be written there", who=str(folder), fix="give a folder that can be written")


def write_profiles(
    provider: str | ProviderSpec,
    workload: Workload,
    folder: Path,
    *,
    variants: Sequence[str],
    settings: Mapping[str, Any],
    random_weights: str | None = None,
) -> list[Path]:
    """Profile the workload's first text in each variant, after speaking it once.

    The model runs in the calling thread, since torch's profiler sees the thread that started it; an isolated provider
    in its environment.

    Args:
        provider: Name or spec, on torch.
        workload: What is spoken.
        folder: Receives ``VARIANT.trace.json`` and ``VARIANT.operators.txt``.
        variants: Which.
        settings: Keywords of `RealProvider`.
        random_weights: As of `realtts.bench.run_bench`.

    Returns:
        The files.

    Raises:
        InvalidOption, OutputError: As `check_profile`.
    """
    with RealProvider(provider, **settings) as unloaded:  # never loaded
        spec, environment = unloaded.spec, environment_of(unloaded)
    check_profile(spec, folder)
    if environment is not None:
        paths = run_there(
            environment, "profile", workload, settings=settings, folder=str(folder.absolute()),
            variants=list(variants), random_weights=random_weights,
        )  # fmt: skip
        return [Path(path) for path in paths]
    with weights(spec, workload, settings, random_weights) as (spoken, keywords):
        return _profiles(spec, spoken, folder, variants, keywords)


def _profiles(
    spec: ProviderSpec, workload: Workload, folder: Path, variants: Sequence[str], settings: Mapping[str, Any]
) -> list[Path]:
    keywords = {**settings, "force_tokens_per_char": workload.tokens_per_char}
    written = []
    for variant in variants:
        with Subject(spec, {**keywords, "optimize": variant == "optimized"}) as subject:
            subject.whole([subject.plan(workload.texts[0], workload)])
            profile = _profiled(subject, workload)
        trace, table = folder / f"{variant}.trace.json", folder / f"{variant}.operators.txt"
        profile.export_chrome_trace(str(trace))
        table.write_text(_table(profile), encoding="utf-8")
        written += [trace, table]
    return written


def _profiled(subject: Subject, workload: Workload) -> Any:
    import torch

    kinds = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    plan = subject.plan(workload.texts[0], workload)
    with torch.profiler.profile(activities=kinds, record_shapes=True) as profile:
        subject.whole([plan])
    return profile


def _table(profile: Any) -> str:
    averages = profile.key_averages()
    on_device = any(getattr(event, "self_device_time_total", 0) for event in averages)
    order = "self_device_time_total" if on_device else "self_cpu_time_total"
    return str(averages.table(sort_by=order, row_limit=_ROWS, max_name_column_width=80))
