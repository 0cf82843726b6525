"""Two records side by side: what became faster or slower, and what is there in one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Change", "changes_between", "table_of"]

_SECONDS = ("total_s", "first_audio_s")


class Change(NamedTuple):
    """A figure of two records; lower is better.

    Attributes:
        what: Model, form, run and figure, or a part.
        before: In the first record; None: it is not there.
        after: In the second one.
    """

    what: str
    before: float | None
    after: float | None

    @property
    def ratio(self) -> float | None:
        """After over before."""
        return None if not self.before or self.after is None else self.after / self.before


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return all figures that one of the records has, in the order of the first."""
    old, new = dict(_figures(before)), dict(_figures(after))
    return [Change(what, old.get(what), new.get(what)) for what in dict.fromkeys([*old, *new])]


def table_of(before: Mapping[str, Any], after: Mapping[str, Any], *, least: float = 0.0) -> str:
    """Return a table in Markdown.

    Args:
        before: A record.
        after: Another one.
        least: Leaves out what changed by a smaller share, such as 0.05.
    """
    lines = [
        f"| | {before['card']} {before['label']} | {after['card']} {after['label']} | ratio |".replace(" |", " |"),
        "|---|---|---|---|",
    ]
    for change in changes_between(before, after):
        ratio = change.ratio
        if ratio is not None and abs(ratio - 1) < least:
            continue
        shown = [f"{value:.4g}" if value is not None else "–" for value in (change.before, change.after, ratio)]
        lines.append("| " + " | ".join([change.what.replace("|", "·"), *shown]) + " |")
    return "\n".join(lines)


def _figures(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for model, forms in record["speed"].items():
        for form, entry in forms.items():
            for label, run in entry["runs"].items():
                for name in _SECONDS:
                    value = run.get("warm", {}).get(name)
                    if isinstance(value, (int, float)):
                        yield f"{model} | {form} | {label} | {name}", value
            used = (entry["memory"].get("loaded") or {}).get("used")
            if isinstance(used, (int, float)):
                yield f"{model} | {form} | bytes used", used
    for name, content in record["parts"].items():
        for key, value in content.items():
            if key.startswith(("us", "first_ms")) and isinstance(value, (int, float)):
                yield f"{name} | {key}", value
