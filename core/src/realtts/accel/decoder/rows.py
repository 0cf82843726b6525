"""A row of a row loop on the host, what it hands out, and checks of what it is admitted with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from realtts.accel.decoder.progress import not_finite
from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.admission import Admission
    from realtts.accel.decoder.network import Decoder
    from realtts.accel.decoder.progress import Snapshot
    from realtts.accel.decoder.stepping import Stepping
    from realtts.errors import NotFinite

    End = Literal["stop", "length", "broken"]

__all__ = ["Row", "RowBlock", "begin_row", "check_admission", "check_seed", "rewind_row", "row_blocks"]


@dataclass(frozen=True)
class RowBlock:
    """The new tokens of a row.

    Attributes:
        number: The caller's number of the row.
        tokens: Its new tokens, without the stop token.
        end: ``"stop"``: a stop token ended it; ``"length"``: it reached its limit; ``"broken"``: its logits were not
            finite, see `error`; None: it goes on.
        outputs: Columns of the loop's ``outputs`` that were written since its last block, (n, ...), on the host.
        error: Why it is broken.
    """

    number: int
    tokens: tuple[int, ...]
    end: End | None
    outputs: Tensor | None = None
    error: NotFinite | None = None


@dataclass(eq=False)
class Row:
    """What the host knows of a row.

    Attributes:
        number: The caller's.
        stream: Its place in all tensors.
        admission: What it was admitted with; drawn anew, with another seed.
        read: Positions of the prompt that were read.
        drawn: Draws that were queued.
        ended: Whether its end was handed out.
        broken: Whether its logits were not finite.
        gone: Whether it lost its place, or is drawn anew as another row.
    """

    number: int
    stream: int
    admission: Admission
    read: int = 0
    drawn: int = 0
    ended: bool = False
    broken: bool = False
    gone: bool = False

    @property
    def length(self) -> int:
        """Positions of the prompt, without the prefix."""
        return int(self.admission.prompt.shape[1])

    @property
    def before(self) -> int:
        """Slots of the prefix."""
        return 0 if self.admission.prefix is None else self.admission.prefix[1]

    @property
    def runs(self) -> bool:
        """Whether it takes part in steps."""
        return self.drawn > 0 and not self.ended


def check_admission(decoder: Decoder, steps: Stepping, own: Mapping[str, Tensor], admission: Admission) -> None:
    """Check what a row is admitted with.

    Raises:
        DecoderError: Something does not fit; says what.
        InvalidOption: The stop tokens hold one that is not in the vocabulary.
    """
    x, most, vocabulary = admission.prompt, admission.most, steps.sampler.recipe.vocabulary
    check_seed(admission.seed)
    if most < 1:
        raise _unfit(f"most is {most}", "give at least 1")
    if any(not 0 <= token < vocabulary for token in admission.history):
        raise _unfit("a token of the history is not in the vocabulary", "leave it out")
    steps.sampler.check(admission.params)
    expected = (steps.per_stream, decoder.config.hidden_size)
    if x.dim() != 3 or x.shape[::2] != expected or x.shape[1] < 1:
        fix = f"give ({expected[0]}, n, {expected[1]}), n at least 1"
        raise _unfit(f"the prompt has the shape {tuple(x.shape)}", fix)
    used = x.shape[1] + (0 if admission.prefix is None else admission.prefix[1])
    if used + most - 1 > steps.cache.cap:
        raise _unfit(
            f"{used} prompt positions and {most} tokens, but {steps.cache.cap} slots",
            "ask for fewer tokens, shorten the prompt, or make the cache larger",
        )
    for name, value in (admission.state or {}).items():
        if name not in own or value.shape != own[name].shape[1:]:
            shapes = {own_name: tuple(tensor.shape[1:]) for own_name, tensor in own.items()}
            raise _unfit(f"state {name!r} of {tuple(value.shape)}", f"give some of {shapes}")


def check_seed(seed: int) -> None:
    """Raise DecoderError unless a generator takes this seed."""
    if not 0 <= seed < 2**63:
        raise _unfit(f"the seed is {seed}", "give a number from 0 to 2**63 - 1")


def begin_row(steps: Stepping, row: Row, own: Mapping[str, Tensor]) -> None:
    """Start a row on the device: sampling, noise, count, its part of the model's own tensors, taps."""
    now = row.admission
    steps.sampler.set(row.stream, now.params, now.seed, now.history)
    steps.progress.start(row.stream, now.most)
    for name, tensor in own.items():
        tensor[row.stream] = 0
        if now.state is not None and name in now.state:
            tensor[row.stream].copy_(now.state[name])
    if steps.taps is not None:
        for part in steps.rows_of(row.stream):
            steps.taps.step[:, part].zero_()


def rewind_row(steps: Stepping, row: Row, *, broken: bool) -> None:
    """Forget what a row has drawn and keep what was read of its prompt; ``broken``: what it wrote is not finite."""
    kept = row.before + row.read
    for part in steps.rows_of(row.stream):
        if broken:
            steps.cache.clean(part, kept)
        if kept:
            steps.cache.rewind(part, kept)
        else:
            steps.cache.reset([part])


def row_blocks(rows: Sequence[Row], snapshot: Snapshot, *, exact: bool, writes: bool) -> list[RowBlock]:
    """Wait for a snapshot and return what is new of each of its rows.

    Args:
        rows: Those that count, the first ones of the snapshot.
        snapshot: Of a step's rows.
        exact: Whether the decoder computes in float32.
        writes: Whether the model's own step writes outputs.
    """
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
        # The step that writes a column draws the token of the next one, so a draw of the end has written one, too.
        wrote = max(0, counts[at] + stopped[at] - 1) - max(0, starts[at] - 1)
        outputs = snapshot.outputs[at, : max(0, wrote)] if writes else None
        error = not_finite(f"row {row.number}", exact=exact) if broken[at] else None
        blocks.append(RowBlock(row.number, tuple(tokens[at][: counts[at] - starts[at]]), end, outputs, error))
    return blocks


def _unfit(what: str, fix: str) -> DecoderError:
    return DecoderError(what, who="row loop", fix=fix)
