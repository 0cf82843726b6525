"""The tokens drawn so far, on the device, and their copies on the way to the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.finite import NOT_IN_FLOAT32
from realtts.errors import NotFinite

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Progress", "Snapshot", "not_finite"]

_PRECISION_SWITCH = 'set dtype="float32" (REALTTS_DTYPE=float32) or quantization="none" (REALTTS_QUANTIZATION=none)'


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

    def start(self, stream: int, limit: int) -> None:
        """Start one stream with its most tokens; the others are not touched."""
        for tensor in (self.latest, self.count, self._seen):
            tensor[stream] = 0
        self.live[stream], self._stopped[stream] = True, False
        self._limit[stream] = limit

    def add(self, tokens: Tensor, stop: Tensor, rows: Tensor) -> Tensor:
        """Add one token to each live stream of some and return which go on. Runs inside the captured step.

        Args:
            tokens: int64 (n,).
            stop: bool (n,): tokens that end their stream.
            rows: Numbers of the streams, int64 (n,).
        """
        live, count = self.live.index_select(0, rows), self.count.index_select(0, rows)
        counts = live & ~stop
        # No branch on the host: streams that do not count write to the spare column.
        column = torch.where(counts, count, self._tokens.shape[1] - 1)
        self._tokens.index_put_((rows, column), tokens)
        self.latest.index_copy_(0, rows, torch.where(counts, tokens, self.latest.index_select(0, rows)))
        self._stopped.index_copy_(0, rows, self._stopped.index_select(0, rows) | (live & stop))
        count = count + counts
        going = counts & (count < self._limit.index_select(0, rows))
        self.count.index_copy_(0, rows, count)
        self.live.index_copy_(0, rows, going)
        return going

    def snapshot(self, rows: Tensor, width: int, broken: Tensor, outputs: Tensor | None, wrote: int) -> Snapshot:
        """Start copying what is new of some streams to the host, without waiting for the copies.

        Args:
            rows: Numbers of the streams, int64 (n,).
            width: Most tokens that a stream can have drawn since its last snapshot.
            broken: bool (streams,): streams whose logits were not finite.
            outputs: (streams, columns, ...): what the model's own step writes, a column at each step.
            wrote: Most columns of the outputs that a stream can have written since then.
        """
        seen, count = self._seen.index_select(0, rows), self.count.index_select(0, rows)
        tokens = _window(self._tokens, rows, seen, width)
        flags = torch.stack([flag.index_select(0, rows) for flag in (self.live, self._stopped, broken)])
        # The step that writes a column draws the token of the next one.
        columns = tokens[:, :0] if outputs is None else _window(outputs, rows, (seen - 1).clamp_(min=0), wrote)
        parts = {"starts": seen, "counts": count, "tokens": tokens, "flags": flags, "outputs": columns}
        self._seen.index_copy_(0, rows, count)
        if self.latest.device.type != "cuda":
            return Snapshot(**parts, done=None)
        # A copy is asynchronous only to page-locked memory.
        copies = {
            name: torch.empty(part.shape, dtype=part.dtype, pin_memory=True).copy_(part, non_blocking=True)
            for name, part in parts.items()
        }
        done = torch.cuda.Event()
        done.record(torch.cuda.current_stream(self.latest.device))  # of another device than the current one, perhaps
        return Snapshot(**copies, done=done)


def _window(tensor: Tensor, rows: Tensor, begin: Tensor, width: int) -> Tensor:
    """Return so many columns of some rows, each from its own first one on: (n, width, ...)."""
    columns = begin[:, None] + torch.arange(width, device=tensor.device)
    return tensor[rows[:, None], columns.clamp_(max=tensor.shape[1] - 1)]


def not_finite(whose: str, *, exact: bool) -> NotFinite:
    """Return the error of logits that are not finite."""
    fix = NOT_IN_FLOAT32 if exact else _PRECISION_SWITCH
    return NotFinite(f"the logits of {whose} are not finite, or allow no token", who="decoder", fix=fix)
