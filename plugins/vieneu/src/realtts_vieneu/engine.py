"""Draws the codes of sentences, many at once, and decodes them to sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder import counted
from realtts.accel.decoder.rungs import decoder_details
from realtts.accel.precision import name_of
from realtts.contract import timing
from realtts.errors import InvalidOption
from realtts_vieneu.codec import CodecDecoder
from realtts_vieneu.network import ROWS, SpeechLM
from realtts_vieneu.prefixes import copied
from realtts_vieneu.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts.accel.offload.sharing import DeviceSharing
    from realtts.contract.context import Context
    from realtts.contract.stages import Work
    from realtts_vieneu.batch import Batch
    from realtts_vieneu.embedding import TokenEmbedding
    from realtts_vieneu.head import HeadKind
    from realtts_vieneu.line import Line
    from realtts_vieneu.loading import Weights
    from realtts_vieneu.utterance import Utterance

__all__ = ["TOGETHER", "Engine"]

TOGETHER = ROWS[-1]
"""Most sentences that are drawn at once."""

_SOUNDS = 8
"""Sentences that are decoded between two checks for a cancelled request, on a device that takes them together."""


class Engine:
    """Language model and the codec's decoder, made in the stages of a rung.

    The constructor reads the embedding, `convert` the codec, and `pack` the language model, which is quantized as it is
    read; no tensor is read twice, and no weights but those that are being packed are in memory twice.

    Args:
        weights: The checkpoint.
        device: Where they compute.
        precision: Of the language model.
        dtype: Of the codec's products.
        backend: Captures steps and windows as graphs; None runs them eagerly.
        turns: Decides whether ``"lm"`` or ``"codec"`` has the device.
        head: Which tokens can be drawn at first; `choose` changes it.

    Attributes:
        device: As given.
        turns: As given.
        embedding: Of the language model, until `pack` takes it.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        device: str,
        precision: Precision,
        dtype: torch.dtype,
        backend: GraphBackend | None,
        turns: DeviceSharing,
        head: HeadKind,
    ) -> None:
        self.device, self.turns = device, turns
        self._weights, self._precision, self._dtype, self._backend = weights, precision, dtype, backend
        # Either is None before its stage, or where reading another one has failed; then the next request reads it.
        self._lm: SpeechLM | None = None
        self._codec: CodecDecoder | None = None
        self._place = device
        self.embedding: TokenEmbedding | None = self._embed(head)

    def convert(self) -> None:
        """Read the codec's decoder and cast it."""
        self._codec = self._read_codec(self.device)

    def pack(self) -> None:
        """Pack the codec; read and pack the language model."""
        assert self.embedding is not None, "packed already"
        # One after the other leaves the device, where it is offloaded, before the next is read.
        self.codec.pack()
        self.turns.add("codec", self.codec)
        embedding, self.embedding = self.embedding, None
        self._lm = self._pack_lm(embedding)
        self.turns.add("lm", self._lm)

    def capture(self, utterance: Utterance) -> None:
        """Capture the graphs that utterances like this one need; nothing without graphs."""
        if self._backend is not None:
            self.lm.capture(utterance)
            self.codec.capture()

    @property
    def details(self) -> dict[str, object]:
        """Facts for the status, of the parts as they are now."""
        weights = self.lm.decoder.precision.weights
        return {
            **decoder_details(self.lm.decoder, graphs=self.lm.graphed),
            "compile": False,  # what torch.compile would fuse is fused by hand, whatever the setting says
            "quantization": weights if weights in {"int8", "int4"} else "none",
            "head": self.lm.outputs.kind,
            "codec_device": self._place,
            "codec_dtype": name_of(self.codec.dtype),
        }

    def choose(self, head: HeadKind, codec_device: str | None) -> bool:
        """Read language model or codec again where a request needs another one; returns whether that was so.

        Args:
            head: Which tokens can be drawn.
            codec_device: Where sound is made; None: where the language model is.
        """
        place, changed = codec_device or self.device, False
        if self._lm is None or head != self._lm.outputs.kind:
            self.turns.clear()
            self._lm = None  # or both would be in memory while the other is read
            self._lm, changed = self._pack_lm(self._embed(head)), True
            self.turns.add("lm", self._lm)
        if self._codec is None or place != self._place:
            self.turns.clear()
            self._codec = None
            codec = self._read_codec(place)
            codec.pack()
            self._codec, self._place, changed = codec, place, True
            self.turns.add("codec", self._codec)
        return changed

    @property
    def lm(self) -> SpeechLM:
        """Draws tokens."""
        assert self._lm is not None, "not packed yet, or it could not be read for the request before"
        return self._lm

    @property
    def codec(self) -> CodecDecoder:
        """Decodes codes to sound."""
        assert self._codec is not None, "not converted yet, or it could not be read for the request before"
        return self._codec

    def warm_up(self, utterance: Utterance) -> Tensor:
        """Draw a few tokens of an utterance and decode a few codes; returns samples, to be checked for NaN."""
        with self.turns.use("lm"):
            self.lm.warm_up(utterance)
        with self.turns.use("codec"):
            return self.codec.samples(torch.zeros(4, dtype=torch.int64))

    # -- tokens ------------------------------------------------------------------------------------------------------

    def draw(self, context: Context, lines: Sequence[Line]) -> Iterator[None]:
        """Draw the codes of sentences together; yields whenever there are new ones.

        A sentence ends by itself, at its limit, or when its request is cancelled. Those that ran away, or ended too
        early, and were not heard yet, are then drawn again together.

        Args:
            context: Of the stage.
            lines: At most `TOGETHER`; their codes are put into them.
        """
        yield from self._draw(context, lines)
        if faulty := [line for line in lines if line.restart()]:
            yield from self._draw(context, faulty)

    def _draw(self, context: Context, lines: Sequence[Line]) -> Iterator[None]:
        try:
            with timing.timed(context, "lm", dtype=self.lm.decoder.precision.products) as work:
                loop = self._begin(lines, work)
                drawn = counted(loop.run(), loop.loop, work, lambda: self.lm.cost(loop))
                for new in self.turns.each("lm", drawn):
                    for row, line in enumerate(lines):
                        line.add(
                            new.codes[row], len(new.tokens[row]), ended=new.finished[row], stopped=new.stopped[row],
                        )  # fmt: skip
                        if not line.ended and line.cancelled():
                            loop.stop(row)
                    yield
        finally:
            self.lm.release()

    def _begin(self, lines: Sequence[Line], work: Work) -> Batch:
        with self.turns.use("lm"):
            loop = self.lm.begin(
                [line.utterance for line in lines], still_wanted=lambda row: not lines[row].cancelled()
            )
        positions = sum(len(line.utterance.ids) - copied(line.utterance) for line in lines)
        work.add(flops=2 * self.lm.decoder.config.parameters * positions, bytes=self.lm.cost(loop)[1])
        return loop

    # -- sound -------------------------------------------------------------------------------------------------------

    def sounds(self, context: Context, codes: Sequence[Tensor], cancelled: Callable[[], bool]) -> list[Tensor]:
        """Decode sentences as wholes, to float32 (480 * frames,) each, on the host; fewer once cancelled."""
        sounds: list[Tensor] = []
        together = 1 if self._place == "cpu" else _SOUNDS
        for begin in range(0, len(codes), together):
            if cancelled():
                break
            sounds += self._sounds(context, codes[begin : begin + together])
        return sounds

    def _sounds(self, context: Context, codes: Sequence[Tensor]) -> list[Tensor]:
        with self.turns.use("codec"), self._timed(context, [len(row) for row in codes]):
            return [samples.float().cpu() for samples in self.codec.batch(codes)]

    def windows(self, *, new: int, back: int, ahead: int) -> Windows:
        """Make the windows of a sentence that is decoded while its codes are drawn.

        Args:
            new: Codes of each window that are new.
            back: Codes before them.
            ahead: Codes behind them.
        """
        return Windows(self.codec.samples_per_frame, new=new, back=back, ahead=ahead)

    def heard(self, context: Context, windows: Windows, codes: Tensor, *, final: bool) -> Tensor:
        """Decode the windows that a sentence's next codes complete, to float32 (n,) on the host, perhaps empty."""
        windows.add(codes)
        samples = [torch.zeros(0)]
        while (window := windows.window(final=final)) is not None:
            with self.turns.use("codec"), self._timed(context, [len(window)]):
                samples.append(windows.joined(self.codec.samples(window)).float().cpu())
        return torch.cat(samples)

    def _timed(self, context: Context, frames: Sequence[int]) -> AbstractContextManager[Work]:
        codec = self.codec
        flops = sum(codec.flops(count) for count in frames)
        return timing.timed(
            context, "codec", steps=sum(frames), flops=flops, bytes=codec.bytes_read, dtype=name_of(codec.dtype)
        )

    # -- weights -----------------------------------------------------------------------------------------------------

    def _embed(self, head: HeadKind) -> TokenEmbedding:
        weights = self._weights
        return SpeechLM.embed(
            weights.sizes, weights.reader.speech, weights.model_state,
            device=self.device, head=head, drawing=weights.drawing,
        )  # fmt: skip

    def _pack_lm(self, embedding: TokenEmbedding) -> SpeechLM:
        weights = self._weights
        return SpeechLM.pack(
            weights.sizes, weights.model_state, embedding,
            device=self.device, precision=self._precision, backend=self._backend,
        )  # fmt: skip

    def _read_codec(self, device: str) -> CodecDecoder:
        weights, on_model = self._weights, device == self.device
        try:
            return CodecDecoder.read(
                weights.codec, weights.codec_state, device=device,
                dtype=self._dtype if on_model else torch.float32, backend=self._backend if on_model else None,
            )  # fmt: skip
        except torch.OutOfMemoryError as error:
            if on_model:
                raise
            # A request's wish is no reason to give up the rung.
            raise InvalidOption(
                f"there is no room for the codec on {device}", who="codec_device", fix="choose another device"
            ) from error
