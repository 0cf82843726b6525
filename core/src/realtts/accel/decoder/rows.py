"""A row of a row loop on the host, what it hands out, and checks of what it is admitted with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from realtts.accel.decoder.prompt import check_streams
from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from realtts.accel.decoder.network import Decoder
    from realtts.accel.decoder.progress import Snapshot
    from realtts.accel.decoder.prompt import Prompt
    from realtts.accel.decoder.stepping import Stepping
    from realtts.accel.sampling import SamplingParams

    End = Literal["stop", "length", "broken"]

__all__ = ["Row", "RowBlock", "check_row", "row_blocks"]


@dataclass(frozen=True)
class RowBlock:
    """The new tokens of a row.

    Attributes:
        number: The caller's number of the row.
        tokens: Its new tokens, without the stop token.
        end: ``"stop"``: a stop token ended it; ``"length"``: it reached its limit; ``"broken"``: its logits were not
            finite, see `RowLoop.error`; None: it goes on.
        outputs: Columns of the loop's ``outputs`` that were written since its last block, (n, ...), on the host.
    """

    number: int
    tokens: tuple[int, ...]
    end: End | None
    outputs: Tensor | None = None


@dataclass(eq=False)
class Row:
    """What the host knows of a row.

    Attributes:
        number: The caller's.
        stream: Its place in all tensors.
        prompt: What is read, behind the prefix.
        before: Slots of the prefix.
        params: Its sampling.
        seed: Of its noise.
        most: Most tokens.
        history: Tokens that the repetition penalty counts from the start.
        read: Positions of the prompt that were read.
        drawn: Draws that were queued.
        ended: Whether its end was handed out.
        broken: Whether its logits were not finite.
        gone: Whether it lost its place, or is drawn anew as another row.
    """

    number: int
    stream: int
    prompt: Prompt
    before: int
    params: SamplingParams
    seed: int
    most: int
    history: tuple[int, ...]
    read: int = 0
    drawn: int = 0
    ended: bool = False
    broken: bool = False
    gone: bool = False

    @property
    def length(self) -> int:
        """Positions of the prompt, without the prefix."""
        return int(self.prompt.embeddings.shape[1])

    @property
    def runs(self) -> bool:
        """Whether it takes part in steps."""
        return self.drawn > 0 and not self.ended


def check_row(  # noqa: PLR0917 - called in two places
    decoder: Decoder,
    steps: Stepping,
    prompt: Prompt,
    before: int,
    params: SamplingParams,
    seed: int,
    most: int,
    history: Sequence[int],
) -> None:
    """Check what a row is admitted with; arguments as of `RowLoop.admit`.

    Raises:
        DecoderError: Something does not fit; says what.
        InvalidOption: The stop tokens hold one that is not in the vocabulary.
    """
    check_streams(1, [params], [seed], [most], [history], vocabulary=steps.sampler.recipe.vocabulary)
    steps.sampler.check(params)
    x, width, cap = prompt.embeddings, decoder.config.hidden_size, steps.cache.cap
    if x.dim() != 3 or x.shape[0] != steps.per_stream or x.shape[1] < 1 or x.shape[2] != width:
        expected = f"({steps.per_stream}, n, {width}), n at least 1"
        raise _unfit(f"embeddings have the shape {tuple(x.shape)}", f"give {expected}")
    if prompt.valid is not None or prompt.positions is not None:
        raise _unfit("a prompt with padding or positions", "give the row's own positions alone, in order")
    if before + x.shape[1] + most - 1 > cap:
        raise _unfit(
            f"{before + x.shape[1]} prompt positions and {most} tokens, but {cap} slots",
            "ask for fewer tokens, shorten the prompt, or make the cache larger",
        )


def row_blocks(rows: Sequence[Row], snapshot: Snapshot) -> list[RowBlock]:
    """Wait for a snapshot and return what is new of each of its rows; places that only fill it up are left out."""
    snapshot.wait()
    live, stopped, broken = snapshot.flags.tolist()
    starts, counts, tokens = snapshot.starts.tolist(), snapshot.counts.tolist(), snapshot.tokens.tolist()
    blocks = []
    for at, row in enumerate(rows):
        end: End | None = None
        if broken[at]:
            end = "broken"
        elif not live[at]:
            end = "stop" if stopped[at] else "length"
        outputs = None
        if snapshot.outputs.shape[1]:
            # The step that writes a column draws the token of the next one, so a draw of the end has written one, too.
            wrote = max(0, counts[at] + stopped[at] - 1) - max(0, starts[at] - 1)
            outputs = snapshot.outputs[at, : max(0, wrote)]
        blocks.append(RowBlock(row.number, tuple(tokens[at][: counts[at] - starts[at]]), end, outputs))
    return blocks


def _unfit(what: str, fix: str) -> DecoderError:
    return DecoderError(what, who="row loop", fix=fix)
