"""Speech tokens to mel spectrograms: upstream's CausalMaskedDiffWithXvec with its solver.

Nothing is padded but for graphs (`realtts_chatterbox.solver`): the encoder takes requests one by one, the estimator
packs their frames. So a request's mel does not depend on what is computed beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.layers.dense import linear
from realtts.accel.weights.state_reader import below
from realtts.contract.stages import Cancelled, never
from realtts_chatterbox.constants import FRAMES_PER_TOKEN
from realtts_chatterbox.encoder import LOOKAHEAD, Encoder
from realtts_chatterbox.estimator import Estimator
from realtts_chatterbox.solver import EagerSolver, GraphedSolver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.noise import Noise
    from realtts_chatterbox.solver import Solver

__all__ = ["LOOKAHEAD", "Flow", "Piece"]


@dataclass(frozen=True)
class Piece:
    """What one row of a batch computes: a whole request, or a stretch of one that is streamed.

    Attributes:
        tokens: int64 (n,).
        voice: Of the request.
        noise: Of the request.
        begin: The request's frame at which the first token begins.
        final: Whether the request ends with these tokens. If not, the last 3 tokens are only looked at.
    """

    tokens: Tensor
    voice: Conditionals
    noise: Noise
    begin: int = 0
    final: bool = True

    @property
    def frames(self) -> int:
        """That the solver computes: those of the voice's prompt and of the tokens that are not only looked at."""
        tokens = self.voice.tokens.shape[1] + len(self.tokens) - (0 if self.final else LOOKAHEAD)
        return FRAMES_PER_TOKEN * tokens


class Flow:
    """The flow of one checkpoint; nothing of a request stays in it, so requests can share it, one at a time.

    Args:
        state: Upstream's tensors without ``flow.``.
        device: Where to compute.
        dtype: Of the estimator; everything else is float32.
        meanflow: Whether it is Turbo's: no guidance, 2 steps.
        backend: Captures the solver's steps as graphs; None computes them eagerly.
        fused: Take torch's attention everywhere.
    """

    def __init__(  # noqa: PLR0917 - `from_state_dict` names them
        self,
        state: Mapping[str, Tensor],
        device: torch.device,
        dtype: torch.dtype,
        meanflow: bool,
        backend: GraphBackend | None = None,
        fused: bool = False,
    ) -> None:
        self.device, self.meanflow = device, meanflow
        self._embedding = state["input_embedding.weight"].to(device, torch.float32)
        self._speaker = _pair(state, "spk_embed_affine_layer", device)
        self._proj = _pair(state, "encoder_proj", device)
        self._encoder = Encoder(below(state, "encoder."), device, fused=fused)
        estimator = Estimator(below(state, "decoder.estimator."), device, dtype, fused=fused)
        self._estimator = estimator
        self._solver: Solver = EagerSolver(estimator) if backend is None else GraphedSolver(estimator, backend)

    @classmethod
    def from_state_dict(
        cls,
        state: Mapping[str, Tensor],
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        meanflow: bool = False,
        backend: GraphBackend | None = None,
        fused: bool = False,
    ) -> Flow:
        """Take the weights by upstream's names; sizes are read off them.

        Raises:
            KeyError: A tensor is missing.
        """
        return cls(state, device, dtype, meanflow, backend, fused)

    @property
    def vocabulary(self) -> int:
        """Speech tokens that have an embedding."""
        return len(self._embedding)

    @property
    def bins(self) -> int:
        """Bands of the mel spectrogram."""
        return len(self._proj[1])

    @property
    def default_steps(self) -> int:
        """What upstream takes: 10, Turbo 2."""
        return 2 if self.meanflow else 10

    def mel(
        self,
        tokens: Sequence[Tensor],
        voices: Sequence[Conditionals],
        noises: Sequence[Noise],
        *,
        steps: int | None = None,
        cancelled: Callable[[], bool] = never,
    ) -> list[Tensor]:
        """Compute whole requests, all at once.

        Args:
            tokens: int64 (n,) each, below `vocabulary`.
            voices: One each.
            noises: One each.
            steps: Of the solver.
            cancelled: Asked before each step.

        Returns:
            float32 (80, 2 n) each.

        Raises:
            Cancelled: If ``cancelled`` says so.
        """
        pieces = [Piece(*parts) for parts in zip(tokens, voices, noises, strict=True)]
        return self.pieces(pieces, steps=steps, cancelled=cancelled)

    @torch.inference_mode()
    def pieces(
        self, pieces: Sequence[Piece], *, steps: int | None = None, cancelled: Callable[[], bool] = never
    ) -> list[Tensor]:
        """As `mel`, also for stretches: float32 (80, 2 n) each, 6 frames fewer for one that is not final."""
        features = []
        for piece in pieces:
            if cancelled():
                raise Cancelled
            features.append(self._features(piece))
        given = [self._conditioning(piece, mu) for piece, mu in zip(pieces, features, strict=True)]
        starts = [self._start(piece, len(mu)) for piece, mu in zip(pieces, features, strict=True)]
        times = self._times(steps or self.default_steps)
        found = zip(self._solver(given, starts, times, cancelled), pieces, strict=True)
        return [x[piece.voice.mel.shape[1] :].T.contiguous() for x, piece in found]

    def flops(self, pieces: Sequence[Piece], steps: int) -> int:
        """Operations of the estimator for some pieces; those of the encoder, far fewer, are not counted."""
        rows = 1 if self.meanflow else 2
        return steps * sum(self._estimator.flops(piece.frames, rows) for piece in pieces)

    def bytes_read(self, steps: int) -> int:
        """What so many steps have to read of the estimator's weights at least, whatever is computed together."""
        return steps * self._estimator.bytes_read

    def _features(self, piece: Piece) -> Tensor:
        """What the encoder makes of prompt and tokens, float32 (frames, 80)."""
        tokens = torch.cat([piece.voice.tokens[0].to(self.device), piece.tokens.to(self.device)])
        mu = linear(self._encoder(self._embedding[tokens]), *self._proj)
        return mu if piece.final else mu[: -LOOKAHEAD * FRAMES_PER_TOKEN]

    def _conditioning(self, piece: Piece, mu: Tensor) -> Tensor:
        """The estimator's inputs that stay: mu, speaker, the prompt's mel; float32 (frames, 240)."""
        embedding = functional.normalize(piece.voice.embedding.to(self.device, torch.float32), dim=1)
        speaker = linear(embedding, *self._speaker).expand(len(mu), -1)
        shown = torch.zeros_like(mu)
        prompt = piece.voice.mel[0]
        shown[: len(prompt)] = prompt
        return torch.cat([mu, speaker, shown], 1)

    def _start(self, piece: Piece, frames: int) -> Tensor:
        """Where the solver starts, float32 (frames, 80)."""
        prompt = piece.voice.mel.shape[1]
        speech = piece.noise.mel(piece.begin, piece.begin + frames - prompt)
        return torch.cat([piece.noise.prompt(prompt), speech], 1).T.to(self.device)

    def _times(self, steps: int) -> Tensor:
        times = torch.linspace(0, 1, steps + 1, device=self.device)
        return times if self.meanflow else 1 - torch.cos(times * 0.5 * math.pi)


def _pair(state: Mapping[str, Tensor], name: str, device: torch.device) -> tuple[Tensor, Tensor]:
    weight, bias = (state[f"{name}.{kind}"].to(device, torch.float32) for kind in ("weight", "bias"))
    return weight, bias
