"""What `serve_rows` needs of a row loop: one, or what stands for several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from realtts.accel.decoder.admission import Admission
    from realtts.accel.decoder.network import Decoder
    from realtts.accel.decoder.rows import RowBlock

__all__ = ["ServedLoop"]


class _Queue(Protocol):
    @property
    def steps(self) -> int:
        """Steps so far."""

    @property
    def row_steps(self) -> int:
        """Rows in all of them together."""


class _Reader(Protocol):
    @property
    def positions(self) -> int:
        """Positions of prompts that were read so far."""

    @property
    def seconds(self) -> float:
        """Time that it took."""

    @property
    def latest(self) -> int:
        """Number of the row that was read last."""


class ServedLoop(Protocol):
    """A row loop, see `realtts.accel.decoder.RowLoop`, whose methods these are."""

    @property
    def decoder(self) -> Decoder:
        """The network."""

    @property
    def places(self) -> int:
        """Most rows at once."""

    @property
    def queue(self) -> _Queue:
        """Counts the steps."""

    @property
    def reader(self) -> _Reader:
        """Counts what was read of prompts."""

    @property
    def free(self) -> int:
        """Places that are left."""

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""

    def admit(self, number: int, admission: Admission) -> int:
        """Give a row a place and return it."""

    def redraw(self, number: int, *, seed: int) -> None:
        """Draw a row anew."""

    def release(self, number: int) -> None:
        """Take a row's place away."""

    def step(self, *, ahead: bool = True) -> list[RowBlock]:
        """Make a step and return what is new; ``ahead``: whether steps may be queued before the last ones are read."""
