"""Speech tokens to mel spectrograms: upstream's CausalMaskedDiffWithXvec with its solver.

Without graphs (`realtts_chatterbox.solver`) nothing is padded: the encoder takes requests one by one, the estimator
packs their frames. So a request's mel does not depend on the requests beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch.nn import functional

from realtts.accel.layers.dense import linear
from realtts.accel.weights.tensorfile import Tensors
from realtts.contract.stages import Cancelled, never
from realtts_chatterbox.constants import FRAMES_PER_TOKEN
from realtts_chatterbox.encoder import LOOKAHEAD, Encoder
from realtts_chatterbox.estimator import Estimator
from realtts_chatterbox.solver import EagerSolver, GraphedSolver

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.graphs.cuda_graph import GraphBackend
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.noise import Noise
    from realtts_chatterbox.solver import Solved, Solver

__all__ = ["LOOKAHEAD", "Flow", "Piece", "finished"]

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Piece:
    """One row of a batch: a whole request, or a stretch of a streamed one.

    Attributes:
        tokens: int64 (n,).
        voice: Of the request.
        noise: Of the request.
        begin: The request's frame at which the first token begins.
        final: Whether the request ends with these tokens. If not, the last 3 tokens are look-ahead and make no frames.
    """

    tokens: Tensor
    voice: Conditionals
    noise: Noise
    begin: int = 0
    final: bool = True

    @property
    def frames(self) -> int:
        """Frames that the solver computes: those of the voice's prompt and of all tokens but the look-ahead."""
        tokens = self.voice.tokens.shape[1] + len(self.tokens) - (0 if self.final else LOOKAHEAD)
        return FRAMES_PER_TOKEN * tokens


