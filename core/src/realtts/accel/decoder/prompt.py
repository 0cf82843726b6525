"""The prompts of a request's streams, and checks of what a decode loop is asked to do with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence

from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts.accel.decoder.cache import KVCache
    from realtts.accel.decoder.network import Decoder
    from realtts.accel.sampling import SamplingParams

__all__ = ["Prompt", "check_kept", "check_room", "check_streams"]


@dataclass(frozen=True)
class Prompt:
    """The prompts of all rows.

    What masks and positions hold is checked where they lie on the host; elsewhere the check would wait for the device.

    Attributes:
        embeddings: (rows, n, hidden), padded left or right. With guidance: all conditional rows, then all others.
        valid: bool (rows, n): what is not padding, at least one position of each row; None: everything.
        positions: int64 (rows, n): rotary positions; None: counted over the valid ones.
    """

    embeddings: Tensor
    valid: Tensor | None = None
    positions: Tensor | None = None

    @classmethod
    def padded(cls, rows: Sequence[Tensor]) -> Prompt:
        """Make a prompt of rows of any lengths, each (n, hidden), padded on the right to the longest."""
        x = pad_sequence(list(rows), batch_first=True)
        if all(len(row) == x.shape[1] for row in rows):
            return cls(x)
        lengths = torch.tensor([len(row) for row in rows], device=x.device)
        return cls(x, torch.arange(x.shape[1], device=x.device) < lengths[:, None])


def check_streams(
    streams: int,
    params: Sequence[SamplingParams],
    seeds: Sequence[int],
    max_new_tokens: Sequence[int],
    history: Sequence[Sequence[int]] | None,
    *,
    vocabulary: int,
) -> None:
    """Check the arguments of `realtts.accel.decoder.DecodeLoop.begin` beside the prompt.

    Args:
        streams: Number of streams.
        params: As there, like all that follows.
        seeds: Of each stream.
        max_new_tokens: Of each stream.
        history: Of each stream.
        vocabulary: Number of tokens.

    Raises:
        DecoderError: There is not one for each stream, or a value is out of range; says which.
    """
    lists = {"params": params, "seeds": seeds, "max_new_tokens": max_new_tokens, "history": history}
    for name, values in lists.items():
        if values is not None and len(values) != streams:
            raise _unfit(f"{len(values)} {name}", f"give one for each of {streams}")
    if min(max_new_tokens) < 1:
        raise _unfit(f"max_new_tokens is {list(max_new_tokens)}", "give at least 1")
    if any(not 0 <= seed < 2**63 for seed in seeds):
        raise _unfit(f"seeds are {list(seeds)}", "give numbers from 0 to 2**63 - 1")
    if any(not 0 <= token < vocabulary for tokens in history or () for token in tokens):
        raise _unfit("a token of the history is not in the vocabulary", "leave it out")


def check_room(decoder: Decoder, cache: KVCache, prompt: Prompt, most: int, *, after_prefix: bool) -> None:
    """Check that prompts can be read and that their new tokens have room behind them.

    Args:
        decoder: The network.
        cache: Of the loop.
        prompt: The prompts of all rows.
        most: New tokens of the longest stream.
        after_prefix: Whether they stand behind what the cache holds.

    Raises:
        DecoderError: A prompt does not fit, or the cache is too small.
    """
    decoder.check_prompt(
        prompt.embeddings, cache, valid=prompt.valid, positions=prompt.positions, fresh=not after_prefix
    )
    used = prompt.embeddings.shape[1] + (cache.filled if after_prefix else 0)
    if used + most - 1 > cache.cap:
        raise _unfit(
            f"{used} prompt positions and {most} tokens, but {cache.cap} slots",
            "ask for fewer tokens, shorten the prompt, or make the cache larger",
        )


def check_kept(streams: Sequence[int], count: int) -> None:
    """Raise DecoderError unless these are some of so many streams, each once."""
    if not streams or len(set(streams)) != len(streams) or not set(streams) <= set(range(count)):
        raise _unfit(f"streams are {list(streams)}", f"give some of {count}, each once")


def _unfit(what: str, fix: str) -> DecoderError:
    return DecoderError(what, who="decode loop", fix=fix)
