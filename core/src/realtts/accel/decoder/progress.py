"""The tokens drawn so far, on the device, and their copies on the way to the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.finite import NOT_IN_FLOAT32
from realtts.errors import NotFinite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["Block", "Progress", "Snapshot", "check_finite", "read"]

_PRECISION_SWITCH = 'set dtype="float32" (REALTTS_DTYPE=float32) or quantization="none" (REALTTS_QUANTIZATION=none)'


@dataclass(frozen=True)
class Block:
    """The new tokens since the last block.

    Attributes:
        tokens: For each stream its new tokens, without the stop token.
        finished: For each stream whether it has ended.
        stopped: For each stream whether a stop token ended it; False with ``finished``: it reached its limit.
        broken: Streams whose logits were not finite.
        outputs: Columns of the loop's ``outputs`` that were written since the last block, (streams, n, ...), on the
            host; of a stream that has ended, those beyond its end are undefined.
    """

    tokens: tuple[tuple[int, ...], ...]
    finished: tuple[bool, ...]
    stopped: tuple[bool, ...]
    broken: tuple[int, ...] = ()
    outputs: Tensor | None = None


@dataclass
class Snapshot:
    """Copies on their way to the host."""

    start: int
    tokens: Tensor
    flags: Tensor
    counts: Tensor
    outputs: Tensor
    done: torch.cuda.Event | None


class Progress:
    """Tokens and flags of all streams.

    Attributes:
        latest: int64 (streams,): the token drawn last.
        count: int64 (streams,): tokens so far, without the stop token.
        live: bool (streams,): streams that go on.
    """

    def __init__(self, streams: int, cap: int, device: torch.device) -> None:
        self.latest = torch.zeros(streams, dtype=torch.int64, device=device)
        self.count = torch.zeros(streams, dtype=torch.int64, device=device)
        self.live = torch.zeros(streams, dtype=torch.bool, device=device)
        self._stopped = torch.zeros(streams, dtype=torch.bool, device=device)
        self._limit = torch.zeros(streams, dtype=torch.int64, device=device)
        # One column more than the cap, where frozen streams write.
        self._tokens = torch.zeros(streams, cap + 1, dtype=torch.int64, device=device)
        self._seen = 0

    @property
    def state(self) -> list[Tensor]:
        """Tensors that a step changes."""
        return [self.latest, self.count, self.live, self._stopped, self._tokens]

    def begin(self, limits: Sequence[int]) -> None:
        """Start all streams, each with its most tokens."""
        self.latest.zero_()
        self.count.zero_()
        self.live.fill_(True)
        self._stopped.zero_()
        self._limit.copy_(torch.tensor(list(limits)))
        self._seen = 0

    def keep(self, streams: Sequence[int]) -> None:
        """Keep some streams, in this order, and forget the others."""
        rows = list(streams)
        self.latest, self.count, self.live = self.latest[rows], self.count[rows], self.live[rows]
        self._stopped, self._limit, self._tokens = self._stopped[rows], self._limit[rows], self._tokens[rows]

    def add(self, tokens: Tensor, stop: Tensor) -> Tensor:
        """Add one token to each live stream and return `live` after it. Runs inside the captured step."""
        counts = self.live & ~stop
        # No branch on the host: streams that do not count write to the spare column.
        column = torch.where(counts, self.count, self._tokens.shape[1] - 1)
        self._tokens.scatter_(1, column[:, None], tokens[:, None])
        self.latest.copy_(torch.where(counts, tokens, self.latest))
        self._stopped.logical_or_(self.live & stop)
        self.count.add_(counts)
        self.live.logical_and_(~stop & (self.count < self._limit))
        return self.live

    def snapshot(self, drawn: int, broken: Tensor, outputs: Tensor | None = None) -> Snapshot:
        """Start copying tokens and flags to the host, without waiting for the copies.

        Args:
            drawn: Draws so far, at least as many as at the last snapshot.
            broken: bool (streams,): streams whose logits were not finite.
            outputs: (streams, columns, ...): what the model's own step writes, a column at each step.
        """
        # Live streams draw in step, so that the columns since the last snapshot hold all that is new.
        parts = [self._tokens[:, self._seen : drawn], torch.stack([self.live, self._stopped, broken]), self.count]
        # The step that writes a column draws the token of the next one.
        parts.append(self._tokens[:, :0] if outputs is None else outputs[:, max(0, self._seen - 1) : drawn - 1])
        start, self._seen = self._seen, drawn
        if self.latest.device.type != "cuda":
            tokens, flags, counts, columns = (part.clone() for part in parts)  # later steps write to the originals
            return Snapshot(start, tokens, flags, counts, columns, None)
        # A copy is asynchronous only to page-locked memory.
        tokens, flags, counts, columns = (
            torch.empty(part.shape, dtype=part.dtype, pin_memory=True).copy_(part, non_blocking=True) for part in parts
        )
        done = torch.cuda.Event()
        done.record()
        return Snapshot(start, tokens, flags, counts, columns, done)


def read(snapshot: Snapshot) -> Block:
    """Wait for a snapshot and return the new tokens in it."""
    if snapshot.done is not None:
        snapshot.done.synchronize()
    live, stopped, broken = snapshot.flags.tolist()
    counts = snapshot.counts.tolist()
    rows = zip(snapshot.tokens.tolist(), counts, strict=True)
    return Block(
        tokens=tuple(tuple(row[: max(0, count - snapshot.start)]) for row, count in rows),
        finished=tuple(not going for going in live),
        stopped=tuple(stopped),
        broken=tuple(stream for stream, is_broken in enumerate(broken) if is_broken),
        outputs=snapshot.outputs,
    )


def check_finite(block: Block, *, exact: bool) -> None:
    """Raise NotFinite if the logits of a stream were not finite; ``exact``: the decoder computes in float32."""
    if block.broken:
        raise NotFinite(
            f"the logits of stream {block.broken[0]} are not finite, or allow no token",
            who="decoder",
            fix=NOT_IN_FLOAT32 if exact else _PRECISION_SWITCH,
        )
