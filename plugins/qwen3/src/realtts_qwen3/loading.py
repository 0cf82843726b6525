"""A checkpoint's files: its configuration, and its tensors, read when they are asked for and refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from realtts import checkpoints
from realtts.accel.weights.tensorfile import TensorFile, Tensors
from realtts.kit.reading import check_shapes, read_json
from realtts_qwen3.files import CODEC, CODEC_CONFIG, FILES, WEIGHTS
from realtts_qwen3.shapes import codec_shapes, model_shapes
from realtts_qwen3.sizes import read_codec_sizes, read_sizes
from realtts_qwen3.text import TextReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtts.checkpoints import Files
    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint
    from realtts_qwen3.sizes import CodecSizes, Sizes

__all__ = ["Found", "States", "Weights", "fetch", "open_checkpoint"]


@dataclass(frozen=True)
class Found:
    """The files of a model.

    Attributes:
        files: Of the checkpoint, the codec's among them. What it is of, its ``config.json`` says.
    """

    files: Files


@dataclass(frozen=True)
class States:
    """The tensors of a checkpoint, checked and not read yet.

    Attributes:
        talker: Names below ``talker.``; the code predictor's begin with ``code_predictor.``.
        speaker_encoder: Names below ``speaker_encoder.``; None where the model cannot clone.
        decoder: Of the codec, names below ``decoder.``.
        encoder: Of the codec, names below ``encoder.``.
    """

    talker: Tensors
    speaker_encoder: Tensors | None
    decoder: Tensors
    encoder: Tensors


@dataclass(frozen=True)
class Weights:
    """A checkpoint, opened.

    Attributes:
        sizes: Of the model, its speakers among them.
        codec: Of the codec.
        defaults: ``generation_config.json``.
        states: Its tensors.
        reader: Text to ids.
        identity: What changes when its weights do, for keys of what is computed with them.
    """

    sizes: Sizes
    codec: CodecSizes
    defaults: Mapping[str, Any]
    states: States
    reader: TextReader
    identity: str


def fetch(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None = None) -> Found:
    """The files of a checkpoint, downloaded where they must be.

    Args:
        checkpoint: ``context.checkpoint``.
        report: ``context.report``.

    Raises:
        CheckpointError: As `realtts.checkpoints.fetch`.
    """
    return Found(checkpoints.fetch(checkpoint, FILES, report=report))


def open_checkpoint(found: Found) -> Weights:
    """Read what is small, and check that every tensor is there, in its shape, and none besides.

    Args:
        found: From `fetch`.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: A file is of another model; a tensor is missing, unexpected or misshapen.
    """
    files, identity = found.files, found.files.identity(WEIGHTS, CODEC)
    sizes = read_sizes(read_json(files["config.json"]))
    codec = read_codec_sizes(read_json(files[CODEC_CONFIG]))
    model, sound = TensorFile(files[WEIGHTS]), TensorFile(files[CODEC])
    check_shapes(model.shapes, model_shapes(sizes), f"file {WEIGHTS!r}")
    check_shapes(sound.shapes, codec_shapes(codec), f"file {CODEC!r}")
    states = States(
        talker=Tensors(model, "talker."),
        speaker_encoder=Tensors(model, "speaker_encoder.") if sizes.speaker_encoder is not None else None,
        decoder=Tensors(sound, "decoder."),
        encoder=Tensors(sound, "encoder."),
    )
    return Weights(
        sizes=sizes,
        codec=codec,
        defaults=MappingProxyType(read_json(files["generation_config.json"])),
        states=states,
        reader=TextReader(files, sizes),
        identity=identity,
    )
