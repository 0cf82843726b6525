"""The codec's decoder: from codes to samples, sentences of different lengths together; nothing of the encoder.

A sentence is decoded as a whole: its frames see each other both ways, and norms are over all of them. Streams are
decoded in windows, by `realtts_vieneu.windows`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts_vieneu.codec_body import Body
from realtts_vieneu.codec_graphs import GraphedBody, buckets
from realtts_vieneu.codec_layers import Extent
from realtts_vieneu.codec_names import named
from realtts_vieneu.codec_sizes import read_codec_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from torch import Tensor

    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts_vieneu.codec_sizes import CodecSizes

__all__ = ["CodecDecoder"]

_ROWS = 8
"""Sentences that are decoded at once at most."""

_LONGEST = 1024
"""Frames of the longest sentence that has its graph after `CodecDecoder.capture`, 20 s."""

_WINDOW = 128
"""Frames up to which several windows of streams at once have graphs, too; longer ones are work enough without."""


class CodecDecoder:
    """The decoder of one checkpoint. It keeps nothing of a request, so that requests can share it, one at a time.

    `read` makes one whose weights are cast, `pack` lays them out; `from_state_dict` does both.

    Args:
        body: The layers.
        sizes: Of the codec.
        device: Where to compute.
        dtype: Of products. On a CPU with instructions for bfloat16 that is faster than float32 (measured for 5 s of
            speech on one core: 0.28 instead of 0.47 s) and needs half the memory; its error lies 35 dB below the sound.
        backend: Captures the layers as graphs; None computes them eagerly.

    Attributes:
        device: Where to compute.
        dtype: Of products.
        graphed: Whether the layers run as graphs.
        samples_per_frame: 480.
        rate: Hz of the samples, 24000.
        codes: Number of codes, 65536.
        bytes_read: Bytes of weights that decoding reads at least, each time.
    """

    def __init__(
        self,
        body: Body,
        sizes: CodecSizes,
        *,
        device: torch.device,
        dtype: torch.dtype,
        backend: GraphBackend | None = None,
    ) -> None:
        self.device, self.dtype, self.graphed = device, dtype, backend is not None
        self.samples_per_frame, self.rate, self.codes = sizes.hop, sizes.output_rate, sizes.codes
        self.bytes_read = body.bytes_read
        self._body = body
        self._graphed = None if backend is None else GraphedBody(body, backend)

    @classmethod
    def from_state_dict(
        cls,
        config: Mapping[str, Any],
        state: Mapping[str, Tensor],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        backend: GraphBackend | None = None,
        fused: bool = False,
    ) -> CodecDecoder:
        """Read, cast and pack the weights.

        Args:
            config: ``config.json`` of the codec; empty for upstream's own repository, which has none.
            state: As of `read`.
            device: Where to compute.
            dtype: Of products.
            backend: Captures the layers as graphs.
            fused: Use torch's attention on the CPU too.

        Raises:
            CheckpointMismatch: As `read`; or the configuration is of another codec.
        """
        decoder = cls.read(
            read_codec_sizes(config), state, device=device, dtype=dtype, backend=backend, fused=fused
        )  # fmt: skip
        decoder.pack()
        return decoder

    @classmethod
    def read(
        cls,
        sizes: CodecSizes,
        state: Mapping[str, Tensor],
        *,
        device: torch.device | str,
        dtype: torch.dtype,
        backend: GraphBackend | None = None,
        fused: bool = False,
    ) -> CodecDecoder:
        """Read the weights by upstream's names and cast them, one tensor after the other; `pack` is left to do.

        Args:
            sizes: Of the codec.
            state: Its tensors, by the names of transformers' ``NeuCodecModel`` or of the neucodec package; those of the
                encoder may be missing.
            device: Where to compute.
            dtype: Of products.
            backend: Captures the layers as graphs.
            fused: Use torch's attention on the CPU too.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen; names it.
        """
        body = Body(sizes, named(state), device=torch.device(device), dtype=dtype, fused=fused)
        return cls(body, sizes, device=torch.device(device), dtype=dtype, backend=backend)

    def pack(self) -> None:
        """Lay the weights out for the library that multiplies, one after the other."""
        self._body.pack()

    def capture(self) -> None:
        """Capture the graphs of sentences and of windows, and nothing from then on; without graphs, do nothing."""
        if self._graphed is None:
            return
        for rows in (1 << power for power in range(_ROWS.bit_length())):
            for frames in buckets(_LONGEST if rows == 1 else _WINDOW):
                self.batch([torch.zeros(frames, dtype=torch.int64)] * rows)
        self._graphed.seal()

    def flops(self, frames: int) -> int:
        """Return the operations of products and attention for a sentence of so many frames."""
        return self._body.flops(frames)

    @torch.inference_mode()
    def samples(self, codes: Tensor) -> Tensor:
        """Decode one sentence.

        Args:
            codes: int64 (frames,), each from 0 to 65535.

        Returns:
            float32 (480 * frames,), 24 kHz.
        """
        return self.batch([codes])[0]

    @torch.inference_mode()
    def batch(self, codes: Sequence[Tensor]) -> list[Tensor]:
        """Decode several sentences, each as if it were alone.

        On the CPU that is so: one after the other, which is faster there than padding to the longest (measured for 8
        sentences of 2.4 to 5 s on one core: 3.1 instead of 3.7 s). Elsewhere those of about the same length go
        together.

        Args:
            codes: int64 (frames,) each, from 0 to 65535.

        Returns:
            float32 (480 * frames,) each, 24 kHz.
        """
        sounds = [torch.zeros(0, device=self.device) for _ in codes]
        for group in self._groups([len(row) for row in codes]):
            together = self._together([codes[index].to(self.device) for index in group])
            for index, samples in zip(group, together, strict=True):
                sounds[index] = samples
        return sounds

    def _groups(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Yield the rows that are decoded together, the longest first; those without frames are left out."""
        order = sorted((index for index, length in enumerate(lengths) if length), key=lambda index: -lengths[index])
        most = 1 if self.device.type == "cpu" and self._graphed is None else _ROWS
        while order:
            # A row of less than half the first one's length would mostly be padding.
            near = [index for index in order[:most] if 2 * lengths[index] > lengths[order[0]]]
            yield near
            order = order[len(near) :]

    def _together(self, codes: Sequence[Tensor]) -> Iterator[Tensor]:
        rate = self.samples_per_frame
        padded = torch.nn.utils.rnn.pad_sequence(list(codes), batch_first=True)  # (rows, frames of the longest)
        lengths = [len(row) for row in codes]
        alike = min(lengths) == max(lengths)
        if self._graphed is not None:
            samples = self._graphed(padded, torch.tensor(lengths, device=self.device)).clone()
        elif alike:
            samples = self._body(padded)
        else:
            samples = self._body(padded, Extent(torch.tensor(lengths, device=self.device), padded.shape[1]))
        return (row[: length * rate] for row, length in zip(samples, lengths, strict=True))
