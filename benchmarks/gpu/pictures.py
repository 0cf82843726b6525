"""A picture of records: RTF and first audio of every model and form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["bars_of", "draw"]

_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0")


def bars_of(record: Mapping[str, Any], run: str, figure: str) -> dict[str, float]:
    """Return a figure of a run, by model and form."""
    bars = {}
    for model, forms in record["speed"].items():
        for form, entry in forms.items():
            value = entry["runs"].get(run, {}).get("warm", {}).get(figure)
            if isinstance(value, (int, float)):
                bars[f"{model}, {form}"] = float(value)
    return bars


def draw(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw records, at most four, beside each other.

    Args:
        records: Of `make_record`.
        path: A .png, .svg or .pdf file.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for record in records for name in bars_of(record, "whole", "rtf")))
    figure = Figure(figsize=(11, 1.6 + 0.4 * max(1, len(names) * len(records))), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, run, key, title in (
        (left, "whole", "rtf", "RTF, whole speech (lower is better)"),
        (right, "stream", "first_audio_s", "first audio of a stream, s"),
    ):
        _bars(axes, records, names, run, key)
        axes.set_title(title, fontsize=10)
    left.set_yticks(range(len(names)), names, fontsize=8)
    left.invert_yaxis()
    if len(records) > 1:
        left.legend(fontsize=8)
    figure.suptitle(" and ".join(dict.fromkeys(record["card"] for record in records)), fontsize=11)
    figure.savefig(path, dpi=150)


def _bars(axes: Any, records: Sequence[Mapping[str, Any]], names: Sequence[str], run: str, key: str) -> None:
    height = 0.8 / len(records)
    for number, record in enumerate(records):
        values = bars_of(record, run, key)
        places = [place + (number - (len(records) - 1) / 2) * height for place in range(len(names))]
        label = f"{record['card']} {record['label']}".strip()
        colour = _COLOURS[number % len(_COLOURS)]
        axes.barh(places, [values.get(name, 0.0) for name in names], height, color=colour, label=label)
    axes.spines[["top", "right"]].set_visible(False)
