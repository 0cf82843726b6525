"""The decode loop, whose rows come and go while it runs: continuous batching.

A step works on the rows that have a place, by their numbers; whoever joins or leaves moves nobody, and what a row draws
is its own. See `docs/explanation/continuous-batching.md`.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.buckets import Buckets
from realtts.accel.decoder.loop_graphs import LoopGraphs
from realtts.accel.decoder.places import PlaceTable
from realtts.accel.decoder.reading_rows import ChunkReader
from realtts.accel.decoder.rows import Row, begin_row, check_admission, check_seed, rewind_row
from realtts.accel.decoder.step_attention import proven_step_attention
from realtts.accel.decoder.step_queue import StepQueue, row_counts, sync_interval
from realtts.accel.decoder.stepping import Stepping
from realtts.accel.graphs.streams import used_here
from realtts.accel.sampling import SamplingParams
from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.admission import Admission
    from realtts.accel.decoder.attend import Taps
    from realtts.accel.decoder.network import Decoder
    from realtts.accel.decoder.rows import RowBlock
    from realtts.accel.decoder.stepping import NextEmbedding
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.sampling import HashedNoise, NoiseSource, Sampler, SamplingRecipe

__all__ = ["RowLoop"]

_MOST_STEP_GRAPHS = 24
"""Numbers of rows times attended lengths; each costs warm-up time and memory."""
_HURRIED_STEPS = 2
"""Steps between two looks at the device while a first sound is waited for."""
_WHO = "row loop"


class RowLoop:
    """Decodes rows that are admitted and released while it runs.

    Args:
        decoder: The network.
        head: Hidden states (n, hidden) to logits (n, vocabulary).
        next_embedding: Makes the next input of the n rows of a step: ``next_embedding(tokens, step, row_state)`` with
            the latest tokens, int64 (n,), how many tokens each row has so far, int64 (n,), and `row_state`; returns
            (n, hidden), with guidance (2 n, hidden). It runs inside the captured step: fixed shapes, no host values; it
            may change `row_state` in place.
        recipe: How logits become tokens. Its own processors get the numbers of the rows, too.
        places: Most rows at once.
        cap: Slots of a row: prompt and new tokens together.
        row_state: The model's own tensors, each (places + 1, ...): the last row is the spare one, which fills up
            captured steps. A row's part is zeroed when a row is admitted to its place. A step adds ``"rows"``, int64
            (n,): its rows' places, by which the model takes what it holds of each; ``"live"``, bool (n,): rows that go
            on; ``"hidden"``, (n, hidden): the states that the latest tokens were drawn from; and ``"position"``, int64
            (n,): where the next input will stand, for learned positions, of a row that has ended perhaps one beyond the
            cap's last. With guidance the last two have 2 n rows.
        taps: Attention to hand out, with ``rows`` for places + 1 streams.
        backend: Captures steps and chunks as graphs of this backend; None runs eagerly.
        buckets: Attended lengths; default: steps of 64 slots, with graphs a few growing ones.
        check_every: Steps of a call of `step`; default: one on the CPU, else eight.
        chunk: Positions of a prompt that are read between two steps.
        noise: Source of noise for places + 1 rows; default: one generator per row.
        outputs: A tensor (places + 1, cap or more, ...) that ``next_embedding`` fills, column ``step - 1`` of the live
            rows; what is new comes with each `RowBlock`.
        structure: Returns what else a captured step depends on.
        samplers: Others that ``next_embedding`` draws with, places + 1 rows each; set by the caller behind `admit`.

    Attributes:
        queue: Counts the steps, and the rows in them; keys of their graphs; ``check_every``, which may be changed.
        reader: Counts the positions of prompts.
        lag: Blocks of steps that are queued ahead; one on CUDA.

    Raises:
        DecoderError: An argument does not fit.
    """

    def __init__(
        self,
        decoder: Decoder,
        head: Callable[[Tensor], Tensor],
        next_embedding: NextEmbedding,
        recipe: SamplingRecipe,
        *,
        places: int = 8,
        cap: int = 1024,
        row_state: Mapping[str, Tensor] | None = None,
        taps: Taps | None = None,
        backend: GraphBackend | None = None,
        buckets: Buckets | None = None,
        check_every: int | None = None,
        chunk: int = 64,
        noise: NoiseSource | HashedNoise | None = None,
        outputs: Tensor | None = None,
        structure: Callable[[], Hashable] = lambda: None,
        samplers: Sequence[Sampler] = (),
    ) -> None:
        check_every = sync_interval(decoder.device) if check_every is None else check_every
        if min(places, check_every, chunk) < 1:
            what = f"{places} places, {check_every} steps at a time, chunks of {chunk}"
            raise DecoderError(what, who=_WHO, fix="give at least 1 of each")
        sizes = row_counts(places) if backend is not None else None
        if buckets is None and sizes is not None:
            buckets = Buckets.growing(cap, _MOST_STEP_GRAPHS // len(sizes))
        backend = backend and backend.apart()
        self.decoder, self.places, self._backend = decoder, places, backend
        self.lag = 1 if decoder.device.type == "cuda" else 0
        if backend is not None and decoder.step_attention is None and decoder.fused is None:
            decoder.step_attention = proven_step_attention(decoder.config, decoder.kv_dtype, decoder.device)
        self._steps = Stepping(
            decoder, head, next_embedding, recipe, streams=places + 1, cap=cap, skip_idle=backend is None,
            row_state=row_state, taps=taps, buckets=buckets, noise=noise, outputs=outputs, samplers=samplers,
        )  # fmt: skip
        self.cache, self.sampler, self.row_state = self._steps.cache, self._steps.sampler, dict(row_state or {})
        table = PlaceTable(decoder.device, places + 1, guided=self._steps.per_stream == 2, sizes=sizes)
        # Chunks have graphs of their own, one for each length, beside those of steps; and there is one for first draws.
        self._graphs, joins = (
            LoopGraphs(backend, self._steps.state, self.sampler, structure, limit=limit, others=samplers)
            for limit in (_MOST_STEP_GRAPHS, len(self._steps.buckets.all()) + 2)
        )
        self.reader = ChunkReader(self._steps, table, joins, chunk)
        self.queue = StepQueue(self._steps, table, self._graphs, check_every)
        self._rows: dict[int, Row] = {}
        self._free = list(range(places))
        self._empty()

    @property
    def free(self) -> int:
        """Places that are left."""
        return len(self._free)

    @property
    def numbers(self) -> list[int]:
        """Numbers of the rows that have a place."""
        return list(self._rows)

    @torch.inference_mode()
    def admit(self, number: int, admission: Admission) -> int:
        """Give a row a place. Its prompt is read by the next calls of `step`; nobody else is touched.

        Args:
            number: The caller's number of the row, unlike that of any other row that has a place.
            admission: Its prompt, and how it is drawn.

        Returns:
            Its place, with which ``placed`` of the admission was called.

        Raises:
            DecoderError: There is no place, or the admission does not fit; nothing was changed.
            InvalidOption: The stop tokens hold one that is not in the vocabulary; nothing was changed.
        """
        if number in self._rows:
            raise DecoderError(f"row {number} has a place already", who=_WHO, fix="release it, or give another number")
        if not self._free:
            raise DecoderError(f"all {self.places} places are taken", who=_WHO, fix="release a row first")
        check_admission(self.decoder, self._steps, self.row_state, admission)
        with self._beside():
            return self._admit(number, admission)

    def _admit(self, number: int, admission: Admission) -> int:
        row = Row(number, self._free[0], admission)
        used_here(admission.prompt, *(admission.state or {}).values())
        parts = self._steps.rows_of(row.stream)
        self.cache.reset(parts)
        if admission.prefix is not None:
            source, length = admission.prefix
            for part, target in enumerate(parts):
                self.cache.copy_prefix(source, min(part, source.rows - 1), [target], length)
        begin_row(self._steps, row, self.row_state)
        if admission.placed is not None:
            admission.placed(row.stream)
        del self._free[0]
        self._rows[number] = row
        return row.stream

    @torch.inference_mode()
    def redraw(self, number: int, *, seed: int) -> None:
        """Draw a row anew behind its prompt, which is not read again; what was drawn before is forgotten.

        Args:
            number: A row that has a place, whether it has ended or not.
            seed: Seed of its noise; all else is as it was admitted.

        Raises:
            DecoderError: There is no such row, or the seed is out of range; nothing was changed.
        """
        old = self._row(number)
        check_seed(seed)
        row = replace(old, admission=replace(old.admission, seed=seed), drawn=0, ended=False, broken=False)
        old.gone = True
        with self._beside():
            rewind_row(self._steps, row, broken=old.broken)
            begin_row(self._steps, row, self.row_state)
        self._rows[number] = row

    @torch.inference_mode()
    def release(self, number: int) -> None:
        """Take a row's place away, whether it has ended or not; nothing more comes of it. The others go on.

        Raises:
            DecoderError: There is no such row.
        """
        row = self._row(number)
        row.gone = True
        del self._rows[number]
        self._free = sorted([*self._free, row.stream])
        # Steps that are queued still write to memory that may be freed with the last row.
        with self._beside(joined=not self._rows):
            # On CUDA it may have broken without that anybody has read it.
            if row.broken or self.decoder.device.type == "cuda":
                for part in self._steps.rows_of(row.stream):
                    self.cache.clean(part)

    def step(self, *, ahead: bool = True) -> list[RowBlock]:
        """Read the next chunk of the oldest prompt that is not read yet, decode, and return what is new.

        On CUDA the next steps are queued before the last ones are read, so that what it returns is what the call before
        drew. A row that ends is in one block with its end; it keeps its place until it is released or drawn anew. With
        graphs they run on a stream of their own: a codec's window that is queued meanwhile does not wait for them.

        Args:
            ahead: Whether steps are queued ahead; if not, for a first sound, what a few have drawn is returned at once.

        Returns:
            A block for each row that has drawn; after a change of ``ahead`` perhaps two.

        Raises:
            CaptureFailed: A step cannot be captured.
        """
        rows = list(self._rows.values())
        with torch.inference_mode(), self._beside():
            joined = self.reader.next(rows)
            queued = self.queue.put(rows, joined=joined, most=None if ahead else _HURRIED_STEPS)
        if not ahead:
            return [block for _ in range(len(self.queue)) for block in self.queue.pop()]
        return [] if not self.queue or (queued and len(self.queue) <= self.lag) else self.queue.pop()

    @property
    def busy(self) -> bool:
        """Whether `step` has anything to do."""
        return bool(self.queue) or any(not row.ended for row in self._rows.values())

    @torch.inference_mode()
    def warm_up(self, params: SamplingParams | None = None, *, up_to: int | None = None) -> None:
        """Capture the steps of every number of rows and every length, and the chunks; nothing without graphs.

        Args:
            params: Sampling of the rows to come, where their recipe has more than one structure.
            up_to: Slots of the longest row to be prepared for; default: the cap.

        Raises:
            DecoderError: A row has a place.
            CaptureFailed: A step cannot be captured.
        """
        if not self._graphs.enabled:
            return
        if self._rows:
            raise DecoderError("rows have places", who=_WHO, fix="warm up before the first one is admitted")
        with self._beside(joined=True):
            self._capture(params or SamplingParams(), up_to or self.cache.cap)

    def _capture(self, params: SamplingParams, up_to: int) -> None:
        saved = [(tensor, tensor.clone()) for tensor in self.row_state.values()]
        for stream in range(self.places):
            self.sampler.set(stream, params, 0)
        for attended in self._steps.buckets.up_to(up_to):
            self.cache.reach(attended)
            self.queue.capture(attended, self.places)
            self.reader.warm_up(attended)
        for tensor, value in saved:
            tensor.copy_(value)
        self._empty()

    def _row(self, number: int) -> Row:
        if number not in self._rows:
            raise DecoderError(f"there is no row {number}", who=_WHO, fix=f"there are {self.numbers}")
        return self._rows[number]

    def _beside(self, *, joined: bool = False) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._backend is None else self._backend.beside(joined=joined)

    def _empty(self) -> None:
        """Leave every place without a row. The spare row, and one that is only filled up, looks at a slot of zeros."""
        self.cache.reset()
        self.cache.reach(1)
        self.cache.valid[:, 0] = True
        self.cache.active.fill_(False)
        self._steps.progress.live.fill_(False)
        self.sampler.broken.fill_(False)
