"""What `realtts bench` and `realtts verify` use of a plugin: random weights, and the mel spectrogram inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.testing.weights import new_checkpoint
from realtts_f5 import speaking
from realtts_f5.checkpoint import SIZES, write_checkpoint
from realtts_f5.configurations import CONFIGURATIONS
from realtts_f5.plain import PlainModel, asked

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import Request

__all__ = ["STREAM_OPTIONS", "TOKENS_PER_CHAR", "TOLERANCES", "teacher_forced", "write_random_checkpoint"]

TOKENS_PER_CHAR = 6.25
"""A token is a frame of the mel spectrogram here: 93.75 a second, at about 15 characters a second."""

TOLERANCES = {"float32": 1e-4, "bfloat16": 0.01, "audio": 1e-3, "streaming": 1e-4}
"""Tolerances of the mel spectrogram, relative, and of samples.

bfloat16: 0.0011 at most was measured for tiny random weights, 32 steps, four texts, three configurations. The full
networks have eleven times as many blocks in which to round, and were not measured.
"""

STREAM_OPTIONS = {"short_first_chunk": False}
"""A stream begins with a shorter chunk, and would be another rendering."""


def write_random_checkpoint(
    path: Path | str, size: str = "tiny", seed: int = 0, *, model: str = "f5-v1-base", suffix: str = ".safetensors"
) -> None:
    """Write random weights in upstream's own files: weights, vocabulary, configuration, and the vocoder's two.

    Args:
        path: Folder, made if it is not there.
        size: ``"tiny"`` (two blocks of 128), or ``"full"`` as upstream's.
        seed: Of the weights.
        model: A name of `realtts_f5.configurations.CONFIGURATIONS`.
        suffix: ``".safetensors"``, or ``".pt"`` as upstream's trainer saves.

    Raises:
        InvalidOption: An unknown size, model or suffix.
        MissingExtra: f5-tts, whose networks say which tensors there are, is not installed.
    """
    suffixes = (suffix, (".safetensors", ".pt"))
    folder = new_checkpoint(path, size=(size, SIZES), model=(model, CONFIGURATIONS), suffix=suffixes)
    write_checkpoint(folder, size, seed, model=model, suffix=suffix)


def teacher_forced(
    context: Context,
    model: Any,
    request: Request,
    tokens: None = None,  # noqa: ARG001 - given to every plugin's
) -> NDArray[np.float32]:
    """Compute the mel spectrogram of a request's first chunk, the recording's part included, shape (frames, 100).

    Args:
        context: Of the rung.
        model: Of either variant.
        request: What is said.
        tokens: Not used: the model has none.
    """
    if isinstance(model, PlainModel):
        assert model.networks is not None, "used after unload"
        ask = asked(context, model, request)
        mel = model.networks.mel(ask, ask.chunks[0], request.cancelled)
    else:
        mel = speaking.mel(context, model, request)
    values: NDArray[np.float32] = mel.cpu().numpy()
    return values
