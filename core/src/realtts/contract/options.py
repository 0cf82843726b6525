"""The base class of every provider's own options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Options"]


class _HasOptions(Protocol):
    """A `realtts.Request`, as far as its options go: the type of requests stands on this module."""

    @property
    def options(self) -> Any:
        """Return the options."""


class Options(BaseModel):
    """Options of one provider, validated before any model work.

    A plugin subclasses it with typed fields, ranges and descriptions; unknown names and values out of range are
    rejected, and the JSON Schema travels to processes that do not have the plugin.

        class MyOptions(Options):
            temperature: float = Field(0.8, gt=0, le=5, description="Sampling temperature.")

    One that names a file or folder says so, ``json_schema_extra={"format": "path"}``: clients of servers cannot set it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    length_limits: ClassVar[frozenset[str]] = frozenset({"max_new_tokens"})
    """Options that bound the length on purpose: when the caller sets one, reaching it is no runaway."""

    @classmethod
    def of(cls, request: _HasOptions) -> Self:
        """Return a request's options; the defaults where it brings none of this class."""
        return request.options if isinstance(request.options, cls) else cls()

    def bounds_length(self) -> bool:
        """Tell whether the caller has set one of `length_limits`."""
        return bool(self.model_fields_set & self.length_limits)
