"""A picture of records: RTF with its spread, and the shares of the stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.bench.load_plot import draw_loads
from realtts.bench.results import LOAD_KIND
from realtts.errors import MissingExtra, OutputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["check_plot", "plot_records"]

_SUFFIXES = (".png", ".svg", ".pdf")
_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#a463f2", "#97bbf5", "#9c6b4e")
_OTHER = "#c8c8c8"
_BAR = "#59636e"  # none of the stages' colours


def check_plot(path: Path) -> None:
    """Find out before anything is timed whether the picture can be drawn.

    Raises:
        MissingExtra: matplotlib is not installed.
        OutputError: The suffix is none of ours, or there is no such folder.
    """
    try:
        import matplotlib  # noqa: F401 - whether it is there
    except ImportError as error:
        raise MissingExtra("matplotlib is not installed", who="--plot", fix='pip install "realtts[plot]"') from error
    if path.suffix.lower() not in _SUFFIXES:
        raise OutputError("unknown suffix of a picture", who=str(path), fix=f"use one of {', '.join(_SUFFIXES)}")
    if not path.absolute().parent.is_dir():
        raise OutputError("there is no such folder", who=str(path.parent), fix="create it first")


def plot_records(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw records into a picture.

    Args:
        records: One or more of `realtts.bench.run_bench`, or of `realtts.bench.run_load`.
        path: A .png, .svg or .pdf file.

    Raises:
        MissingExtra, OutputError: As `check_plot`, or the file cannot be written.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    if records[0].get("kind") == LOAD_KIND:
        draw_loads(figure, records)
    else:
        _draw(figure, records)
    figure.suptitle(_title(records), fontsize=11)
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise OutputError(str(error), who=str(path), fix="give a file that can be written") from error


def _draw(figure: Any, records: Sequence[Mapping[str, Any]]) -> None:
    bars = [(_name(record, name, len(records)), variant) for record in records
            for name, variant in record["variants"].items()]  # fmt: skip
    figure.set_size_inches(10, 1.9 + 0.55 * len(bars))
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_rtf(left, bars)
    _draw_shares(right, bars)


def _draw_rtf(axes: Any, bars: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Draw medians as bars and quartiles as whiskers."""
    factors = [variant["warm"]["rtf"] or {"median": 0.0, "q1": 0.0, "q3": 0.0} for _, variant in bars]
    medians = [rtf["median"] for rtf in factors]
    spread = [[rtf["median"] - rtf["q1"] for rtf in factors], [rtf["q3"] - rtf["median"] for rtf in factors]]
    axes.barh(range(len(bars)), medians, xerr=spread, height=0.6, color=_BAR, error_kw={"lw": 1, "capsize": 3})
    for row, rtf in enumerate(factors):
        axes.annotate(f"{rtf['median']:.3g}", (rtf["q3"], row), (5, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * max((rtf["q3"] for rtf in factors), default=0.0) or 1.0)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel("RTF: seconds of work per second of audio\n(median and quartiles, lower is better)")
    _strip(axes)


def _draw_shares(axes: Any, bars: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Draw where the time of `generate` goes."""
    names = list(dict.fromkeys(name for _, variant in bars for name in variant["stages"] if name != "other"))
    for index, name in enumerate([*names, "other"]):
        shares = [100 * variant["stages"].get(name, {}).get("share", 0.0) for _, variant in bars]
        before = [
            100 * sum(variant["stages"].get(earlier, {}).get("share", 0.0) for earlier in names[:index])
            for _, variant in bars
        ]
        colour = _OTHER if name == "other" else _COLOURS[index % len(_COLOURS)]
        drawn = axes.barh(range(len(bars)), shares, left=before, height=0.6, color=colour, label=name)
        axes.bar_label(drawn, [f"{share:.0f} %" if share >= 8 else "" for share in shares], label_type="center")
    for row, (_, variant) in enumerate(bars):
        if not variant["stages"]:
            axes.annotate("the provider times no stages", (2, row), va="center", color="#666666")
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of generate, %")
    if names:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(5, len(names) + 1), frameon=False)
    axes.tick_params(left=False, labelleft=False)
    _strip(axes)


def _strip(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _name(record: Mapping[str, Any], variant: str, records: int) -> str:
    result = record["variants"][variant]
    fallen = "" if result["variant"] == variant else f"\n(fell back to {result['variant']})"
    label = f"{record['label'] or record['provider']}: " if records > 1 else ""
    rung = "" if result["rung"] == variant else f"\n{result['rung']}"
    return f"{label}{variant}{rung}{fallen}"


def _title(records: Sequence[Mapping[str, Any]]) -> str:
    first = records[0]
    providers = ", ".join(dict.fromkeys(record["provider"] for record in records))
    machines = list(dict.fromkeys(record["machine"]["cpu"] for record in records))
    gpus = list(dict.fromkeys(gpu["name"] for record in records for gpu in record["machine"]["gpus"]))
    label = f" ({first['label']})" if first["label"] and len(records) == 1 else ""
    return f"{providers}{label}, texts: {first['workload']['text_set']}, {', '.join(gpus or machines)}"