class Flow:
    """The flow of one checkpoint. It keeps nothing of a request, so requests can share it, one at a time.

    The constructor reads the float32 part (embedding, encoder, projections), `convert` the estimator.

    Args:
        state: Upstream's tensors without ``flow.``.
        device: Where to compute.
        meanflow: Whether it is Turbo's: no guidance, 2 steps.
        fused: Use torch's fused attention everywhere.

    Attributes:
        device: Where to compute.
        meanflow: Whether it is Turbo's.

    Raises:
        KeyError: A tensor is missing.
    """

    def __init__(
        self, state: Mapping[str, Tensor], device: torch.device, *, meanflow: bool = False, fused: bool = False
    ) -> None:
        self.device, self.meanflow = device, meanflow
        self._fused = fused
        self._embedding = state["input_embedding.weight"].to(device, torch.float32)
        self._speaker = _pair(state, "spk_embed_affine_layer", device)
        self._proj = _pair(state, "encoder_proj", device)
        self._encoder = Encoder(Tensors(state, "encoder."), device, fused=fused)
        self._estimator: Estimator | None = None
        self._solver: Solver | None = None

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
        """Read everything at once; arguments as of the class, of `convert` and of `use_graphs`.

        Raises:
            KeyError: A tensor is missing.
        """
        flow = cls(state, device, meanflow=meanflow, fused=fused)
        flow.convert(state, dtype)
        if backend is not None:
            flow.use_graphs(backend)
        return flow

    def convert(
        self, state: Mapping[str, Tensor], dtype: torch.dtype, *, attention: str | None = None, rounded: bool = False
    ) -> None:
        """Read the estimator and cast it.

        Args:
            state: As the constructor's.
            dtype: Of the estimator; everything else is float32.
            attention: Of the estimator; None: as ``fused`` says.
            rounded: As of the estimator.

        Raises:
            KeyError: A tensor is missing.
            QuantizationUnavailable: A weight cannot be rounded.
        """
        kernel = attention or ("torch" if self._fused else "own")
        tensors = Tensors(state, "decoder.estimator.")
        self._estimator = Estimator(tensors, self.device, dtype, attention=kernel, rounded=rounded)
        self._solver = EagerSolver(self._estimator)

    def use_graphs(self, backend: GraphBackend) -> None:
        """Solve by graphs of this backend from now on, each captured when a length first needs it."""
        self._solver = GraphedSolver(self.estimator, backend)
        self._encoder.padded = True

    def seal(self) -> None:
        """Capture nothing from now on; what has no graph is solved without."""
        if isinstance(self._solver, GraphedSolver):
            self._solver.seal()

    @property
    def estimator(self) -> Estimator:
        """The network inside the solver; there after `convert`."""
        assert self._estimator is not None, "used before convert"
        return self._estimator

    @property
    def vocabulary(self) -> int:
        """Number of speech tokens."""
        return len(self._embedding)

    @property
    def bins(self) -> int:
        """Bands of the mel spectrogram."""
        return len(self._proj[1])

    @property
    def default_steps(self) -> int:
        """Upstream's number of solver steps: 10, Turbo 2."""
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

    def pieces(
        self, pieces: Sequence[Piece], *, steps: int | None = None, cancelled: Callable[[], bool] = never
    ) -> list[Tensor]:
        """Compute requests or stretches, as `mel`: float32 (80, 2 n) each, 6 frames fewer for one that is not final."""
        return finished(self.solving(pieces, steps=steps, cancelled=cancelled))

    @torch.inference_mode()
    def solving(
        self, pieces: Sequence[Piece], *, steps: int | None = None, cancelled: Callable[[], bool] = never
    ) -> Solved:
        """Compute what `pieces` returns; yield between two steps of the solver, where others may compute."""
        assert self._solver is not None, "used before convert"
        features = []
        for piece in pieces:
            if cancelled():
                raise Cancelled
            features.append(self._features(piece))
        conditioning = [self._conditioning(piece, mu) for piece, mu in zip(pieces, features, strict=True)]
        starts = [self._start(piece, len(mu)) for piece, mu in zip(pieces, features, strict=True)]
        times = self._times(steps or self.default_steps)
        solved = yield from self._solver(conditioning, starts, times, cancelled)
        # The voice's prompt comes first and is no speech: (prompt + frames, 80) -> (80, frames).
        return [x[piece.voice.mel.shape[1] :].T.contiguous() for x, piece in zip(solved, pieces, strict=True)]

    def flops(self, pieces: Sequence[Piece], steps: int) -> int:
        """Return the estimator's floating-point operations for some pieces; the encoder's, far fewer, are left out."""
        rows = 1 if self.meanflow else 2
        return steps * sum(self.estimator.flops(piece.frames, rows) for piece in pieces)

    def bytes_read(self, steps: int) -> int:
        """Return the bytes of the estimator's weights that so many steps read at least, whatever is batched."""
        return steps * self.estimator.bytes_read

    def _features(self, piece: Piece) -> Tensor:
        """Encode prompt and tokens, float32 (frames, 80)."""
        tokens = torch.cat([piece.voice.tokens[0].to(self.device), piece.tokens.to(self.device)])
        mu = linear(self._encoder(self._embedding[tokens]), *self._proj)
        return mu if piece.final else mu[: -LOOKAHEAD * FRAMES_PER_TOKEN]

    def _conditioning(self, piece: Piece, mu: Tensor) -> Tensor:
        """Return the estimator's constant inputs, mu, speaker and the prompt's mel: float32 (frames, 240)."""
        embedding = functional.normalize(piece.voice.embedding.to(self.device, torch.float32), dim=1)
        speaker = linear(embedding, *self._speaker).expand(len(mu), -1)  # (1, 80) -> (frames, 80)
        prompt = torch.zeros_like(mu)  # upstream's cond: the prompt's mel, zeros where speech is to come
        prompt[: piece.voice.mel.shape[1]] = piece.voice.mel[0]
        return torch.cat([mu, speaker, prompt], 1)

    def _start(self, piece: Piece, frames: int) -> Tensor:
        """Draw the noise where the solver starts, float32 (frames, 80)."""
        prompt = piece.voice.mel.shape[1]
        speech = piece.noise.mel(piece.begin, piece.begin + frames - prompt)
        return torch.cat([piece.noise.prompt(prompt), speech], 1).T.to(self.device)  # (80, frames) -> (frames, 80)

    def _times(self, steps: int) -> Tensor:
        """Return the solver's times, float32 (steps + 1,): upstream's cosine schedule, Turbo's even one."""
        times = torch.linspace(0, 1, steps + 1, device=self.device)
        return times if self.meanflow else 1 - torch.cos(times * 0.5 * math.pi)


def finished(work: Generator[object, None, _Result]) -> _Result:
    """Do some work in one go, and return what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: _Result = done.value
            return result


def _pair(state: Mapping[str, Tensor], name: str, device: torch.device) -> tuple[Tensor, Tensor]:
    weight, bias = (state[f"{name}.{kind}"].to(device, torch.float32) for kind in ("weight", "bias"))
    return weight, bias
