"""The base class of every provider's own options."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

    from realtts.speech import Request

__all__ = ["Options", "chosen_steps"]


class Options(BaseModel):
    """Options of one provider, validated before any model work.

    A plugin subclasses it with typed fields, ranges and descriptions; unknown names and values out of range are
    rejected, and the JSON Schema travels to processes that do not have the plugin.

        class MyOptions(Options):
            temperature: float = Field(0.8, gt=0, le=5, description="Sampling temperature.")
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    length_limits: ClassVar[frozenset[str]] = frozenset({"max_new_tokens"})
    """Options that bound the length on purpose: when the caller sets one, reaching it is no runaway."""

    @classmethod
    def of(cls, request: Request) -> Self:
        """A request's options; the defaults where it brings none of this class."""
        return request.options if isinstance(request.options, cls) else cls()

    def bounds_length(self) -> bool:
        """Whether the caller has set one of `length_limits`."""
        return bool(self.model_fields_set & self.length_limits)


def chosen_steps(given: int | None, quality: str, presets: Mapping[str, int]) -> tuple[int, tuple[str, ...]]:
    """How many steps a solver takes, and a warning where a quality means fewer than the full one.

    Args:
        given: By the caller, whatever the quality; None: as the quality says.
        quality: One of the presets.
        presets: Steps of each quality, ``"full"`` among them.
    """
    if given is not None:
        return given, ()
    steps, full = presets[quality], presets["full"]
    if steps == full:
        return full, ()
    return steps, (f"Spoken in the quality {quality!r}: {steps} solver steps instead of {full}.",)
