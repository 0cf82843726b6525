"""A picture of loads: how much audio was made, and how long callers waited for the first of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["draw_loads"]

_COLOURS = {"p50": "#4269d0", "p95": "#efb118", "p99": "#ff725c"}
_BAR = "#59636e"


def draw_loads(figure: Any, records: Sequence[Mapping[str, Any]]) -> None:
    """Draw records of `realtts.bench.run_load` into a figure of matplotlib.

    Args:
        figure: Empty; its size is set.
        records: One or more.
    """
    bars = [(_name(record, name, len(records)), result) for record in records
            for name, result in record["variants"].items()]  # fmt: skip
    figure.set_size_inches(10, 1.9 + 0.75 * len(bars))
    left, right = figure.subplots(1, 2, sharey=True)
    places = range(len(bars))
    made = [result["audio_s_per_s"] for _, result in bars]
    drawn = left.barh(places, made, height=0.6, color=_BAR)
    left.bar_label(drawn, [f"{value:.3g}" for value in made], padding=4)
    left.set_yticks(places, [name for name, _ in bars])
    left.invert_yaxis()
    left.set_xlim(0, 1.2 * max(made, default=0.0) or 1.0)
    left.set_xlabel("seconds of audio made per second")
    for index, (share, colour) in enumerate(_COLOURS.items()):
        waits = [(result["first_audio_s"] or {}).get(share, 0.0) for _, result in bars]
        drawn = right.barh([place + 0.25 * (index - 1) for place in places], waits, height=0.22, color=colour,
                           label=share)  # fmt: skip
        right.bar_label(drawn, [f"{value:.3g}" for value in waits], padding=3, fontsize=8)
    right.set_xlabel("seconds to the first audio, of 50, 95 and 99 % of the requests")
    right.margins(x=0.15)
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)


def _name(record: Mapping[str, Any], variant: str, records: int) -> str:
    load = record["load"]
    how = f"{load['rate']:g} requests/s" if load["rate"] is not None else f"{load['concurrency']} callers"
    label = f"{record['label'] or record['provider']}: " if records > 1 else ""
    return f"{label}{variant}\n{how}"
