"""The codec's decoder: from codes to samples, whole, in batches, and in pieces that equal the whole.

Upstream decodes at most 300 frames at once with 25 frames of context before them, which for longer speech is not what
decoding the whole gives. Here every layer stores what it still needs of the past, so pieces of any size do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts_qwen3.codec_body import Body
from realtts_qwen3.codec_graphs import GraphedBody
from realtts_qwen3.codec_state import CodecState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from torch import Tensor

    from realtts.accel.graphs.cuda_graph import GraphBackend

__all__ = ["CodecDecoder", "CodecState"]

_PIECE = 16
"""Frames that go through the decoder at once: enough to be worth reading its weights from memory."""


class CodecDecoder:
    """The decoder of one checkpoint. Nothing of a stream stays in it, so streams can share it, one at a time.

    Made in two steps, as the stages of loading are: `read` reads and casts, `compile` packs.

    Args:
        body: The layers.
        device: Device to compute on.

    Attributes:
        device: Device to compute on.
        dtype: Dtype of products and convolutions.
        samples_per_frame: 1920, at 24 kHz.
        quantizers: Codes of a frame, 16.
    """

    def __init__(self, body: Body, device: torch.device) -> None:
        self.device, self.dtype = device, body.dtype
        self.samples_per_frame, self.quantizers = body.samples_per_frame, body.quantizers
        self._body = body
        self._graphed: GraphedBody | None = None

    @classmethod
    def read(
        cls,
        config: Mapping[str, Any],
        state: Mapping[str, Tensor],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        convolve: bool | None = None,
    ) -> CodecDecoder:
        """Read the weights and cast them, one tensor after the other; `compile` comes next.

        Args:
            config: ``decoder_config`` of ``speech_tokenizer/config.json``.
            state: Upstream's tensors by their names without ``decoder.``.
            device: Device to compute on.
            dtype: Dtype of products and convolutions.
            convolve: Use torch's convolutions; None: except on the CPU, where products over windows are faster.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen; names it.
        """
        device = torch.device(device)
        convolve = device.type != "cpu" if convolve is None else convolve
        return cls(Body(config, state, device=device, dtype=dtype, convolve=convolve), device)

    def compile(self, backend: GraphBackend | None = None) -> CodecDecoder:
        """Pack the weights.

        Args:
            backend: Captures the layers as graphs from here on; None computes them eagerly.

        Returns:
            The decoder itself, ready to decode.
        """
        self._body.pack()
        self._graphed = None if backend is None else GraphedBody(self._body, backend)
        return self

    @property
    def form(self) -> str:
        """Name of the form of the states: a state fits every decoder of the same weights and form."""
        kind = "convolutions" if self._body.layout.convolve else "windows"
        return f"{str(self.dtype).removeprefix('torch.')}-{kind}-{self._body.layout.size}"

    def flops(self, frames: int) -> int:
        """Count the operations of the products and convolutions for so many frames, of all rows together."""
        return 2 * self._body.multiplications * frames

    @property
    def bytes_read(self) -> int:
        """Bytes of weights that a piece has to read at least."""
        return self._body.weights * self.dtype.itemsize

    def start(self, rows: int = 1) -> CodecState:
        """Make the state before the first frame."""
        buffer = torch.zeros(rows, self._body.layout.size, dtype=self.dtype, device=self.device)
        return CodecState(buffer, torch.zeros(rows, dtype=torch.int64, device=self.device))

    @property
    def graphed(self) -> bool:
        """Whether pieces are captured, of numbers of rows that are powers of two."""
        return self._graphed is not None

    def capture(self, most: int, *, rows: int = 1) -> None:
        """Capture the graphs of pieces of 1, 2, 4 and so on up to so many frames, of as many rows likewise."""
        for count in (1 << power for power in range(rows.bit_length())):
            for frames in (1 << power for power in range(most.bit_length())):
                self.samples(torch.zeros(count, frames, self.quantizers, dtype=torch.int64))

    @torch.inference_mode()
    def samples(self, codes: Tensor) -> Tensor:
        """Decode from the beginning.

        Args:
            codes: int64 (frames, 16), or (rows, frames, 16); each from 0 to 2047.

        Returns:
            float32 (1920 * frames,), or (rows, 1920 * frames), in [-1, 1], 24 kHz.
        """
        return self.push(self.start(1 if codes.dim() == 2 else len(codes)), codes)

    @torch.inference_mode()
    def push(self, state: CodecState, codes: Tensor) -> Tensor:
        """Decode the next frames of one stream, or as many of each row; the state moves on.

        A row that has ended may be given any codes beside those that go on.

        Args:
            state: State of as many rows.
            codes: int64 (frames, 16), or (rows, frames, 16); each from 0 to 2047.

        Returns:
            float32 (1920 * frames,), or (rows, 1920 * frames).
        """
        batch = codes.to(self.device).view(state.rows, -1, self.quantizers)  # -> (rows, frames, 16)
        pieces = [torch.zeros(state.rows, 0, device=self.device)]
        if self._graphed is not None:
            pieces += [self._graphed(batch, state)]
        else:
            pieces += [self._body(piece, state) for piece in batch.split(_PIECE, 1) if piece.shape[1]]
        samples = pieces[1] if len(pieces) == 2 else torch.cat(pieces, 1)
        return samples[0] if codes.dim() == 2 else samples
