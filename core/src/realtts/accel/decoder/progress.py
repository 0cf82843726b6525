"""The tokens drawn so far, on the device, and their copies on the way to the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.finite import NOT_IN_FLOAT32
from realtts.accel.indexed import select, store
from realtts.errors import NotFinite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["Block", "Progress", "Snapshot", "check_finite", "not_finite", "read"]

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
    """Copies on their way to the host, of some streams.

    Attributes:
        starts: int64 (n,): tokens of each stream at its last snapshot.
        counts: int64 (n,): tokens of each stream now.
        tokens: int64 (n, width): those from the start on.
        flags: bool (3, n): which go on, which were stopped by a token, which were broken.
        outputs: (n, width, ...): columns of the model's own that were written since the last snapshot.
        done: Set when all of them have arrived; None: they have.
    """

    starts: Tensor
    counts: Tensor
    tokens: Tensor
    flags: Tensor
    outputs: Tensor
    done: torch.cuda.Event | None

    def wait(self) -> None:
        """Wait until the copies have arrived."""
        if self.done is not None:
            self.done.synchronize()
            self.done = None


class Progress:
    """Tokens and flags of all streams, each of which begins and ends for itself.

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
        self._seen = torch.zeros(streams, dtype=torch.int64, device=device)

    @property
    def state(self) -> list[Tensor]:
        """Tensors that a step changes."""
        return [self.latest, self.count, self.live, self._stopped, self._tokens]

    def begin(self, limits: Sequence[int]) -> None:
        """Start all streams, each with its most tokens."""
        for stream, limit in enumerate(limits):
            self.start(stream, limit)

    def start(self, stream: int, limit: int) -> None:
        """Start one stream with its most tokens; the others are not touched."""
        for tensor in (self.latest, self.count, self._seen):
            tensor[stream] = 0
        self.live[stream], self._stopped[stream] = True, False
        self._limit[stream] = limit

    def add(self, tokens: Tensor, stop: Tensor, rows: Tensor | None = None) -> Tensor:
        """Add one token to each live stream and return which go on. Runs inside the captured step.

        Args:
            tokens: int64 (n,).
            stop: bool (n,): tokens that end their stream.
            rows: Numbers of the streams, int64 (n,); None: all.
        """
        live, count = select(self.live, rows), select(self.count, rows)
        counts = live & ~stop
        # No branch on the host: streams that do not count write to the spare column.
        column = torch.where(counts, count, self._tokens.shape[1] - 1)
        if rows is None:
            self._tokens.scatter_(1, column[:, None], tokens[:, None])
        else:
            self._tokens.index_put_((rows, column), tokens)
        store(self.latest, rows, torch.where(counts, tokens, select(self.latest, rows)))
        store(self._stopped, rows, select(self._stopped, rows) | (live & stop))
        count = count + counts
        going = counts & (count < select(self._limit, rows))
        store(self.count, rows, count)
        store(self.live, rows, going)
        return going

    def snapshot(
        self, width: int, broken: Tensor, outputs: Tensor | None = None, *, rows: Tensor | None = None, wrote: int = 0
    ) -> Snapshot:
        """Start copying what is new of some streams to the host, without waiting for the copies.

        Args:
            width: Most tokens that a stream can have drawn since its last snapshot.
            broken: bool (streams,): streams whose logits were not finite.
            outputs: (streams, columns, ...): what the model's own step writes, a column at each step.
            rows: Numbers of the streams, int64 (n,); None: all.
            wrote: Most columns of the outputs that a stream can have written since then.
        """
        seen, count = select(self._seen, rows), select(self.count, rows)
        tokens = _window(self._tokens, rows, seen, width)
        flags = torch.stack([select(flag, rows) for flag in (self.live, self._stopped, broken)])
        # The step that writes a column draws the token of the next one.
        columns = tokens[:, :0] if outputs is None else _window(outputs, rows, (seen - 1).clamp_(min=0), wrote)
        parts = {
            "starts": seen.clone(),  # later steps write to the originals
            "counts": count.clone(),
            "tokens": tokens,
            "flags": flags,
            "outputs": columns,
        }
        store(self._seen, rows, count)
        if self.latest.device.type != "cuda":
            return Snapshot(**parts, done=None)
        # A copy is asynchronous only to page-locked memory.
        copies = {
            name: torch.empty(part.shape, dtype=part.dtype, pin_memory=True).copy_(part, non_blocking=True)
            for name, part in parts.items()
        }
        done = torch.cuda.Event()
        done.record()
        return Snapshot(**copies, done=done)


def _window(tensor: Tensor, rows: Tensor | None, begin: Tensor, width: int) -> Tensor:
    """Return so many columns of some rows, each from its own first one on: (n, width, ...)."""
    columns = begin[:, None] + torch.arange(width, device=tensor.device)
    columns = columns.clamp_(max=tensor.shape[1] - 1)
    which = torch.arange(len(tensor), device=tensor.device) if rows is None else rows
    return tensor[which[:, None], columns]


def read(snapshot: Snapshot) -> Block:
    """Wait for a snapshot and return the new tokens in it."""
    snapshot.wait()
    live, stopped, broken = snapshot.flags.tolist()
    new = (snapshot.counts - snapshot.starts).tolist()
    return Block(
        tokens=tuple(tuple(row[:count]) for row, count in zip(snapshot.tokens.tolist(), new, strict=True)),
        finished=tuple(not going for going in live),
        stopped=tuple(stopped),
        broken=tuple(stream for stream, is_broken in enumerate(broken) if is_broken),
        outputs=snapshot.outputs,
    )


def check_finite(block: Block, *, exact: bool) -> None:
    """Raise NotFinite if the logits of a stream were not finite; ``exact``: the decoder computes in float32."""
    if block.broken:
        raise not_finite(f"stream {block.broken[0]}", exact=exact)


def not_finite(whose: str, *, exact: bool) -> NotFinite:
    """Return the error of logits that are not finite."""
    fix = NOT_IN_FLOAT32 if exact else _PRECISION_SWITCH
    return NotFinite(f"the logits of {whose} are not finite, or allow no token", who="decoder", fix=fix)
